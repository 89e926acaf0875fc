"""What sampling alone gives: the noise floor of each method, and p-values that hold for small n.

For most methods n_e times a function of the score, with 1/n_e = 1/n + 1/m, is under the null a sum
over bins of h(N), where N is Poisson with the bin's expectation. Large expectations make the sum a
chi-square; small ones (few values, rare categories) make its tail heavier, which is where floors
by chi-square alone raise false alarms. Here the sum's mean, variance and skewness come from the
exact Poisson moments of h, corrected for the total being given, and its tail is that of the gamma
distribution with these three moments (Pearson's type III). The moments of h depend on the
expectation alone and are tabulated once.

Total variation and Wasserstein take the moments of their Gaussian limit, and ks has its own.

Sources: for PSI's chi-square, Yurdakul, Statistical Properties of Population Stability Index
(2018); moments given the total, Morris, Central Limit Theorems for Multinomial Sums (1975);
mean and variance of Pearson's statistic, Haldane (1937); Kolmogorov's limit, Smirnov (1948);
absolute moments of Gaussians, Nabeya (1951).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exporters.drift.chi_square import chi_square_quantile, chi_square_tail
from exporters.drift.statistics import EMPTY, Sides, chi_square, hellinger, occupied_bins

__all__ = ["NOISE_QUANTILE", "floor", "p_values", "raised_floor"]

Array = NDArray[np.float64]

NOISE_QUANTILE: Final = 0.99
"""A floor is exceeded by sampling alone in 1 of 100 windows."""

KOLMOGOROV: Final = 1.6276236115189503
"""The 0.99 quantile of Kolmogorov's distribution."""


@dataclass(frozen=True, slots=True)
class _Summed:
    """A method whose score is `score(sum of h / n_e)`. h takes N and its expectation."""

    h: Callable[[Array, Array], Array]
    score: Callable[[Array], Array] = lambda mean: mean


def _psi(n: Array, expected: Array) -> Array:
    # As statistics.psi has it: half an observation, or what was expected if that is less.
    seen = np.where(n < EMPTY, np.minimum(EMPTY, expected), n)
    return (seen - expected) * np.log(seen / expected)


def _kl(n: Array, expected: Array) -> Array:
    return np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / expected), 0.0) - (n - expected)


def _jensen_shannon(n: Array, expected: Array) -> Array:
    middle = (n + expected) / 2
    own = np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / middle), 0.0)
    return (own + expected * np.log(expected / middle)) * (0.5 / math.log(2))


def _hellinger(n: Array, expected: Array) -> Array:
    return (np.sqrt(n) - np.sqrt(expected)) ** 2 / 2


def _chi_square(n: Array, expected: Array) -> Array:
    return (n - expected) ** 2 / expected


_METHODS: Final = {
    "psi": _Summed(_psi),
    "kl": _Summed(_kl),
    "jensen_shannon_distance": _Summed(_jensen_shannon, np.sqrt),
    "hellinger": _Summed(_hellinger, np.sqrt),
    "chi_square": _Summed(_chi_square),
}

_LOG_LEAST: Final = math.log(1e-4)
_STEP: Final = 0.05
_POINTS: Final = 461
"""Expectations from 1e-4 to 1e6; what lies beyond differs by nothing that matters."""


@cache
def _moments(method: str) -> Array:
    """Cumulants of h at each tabulated expectation; shape [6, points].

    Mean, variance, the third; then those joint with x = (N - expectation) / sqrt(expectation):
    (h, x), (h, h, x), (h, x, x).
    """
    h = _METHODS[method].h
    rows = []
    largest = math.exp(_LOG_LEAST + _STEP * (_POINTS - 1))
    factorial = np.concatenate([[0], np.cumsum(np.log(np.arange(1, largest * 1.02 + 100)))])
    for point in range(_POINTS):
        expected = math.exp(_LOG_LEAST + _STEP * point)
        reach = 12 * math.sqrt(expected) + 12
        n = np.arange(max(0, int(expected - reach)), int(expected + reach) + 1, dtype=np.float64)
        weight = np.exp(n * math.log(expected) - expected - factorial[n.astype(np.int64)])
        weight /= weight.sum()
        values, x = h(n, np.full_like(n, expected)), (n - expected) / math.sqrt(expected)
        mean = (weight * values).sum()
        v = values - mean
        rows.append(
            [mean, *((weight * part).sum() for part in (v**2, v**3, v * x, v * v * x, v * x * x))]
        )
    return np.array(rows).T


