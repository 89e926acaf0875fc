"""How far counts lie apart, as pure functions on arrays of counts.

Every function takes `Sides`: the bins of one column along the last axis, padded with zeros where
columns have fewer bins than the widest, so that all columns of all models are one call. Results
have the shape of the counts without that axis and are NaN where either side is empty. p and q are
the shares of the reference's and of the current counts. Equal shares give 0 at any two sizes.

Bins that only one side fills have no logarithm of their ratio. There psi and kl take half an
observation for the empty side, in the manner of a continuity correction, but never more than what
the other side leads to expect: where less than half an observation was due, its absence says
nothing. Bins that are empty on both sides add nothing to any statistic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exporters.drift.chi_square import chi_square_quantile, chi_square_tail

__all__ = [
    "EMPTY",
    "STATISTICS",
    "Sides",
    "chi_square",
    "chi_square_p_value",
    "cramers_v",
    "hellinger",
    "jensen_shannon_distance",
    "jensen_shannon_divergence",
    "kl",
    "ks",
    "mean_shift",
    "measure",
    "noise_floor",
    "occupied_bins",
    "positions",
    "psi",
    "rate",
    "std_shift",
    "total_variation",
    "wasserstein",
]

Array = NDArray[np.float64]

EMPTY: Final = 0.5
"""A bin with fewer counts than this holds nothing: what PromQL extrapolates is not whole."""

NOISE_QUANTILE: Final = 0.99


@dataclass(frozen=True)
class Sides:
    """Counts to compare, each of shape [..., bins], and what several statistics need of them."""

    reference: Array
    current: Array

    @cached_property
    def m(self) -> Array:
        """How many values the reference holds; shape [...]."""
        total: Array = self.reference.sum(axis=-1)
        return total

    @cached_property
    def n(self) -> Array:
        """How many values the window holds; shape [...]."""
        total: Array = self.current.sum(axis=-1)
        return total

    @cached_property
    def p(self) -> Array:
        """Shares of the reference; NaN where it is empty."""
        return _shares(self.reference, self.m)

    @cached_property
    def q(self) -> Array:
        """Shares of the window; NaN where it is empty."""
        return _shares(self.current, self.n)

    @cached_property
    def _seen(self) -> tuple[Array, Array]:
        """The shares, and half an observation (at most the other's share) for empty bins."""
        p, q = self.p, self.q
        with np.errstate(divide="ignore"):
            least_p, least_q = EMPTY / self.m, EMPTY / self.n
        return (
            np.where(self.reference < EMPTY, np.minimum(least_p[..., np.newaxis], q), p),
            np.where(self.current < EMPTY, np.minimum(least_q[..., np.newaxis], p), q),
        )

    @cached_property
    def _log_ratio(self) -> Array:
        """Natural logarithm of q / p; 0 where neither side holds anything."""
        p, q = self._seen
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = q / p
        np.copyto(ratio, 1.0, where=(self.reference < EMPTY) & (self.current < EMPTY))
        logarithm: Array = np.log(ratio, out=ratio)
        return logarithm

    def filled(self, result: Array) -> Array:
        """`result`, but NaN where either side is empty."""
        return np.where((self.m >= EMPTY) & (self.n >= EMPTY), result, np.nan)


def _shares(counts: Array, total: Array) -> Array:
    with np.errstate(invalid="ignore"):
        shares: Array = counts / np.where(total >= EMPTY, total, np.nan)[..., np.newaxis]
    return shares


def psi(sides: Sides) -> Array:
    """Population stability index, in nats: sum over bins of (q - p) ln(q / p). No upper bound.

    Source: Kullback and Leibler, On Information and Sufficiency (1951), where it is the divergence
    J(1, 2); as a stability index, Siddiqi, Credit Risk Scorecards (2006).
    """
    p, q = sides._seen
    return sides.filled(_sum((q - p) * sides._log_ratio))


def kl(sides: Sides) -> Array:
    """Kullback–Leibler divergence of the window from the reference, in nats: sum of q ln(q / p).

    No upper bound. Where the reference got half observations, its shares are scaled back to a sum
    of 1, so that the divergence is never negative.

    Source: Kullback and Leibler, On Information and Sufficiency (1951).
    """
    p, _ = sides._seen
    with np.errstate(divide="ignore"):
        divergence = _sum(sides.q * sides._log_ratio) + np.log(_sum(p))
    return sides.filled(np.maximum(divergence, 0.0))


def jensen_shannon_divergence(sides: Sides) -> Array:
    """Jensen–Shannon divergence, in bits (base 2), 0 to 1.

    With h = (p + q) / 2: half the sum of p log2(p / h) + q log2(q / h). Bins that one side leaves
    empty need no correction.

    Source: Lin, Divergence Measures Based on the Shannon Entropy (1991).
    """
    p, q = sides.p, sides.q
    middle = p + q
    middle *= 0.5
    # Where a side is empty its term is 0, whatever stands in the logarithm.
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.log(np.where(p > 0, p / middle, 1.0)) * p
        terms += np.log(np.where(q > 0, q / middle, 1.0)) * q
    divergence = _sum(terms) * (0.5 / math.log(2))
    return sides.filled(np.maximum(divergence, 0.0))


def jensen_shannon_distance(sides: Sides) -> Array:
    """Jensen–Shannon distance, the square root of the divergence in bits: a metric, 0 to 1.

    Source: Endres and Schindelin, A New Metric for Probability Distributions (2003).
    """
    distance: Array = np.sqrt(jensen_shannon_divergence(sides))
    return distance


def hellinger(sides: Sides) -> Array:
    """Hellinger distance, 0 to 1: the Euclidean distance of sqrt(p) and sqrt(q), over sqrt(2).

    Source: Hellinger (1909); in this scale Le Cam, Asymptotic Methods (1986).
    """
    apart = np.sqrt(sides.p)
    apart -= np.sqrt(sides.q)
    apart *= apart
    distance: Array = np.sqrt(_sum(apart) / 2)
    return sides.filled(distance)


def total_variation(sides: Sides) -> Array:
    """Total variation distance, 0 to 1: half the sum of |q - p|, the share that has to move.

    Source: Levin and Peres, Markov Chains and Mixing Times (2017), proposition 4.2.
    """
    apart = sides.q - sides.p
    return sides.filled(_sum(np.abs(apart, out=apart)) / 2)


def ks(sides: Sides) -> Array:
    """Kolmogorov–Smirnov on bins, 0 to 1: the largest difference of the two running sums.

    For bins in order. What is missing is counted in the first bin, so it lies below every value.
    At most the statistic of the raw values, and equal to it where no bin mixes values.

    Source: Smirnov, Table for Estimating the Goodness of Fit (1948).
    """
    running = np.cumsum(sides.q - sides.p, axis=-1)
    return sides.filled(np.abs(running, out=running).max(axis=-1))


def wasserstein(sides: Sides, places: Array) -> Array:
    """Wasserstein distance of order 1 on bins, in the reference's standard deviations.

    `places` are those of `positions`, shape [..., bins]: every value is taken to lie at its bin's.
    The sum over gaps between places of |running sum of q - p| times the gap. The first bin, which
    holds what is missing, has no place and is left out of both sides.

    Source: Vallender, Calculation of the Wasserstein Distance between Probability Distributions
    on the Line (1974).
    """
    present = _present(sides)
    running = np.cumsum(present.q - present.p, axis=-1)[..., :-1]
    gaps = np.diff(places[..., 1:], axis=-1)
    return present.filled(_sum(np.abs(running, out=running) * gaps))


def mean_shift(sides: Sides, places: Array) -> Array:
    """How far the mean moved, in the reference's standard deviations, by the places of bins."""
    present = _present(sides)
    return present.filled(_sum((present.q - present.p) * places[..., 1:]))


def std_shift(sides: Sides, places: Array) -> Array:
    """The standard deviation's change, in those of the reference: 0 as it was, -1 constant now.

    By the places of bins; a constant reference gives the window's deviation itself.
    """
    present = _present(sides)
    at = places[..., 1:]
    deviations = []
    for shares in (present.p, present.q):
        mean = _sum(shares * at)
        deviations.append(np.sqrt(_sum(shares * (at - mean[..., np.newaxis]) ** 2)))
    return present.filled(deviations[1] - deviations[0])


def _present(sides: Sides) -> Sides:
    return Sides(sides.reference[..., 1:], sides.current[..., 1:])


def positions(edges: Sequence[float], counts: Sequence[float]) -> Array:
    """Where the values of each bin are taken to lie, in the reference's standard deviations.

    For ascending `edges` and one count more than edges, underflow first and overflow last, as in a
    profile; gives one place more, for missing values, which is never read. Inner bins lie at their
    middle. The lowest and highest bin reach to the smallest and largest value, of which one may
    lie a million times too far: they lie at the mean of an exponential tail through the two edges
    before, or at their middle where that is nearer. Underflow and overflow lie at the outermost
    edges. The standard deviation is that of the reference's counts at these places; where it is 0,
    a constant column, every other bin lies 1 away.
    """
    lines, held = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    # Scaled first, so that edges of 1e300 do not overflow.
    largest = float(np.abs(lines).max()) or 1.0
    lines = lines / largest
    places = np.concatenate([lines[:1], (lines[1:] + lines[:-1]) / 2, lines[-1:]])
    if len(lines) > 2:
        places[-2] = min(places[-2], lines[-2] + _tail(lines, held))
        places[1] = max(places[1], lines[1] - _tail(-lines[::-1], held[::-1]))
    total = held.sum() or 1.0
    mean = (held * places).sum() / total
    deviation = math.sqrt((held * (places - mean) ** 2).sum() / total)
    if (held > 0).sum() <= 1:
        index = int(np.argmax(held))
        places = np.sign(np.arange(len(places)) - index).astype(np.float64)
    else:
        places = places / deviation
    return np.concatenate([[0.0], places])


def _tail(edges: Array, counts: Array) -> float:
    """The mean excess over the last but one edge of an exponential through it and the one before.

    An exponential's mean excess is the width in which its upper tail falls to 1/e.
    """
    above = counts[-2] + counts[-1]
    before = above + counts[-3]
    if not 0 < above < before:
        return math.inf
    return float((edges[-2] - edges[-3]) / math.log(before / above))


def chi_square(sides: Sides) -> Array:
    """Pearson's chi-square of the table of two rows, reference and window, and a column per bin.

    The sum over both rows of (observed - expected)^2 / expected, with the expectations of equal
    shares; no correction of continuity. It grows with both sizes: its p-value is what compares.

    Source: Pearson (1900, 1911); Agresti, Categorical Data Analysis (2002), 3.2.
    """
    both = sides.reference + sides.current
    # n m (q - p)^2 / (n + m) summed over both rows, which is never below 0.
    apart = sides.q - sides.p
    apart *= apart
    with np.errstate(divide="ignore", invalid="ignore"):
        apart /= both
    np.copyto(apart, 0.0, where=both < EMPTY)
    return sides.filled(_sum(apart) * sides.n * sides.m)


def chi_square_p_value(sides: Sides) -> Array:
    """How often equal distributions give at least this chi-square; 1 with one occupied bin.

    Asymptotic, with one degree of freedom less than there are occupied bins.
    """
    freedom = occupied_bins(sides.reference, sides.current) - 1
    return sides.filled(chi_square_tail(chi_square(sides), freedom))


def cramers_v(sides: Sides) -> Array:
    """Cramér's V of the same table, 0 to 1: the square root of chi-square over all counts.

    It is weaker where one side is much larger than the other, since few of all values can differ.

    Source: Cramér, Mathematical Methods of Statistics (1946), 21.9.
    """
    with np.errstate(invalid="ignore"):
        association: Array = np.sqrt(chi_square(sides) / (sides.n + sides.m))
    return association


def rate(counts: Array, columns: NDArray[np.bool_]) -> Array:
    """The share of counts [..., bins] that lies in `columns`, of the same shape; NaN without any.

    With the columns of missing values, of underflow and overflow, or of `other` it is the rate of
    missing values, of values out of the reference's range, or of new categories.
    """
    return _sum(np.where(columns, _shares(counts, counts.sum(axis=-1)), 0.0)) + np.where(
        counts.sum(axis=-1) >= EMPTY, 0.0, np.nan
    )


def _sum(terms: Array) -> Array:
    total: Array = terms.sum(axis=-1)
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


STATISTICS: Final[dict[str, Callable[[Sides, Array], Array]]] = {
    "psi": lambda sides, _: psi(sides),
    "kl": lambda sides, _: kl(sides),
    "jensen_shannon_divergence": lambda sides, _: jensen_shannon_divergence(sides),
    "jensen_shannon_distance": lambda sides, _: jensen_shannon_distance(sides),
    "hellinger": lambda sides, _: hellinger(sides),
    "total_variation": lambda sides, _: total_variation(sides),
    "ks": lambda sides, _: ks(sides),
    "wasserstein": wasserstein,
    "mean_shift": mean_shift,
    "std_shift": std_shift,
    "chi_square": lambda sides, _: chi_square(sides),
    "chi_square_p_value": lambda sides, _: chi_square_p_value(sides),
    "cramers_v": lambda sides, _: cramers_v(sides),
}
"""By name, each a function of the sides and of the places of their bins."""

_BLOCK: Final = 2048
"""Rows compared at a time: what lies between stays in the processor's cache, twice as fast."""


def measure(
    names: Sequence[str], reference: Array, current: Array, places: Array
) -> dict[str, Array]:
    """Statistics by name over counts and places of shape [rows, bins]; each of shape [rows]."""
    results = {name: np.empty(len(reference)) for name in names}
    for start in range(0, len(reference), _BLOCK):
        block = slice(start, start + _BLOCK)
        sides = Sides(reference[block], current[block])
        for name, result in results.items():
            result[block] = STATISTICS[name](sides, places[block])
    return results
