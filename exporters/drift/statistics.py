"""How far counts lie apart, as pure functions on arrays of counts.

Every function takes the bins of one column along the last axis, padded with zeros where columns
have fewer bins than the widest, so that all columns of all models are one call.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["chi_square_quantile", "noise_floor", "occupied_bins", "psi"]

Array = NDArray[np.float64]

EMPTY: Final = 0.5
"""A bin with fewer counts than this holds nothing: what PromQL extrapolates is not whole."""

NOISE_QUANTILE: Final = 0.99


def psi(reference: Array, current: Array) -> Array:
    """Population stability index, in nats: sum over bins of (q - p) ln(q / p).

    p and q are the shares of the reference's and the current counts, shape [..., bins]; the result
    has shape [...]. It is 0 for equal shares and has no upper bound; NaN where either side is
    empty. A bin that is empty on one side only counts there as half an observation, in the manner
    of a continuity correction; a bin that is empty on both sides adds nothing. So equal shares give
    0 at any two sizes, and the weight of an unseen bin falls as its reference grows.

    Source: Kullback and Leibler, On Information and Sufficiency (1951), where it is the divergence
    J(1, 2); as a stability index, Siddiqi, Credit Risk Scorecards (2006).
    """
    p, q = _shares(reference, current), _shares(current, reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (q - p) * np.log(q / p)
    vacant = (reference < EMPTY) & (current < EMPTY)
    score: Array = np.where(vacant, 0.0, terms).sum(axis=-1)
    filled = (_total(reference) >= EMPTY) & (_total(current) >= EMPTY)
    return np.where(filled, score, np.nan)


def _shares(counts: Array, other: Array) -> Array:
    lone = (counts < EMPTY) & (other >= EMPTY)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Array = np.where(lone, EMPTY, counts) / _total(counts)[..., np.newaxis]
    return shares


def _total(counts: Array) -> Array:
    total: Array = counts.sum(axis=-1)
    return total


def occupied_bins(reference: Array, current: Array) -> NDArray[np.int64]:
    """How many bins hold something on either side; shape [...] for counts [..., bins]."""
    occupied: NDArray[np.int64] = ((reference >= EMPTY) | (current >= EMPTY)).sum(axis=-1)
    return occupied


def noise_floor(bins: NDArray[np.int64], n: Array, m: Array) -> Array:
    """The PSI that sampling alone exceeds in 1 of 100 windows without drift, in nats.

    For n current and m reference samples from one distribution over `bins` bins, PSI is
    asymptotically (1/n + 1/m) times chi-square with bins - 1 degrees of freedom; this is its 0.99
    quantile. Broadcasts; NaN where n or m is 0; 0 for a single bin.

    Source: Yurdakul, Statistical Properties of Population Stability Index (2018).
    """
    known, index = np.unique(np.asarray(bins), return_inverse=True)
    quantiles = np.array(
        [chi_square_quantile(NOISE_QUANTILE, int(b) - 1) if b > 1 else 0.0 for b in known]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        floor: Array = quantiles[index].reshape(np.shape(bins)) * (1 / n + 1 / m)
    return np.where((n > 0) & (m > 0), floor, np.nan)


@cache
def chi_square_quantile(probability: float, freedom: int) -> float:
    """The quantile of chi-square with `freedom` degrees of freedom, to about 1e-12.

    Newton's method on the regularised incomplete gamma function from the start of Wilson and
    Hilferty (1931). Our own, because one quantile is all we would load scipy for. Raises ValueError
    outside 0 < probability < 1 and freedom >= 1.
    """
    if not 0 < probability < 1 or freedom < 1:
        raise ValueError(f"no chi-square quantile for {probability}, {freedom} degrees of freedom")
    shape = freedom / 2
    # Far in the lower tail of few degrees Wilson and Hilferty go below 0; there the first term of
    # the series of P is close, and never above the quantile.
    spread = 2 / (9 * freedom)
    start = freedom * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3
    least = math.exp((math.log(probability) + math.lgamma(shape + 1)) / shape)
    x = max(start / 2, least)
    for _ in range(100):
        density = math.exp((shape - 1) * math.log(x) - x - math.lgamma(shape))
        step = (_gamma_share(shape, x) - probability) / density
        following = x - step if step < x else x / 2
        if abs(following - x) <= 1e-14 * x:
            return 2 * following
        x = following
    return 2 * x


def _gamma_share(shape: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(shape, x).

    Its series below shape + 1 and its continued fraction above, each where it converges fast
    (Abramowitz and Stegun 6.5.29 and 6.5.31).
    """
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        divisor = shape
        while term > total * 1e-17:
            divisor += 1
            term *= x / divisor
            total += term
        return scale * total
    # Lentz's evaluation of the continued fraction.
    b = x + 1 - shape
    c, d = 1e300, 1 / b
    fraction = d
    for i in range(1, 1000):
        a = -i * (i - shape)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return 1 - scale * fraction