@cache
def _standard_quantiles() -> tuple[Array, Array]:
    """Skewness from 0, and the 0.99 quantile of a gamma of that skewness, mean 0 and variance 1."""
    skewness = np.linspace(0.02, 2.8, 140)
    shapes = 4 / skewness**2
    quantiles = [
        (chi_square_quantile(NOISE_QUANTILE, 2 * shape) / 2 - shape) / math.sqrt(shape)
        for shape in shapes
    ]
    return skewness, np.array(quantiles)


def _tail_moments(sides: Sides, method: str) -> tuple[Array, Array, Array]:
    """Mean, deviation and skewness of the sum of h over bins without drift; shapes [...]."""
    both = sides.reference + sides.current
    vacant = both < EMPTY
    effective = _effective(sides)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = both * (effective / (sides.n + sides.m))[..., np.newaxis]
        at = (np.log(np.where(vacant, 1.0, expected)) - _LOG_LEAST) / _STEP
    at = np.clip(np.nan_to_num(at), 0, _POINTS - 1.001)
    left = at.astype(np.int64)
    share = at - left
    total = effective[..., np.newaxis]
    root = np.sqrt(np.where(vacant, 0.0, expected))

    def summed(part: int, power: int = 0) -> Array:
        table = _moments(method)[part]
        values = table[left] * (1 - share) + table[left + 1] * share
        result: Array = np.where(vacant, 0.0, values * root**power).sum(axis=-1)
        return result

    with np.errstate(divide="ignore", invalid="ignore"):
        # The part of h that follows the total, which is given, is taken out: h - slope (N - E N).
        slope = summed(3, 1) / total[..., 0]
        hxx, hhx = summed(5, 2), summed(4, 1)
        # And the square of the total: of a chi-square of B bins one degree of freedom.
        lost = (hxx / total[..., 0] - slope) / 2
        mean = summed(0) - lost
        variance = summed(1) - slope**2 * total[..., 0] - 2 * lost**2
        third = summed(2) - 3 * slope * hhx + 3 * slope**2 * hxx - slope**3 * total[..., 0]
        third -= 8 * lost**3
        deviation = np.sqrt(np.maximum(variance, 0))
        skewness = np.where(deviation > 0, third / deviation**3, 0.0)
    return mean, deviation, np.clip(skewness, 0.02, 2.8)


def floor(method: str, sides: Sides, places: Array) -> Array:
    """The score that sampling alone exceeds in 1 of 100 windows, in the units of the method.

    Shape [...] for counts [..., bins]; NaN where either side is empty, 0 with one occupied bin.
    For ks it is the quantile of Kolmogorov's distribution, which for bins is on the safe side.
    """
    if method == "ks":
        with np.errstate(divide="ignore"):
            return sides.filled(KOLMOGOROV * np.sqrt(1 / sides.n + 1 / sides.m))
    if method in ("total_variation", "wasserstein"):
        return _gaussian_floor(method, sides, places)
    own = "chi_square" if method == "cramers_v" else method
    mean, deviation, skewness = _tail_moments(sides, own)
    summed = np.maximum(mean + deviation * np.interp(skewness, *_standard_quantiles()), 0.0)
    summed = np.where(occupied_bins(sides.reference, sides.current) < 2, 0.0, summed)
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "cramers_v":
            return sides.filled(np.sqrt(summed / (sides.n + sides.m)))
        scored: Array = _METHODS[method].score(summed * (1 / sides.n + 1 / sides.m))
    return sides.filled(scored)


def raised_floor(floor: Array, score: Array, p_value: Array) -> Array:
    """The floor, but no lower than a score that the p-value says chance gives; shape [...].

    A bin in which nearly nothing is expected, such as the one above the reference's largest value,
    makes the tail of a score two-humped: what one value there does lies beyond any smooth tail, and
    happens in more than 1 of 100 small windows. The p-value knows such bins, whatever the method.
    """
    by_chance = (score > floor) & (p_value > 1 - NOISE_QUANTILE)
    raised: Array = np.where(by_chance, score, floor)
    return raised


