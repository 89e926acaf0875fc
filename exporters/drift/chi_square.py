"""The chi-square distribution without scipy: tail probabilities of arrays, quantiles of numbers."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chi_square_quantile", "chi_square_tail"]

Array = NDArray[np.float64]

_TERMS: Final = 100_000
"""Far more terms than either expansion needs; what does not converge by then is a bug."""


def chi_square_tail(statistic: ArrayLike, freedom: ArrayLike) -> Array:
    """The probability of a chi-square value above `statistic`, with `freedom` degrees of freedom.

    Broadcasts; degrees need not be whole. 1 where freedom or statistic is 0 or less, NaN where
    either is NaN. It is Q(freedom / 2, statistic / 2), the regularised upper incomplete gamma
    function: one minus its series below shape + 1, its continued fraction above, each where it
    converges fast (Abramowitz and Stegun 6.5.29 and 6.5.31).
    """
    x, shape = np.broadcast_arrays(
        np.asarray(statistic, dtype=np.float64) / 2, np.asarray(freedom, dtype=np.float64) / 2
    )
    tail = np.where(np.isnan(x) | np.isnan(shape), np.nan, 1.0)
    known = (x > 0) & (shape > 0)
    low, high = known & (x < shape + 1), known & (x >= shape + 1) & np.isfinite(x)
    tail[known & np.isinf(x)] = 0.0
    tail[low] = 1 - _gamma_series(shape[low], x[low])
    tail[high] = _gamma_fraction(shape[high], x[high])
    return tail


@cache
def chi_square_quantile(probability: float, freedom: float) -> float:
    """The value that chi-square with `freedom` degrees stays below with `probability`.

    Newton's method on the regularised incomplete gamma function, from Wilson and Hilferty's
    approximation (Abramowitz and Stegun 6.5 and 26.4.17). Relative error below 1e-9; ValueError
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
    """The regularised lower incomplete gamma function P(shape, x)."""
    shapes, at = np.array([shape]), np.array([x])
    if x < shape + 1:
        return float(_gamma_series(shapes, at)[0])
    return 1 - float(_gamma_fraction(shapes, at)[0])


def _log_gamma(shape: Array) -> Array:
    known, index = np.unique(shape, return_inverse=True)
    values: Array = np.array([math.lgamma(value) for value in known])[index]
    return values


def _gamma_series(shape: Array, x: Array) -> Array:
    """P(shape, x), shapes [k]."""
    scale = np.exp(shape * np.log(x) - x - _log_gamma(shape))
    term = 1 / shape
    total, divisor = term.copy(), shape.copy()
    for _ in range(_TERMS):
        divisor += 1
        term *= x / divisor
        total += term
        if not (term > total * 1e-17).any():
            break
    result: Array = scale * total
    return result


def _gamma_fraction(shape: Array, x: Array) -> Array:
    """Q(shape, x) by Lentz's evaluation of the continued fraction, shapes [k]."""
    scale = np.exp(shape * np.log(x) - x - _log_gamma(shape))
    b = x + 1 - shape
    c, d = np.full_like(x, 1e300), 1 / b
    fraction = d.copy()
    for i in range(1, _TERMS):
        a = -i * (i - shape)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        step = c * d
        fraction *= step
        if not (np.abs(step - 1) >= 1e-15).any():
            break
    result: Array = scale * fraction
    return result