def p_values(sides: Sides) -> Array:
    """How often sampling alone gives counts as far apart as these; right for small counts too.

    The larger of the p-values of Pearson's chi-square and of the squared Hellinger distance (as a
    test, Freeman and Tukey's): large windows make them equal, but a value in a bin that the
    reference hardly fills weighs too much in the first where the window is the smaller side, and
    in the second where it is the larger. Shape [...]; 1 with one occupied bin, NaN where either
    side is empty.
    """
    effective = _effective(sides)
    tests = (
        ("chi_square", chi_square(sides)),
        ("hellinger", hellinger(sides) ** 2 * effective),
    )
    found = [_tail(summed, *_tail_moments(sides, method)) for method, summed in tests]
    single = occupied_bins(sides.reference, sides.current) < 2
    return sides.filled(np.where(single, 1.0, np.maximum(*found)))


def _effective(sides: Sides) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        size: Array = sides.n * sides.m / (sides.n + sides.m)
    return size


def _tail(summed: Array, mean: Array, deviation: Array, skewness: Array) -> Array:
    shape = 4 / skewness**2
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.where(deviation > 0, (summed - mean) / deviation, -np.inf)
    return chi_square_tail(2 * np.maximum(shape + standard * np.sqrt(shape), 0.0), 2 * shape)


def _gaussian_floor(method: str, sides: Sides, places: Array) -> Array:
    """Total variation's and Wasserstein's: weighted sums of absolute values that hang together.

    Over sqrt(n_e) they follow from the reference's shares alone.
    """
    if method == "wasserstein":
        sides = Sides(sides.reference[..., 1:], sides.current[..., 1:])
        weights = np.diff(places[..., 1:], axis=-1)
    else:
        weights = np.full_like(sides.reference, 0.5)
    shape = sides.reference.shape
    quantiles = np.frombuffer(
        _gaussian_quantiles(
            method,
            np.nan_to_num(sides.p).reshape(-1, shape[-1]).tobytes(),
            np.ascontiguousarray(weights.reshape(-1, weights.shape[-1])).tobytes(),
            math.prod(shape[:-1]),
        )
    ).reshape(shape[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return sides.filled(quantiles * np.sqrt(1 / sides.n + 1 / sides.m))


@lru_cache(maxsize=256)
def _gaussian_quantiles(method: str, shares: bytes, weights: bytes, rows: int) -> bytes:
    """The 0.99 quantiles over sqrt(n_e), for as many rows of shares; float64.

    The differences of shares are Gaussian in the limit, with the covariances of a multinomial, and
    so are their running sums. That gives mean and variance of the sum of absolute values exactly
    (E|XY| of two correlated Gaussians: Nabeya 1951). The skewness is that of one absolute value, 1,
    where one makes the sum; the less the sum varies the less it is skewed, down to 0 for many
    independent parts, but 1.3 for many running sums (of a Brownian bridge's absolute area). With a
    gamma distribution of these moments the floor is from 2% below to 6% above what draws give.
    """
    p = np.frombuffer(shares).reshape(rows, -1)
    weight = np.frombuffer(weights).reshape(rows, -1)
    if method == "wasserstein":
        below = np.cumsum(p, axis=1)[:, :-1]
        covariance = np.minimum(below[:, :, np.newaxis], below[:, np.newaxis]) - (
            below[:, :, np.newaxis] * below[:, np.newaxis]
        )
    else:
        covariance = -p[:, :, np.newaxis] * p[:, np.newaxis]
        diagonal = np.arange(p.shape[1])
        covariance[:, diagonal, diagonal] += p
    deviation = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    both = deviation[:, :, np.newaxis] * deviation[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.where(both > 0, covariance / both, 0.0).clip(-1, 1)
    product = np.sqrt(1 - correlation**2) + correlation * np.arcsin(correlation)
    product *= both * (2 / math.pi)
    mean = math.sqrt(2 / math.pi) * (weight * deviation).sum(axis=1)
    second = (product * weight[:, :, np.newaxis] * weight[:, np.newaxis]).sum(axis=(1, 2))
    spread = np.sqrt(np.maximum(second - mean**2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        varies = np.where(mean > 0, spread / mean, 0.0)
    if method == "wasserstein":
        skewness = np.clip(1.3 - (varies - 0.45), 1.0, 1.3)
    else:
        skewness = np.clip(1.5 * varies, 0.02, 1.0)
    quantiles: Array = mean + spread * np.interp(skewness, *_standard_quantiles())
    return quantiles.tobytes()
