"""Two versions at the same times: how they differ, and how often chance alone would say so.

Everything comes in strata, short stretches of time in which both versions had traffic. What
changes with time then changes both sides of each comparison: an incident that meets a canary while
its share of the traffic grows does not make it look worse. Arrays have one item for each stratum;
counts may be fractions, as PromQL's `increase` gives them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exporters.drift.chi_square import chi_square_tail

__all__ = [
    "Difference",
    "Means",
    "Shares",
    "compare_distributions",
    "compare_means",
    "compare_shares",
]

Array = NDArray[np.float64]

_LEAST_EXPECTED: Final = 5.0
"""What the normal approximation of counts needs, by Mantel and Fleiss's criterion."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Both sides, weighted alike, and the p-value of the difference.

    Of a share or a mean it is one-sided: small where the newer one's is larger. NaN where there is
    nothing to compare.
    """

    newer: float
    older: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Of `n` events, `hits`; shape [strata]."""

    hits: Array
    n: Array


@dataclass(frozen=True, slots=True)
class Means:
    """`n` values, their sum, and the sum of their squares; shape [strata]."""

    n: Array
    total: Array
    squares: Array


_NOTHING: Final = Difference(math.nan, math.nan, math.nan)


def compare_shares(newer: Shares, older: Shares) -> Difference:
    """Whether the newer side's share is larger, by Mantel and Haenszel's test over strata.

    In a stratum with n1 and n0 events and m hits in all of N = n1 + n0, chance gives the newer side
    n1 m / N hits, with a variance of n1 n0 m (N - m) / (N^2 (N - 1)); the sum of hits, less half a
    hit, is held against the sums of both. With one stratum that is the z-test of two proportions
    with Yates's correction. Where fewer hits, or fewer others, are to be expected than the normal
    approximation needs, Fisher's exact test of the sums is taken instead. Sources: Mantel and
    Haenszel, Statistical Aspects of the Analysis of Data from Retrospective Studies (1959); Mantel
    and Fleiss, Minimum Expected Cell Size Requirements (1980).

    Shares are means over strata with weights n1 n0 / N, which make the difference of the two that
    of Mantel and Haenszel (Greenland and Robins 1985).
    """
    both = (newer.n > 0) & (older.n > 0)
    n1, n0 = newer.n[both], older.n[both]
    hits, others = np.minimum(newer.hits[both], n1), np.minimum(older.hits[both], n0)
    if not len(n1):
        return _NOTHING
    n, m = n1 + n0, hits + others
    weights = n1 * n0 / n
    shares = [float((weights * part).sum() / weights.sum()) for part in (hits / n1, others / n0)]
    expected = float((n1 * m / n).sum())
    least = float(np.maximum(m - n0, 0).sum())
    most = float(np.minimum(m, n1).sum())
    if min(expected - least, most - expected) < _LEAST_EXPECTED:
        sums = (float(hits.sum()), float(n1.sum()), float(others.sum()), float(n0.sum()))
        return Difference(shares[0], shares[1], _fisher(*map(round, sums)))
    variance = float((n1 * n0 * m * (n - m) / (n**2 * np.maximum(n - 1, 1))).sum())
    z = (float(hits.sum()) - expected - 0.5) / math.sqrt(variance)
    return Difference(shares[0], shares[1], _upper_tail(z))


def compare_means(newer: Means, older: Means) -> Difference:
    """Whether the newer side's mean is larger, by Welch's test over strata.

    Differences of means are weighted with n1 n0 / N, and have the variance w^2 (s1^2 / n1 + s0^2 /
    n0), each s^2 of its own side and pooled over strata. Degrees of freedom are many, so the normal
    distribution is taken. Sources: Welch, The Generalization of Student's Problem (1947); the
    weights as in `compare_shares`.
    """
    both = (newer.n > 0) & (older.n > 0)
    if not both.any():
        return _NOTHING
    n1, n0 = newer.n[both], older.n[both]
    weights = n1 * n0 / (n1 + n0)
    weights = weights / weights.sum()
    means = [side.total[both] / side.n[both] for side in (newer, older)]
    values = [float((weights * mean).sum()) for mean in means]
    spread = [
        max(float((side.squares[both] - side.n[both] * mean**2).sum()), 0.0)
        / max(float(side.n[both].sum()) - len(mean), 1.0)
        for side, mean in zip((newer, older), means, strict=True)
    ]
    variance = float((weights**2 * (spread[0] / n1 + spread[1] / n0)).sum())
    if variance <= 0:
        return Difference(values[0], values[1], math.nan)
    z = (values[0] - values[1]) / math.sqrt(variance)
    return Difference(values[0], values[1], _upper_tail(z))


def compare_distributions(newer: Array, older: Array) -> Difference:
    """Whether two sides are distributed otherwise over classes, in either direction.

    Counts of shape [strata, classes]. It is Mantel and Haenszel's test of several classes: with the
    newer side's counts less what chance gives, T, and their covariance V, T V^-1 T is chi-square
    with as many degrees of freedom as V has rank, about. Source: Landis, Heyman and Koch, Average
    Partial Association in Three-Way Contingency Tables (1978). `newer` is half the sum of the
    distances of all shares, the share of predictions that would have to change their class; `older`
    is 0.
    """
    n1, n0 = newer.sum(axis=1), older.sum(axis=1)
    both = (n1 > 0) & (n0 > 0)
    if not both.any():
        return _NOTHING
    newer, older, n1, n0 = newer[both], older[both], n1[both], n0[both]
    n, m = n1 + n0, newer + older
    weights = n1 * n0 / n
    apart = (weights[:, np.newaxis] * (newer / n1[:, np.newaxis] - older / n0[:, np.newaxis])).sum(
        axis=0
    ) / weights.sum()
    # Classes that hardly occur are no chi-square: they count together with the most frequent one.
    kept = m.sum(axis=0) * min(n1.sum(), n0.sum()) / n.sum() >= _LEAST_EXPECTED
    order = np.argsort(m.sum(axis=0))
    kept[order[-1]] = False  # what is in no other class is in this one
    if not kept.any():
        return Difference(float(np.abs(apart).sum() / 2), 0.0, math.nan)
    shares = m[:, kept] / n[:, np.newaxis]
    surplus = (newer[:, kept] - n1[:, np.newaxis] * shares).sum(axis=0)
    factor = n1 * n0 / np.maximum(n - 1, 1)
    covariance = np.diag((factor[:, np.newaxis] * shares).sum(axis=0)) - np.einsum(
        "s,si,sj->ij", factor, shares, shares
    )
    statistic = float(surplus @ np.linalg.pinv(covariance, hermitian=True) @ surplus)
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    p_value = float(chi_square_tail(statistic, freedom)) if freedom else math.nan
    return Difference(float(np.abs(apart).sum() / 2), 0.0, p_value)


def _upper_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


def _fisher(hits: int, n: int, others: int, others_n: int) -> float:
    """Of as many hits in all, the chance of at least so many on the newer side.

    That is the tail of the hypergeometric distribution. Source: Fisher, The Logic of Inductive
    Inference (1935).
    """
    in_all = hits + others
    most = min(in_all, n)
    if hits > most:
        return math.nan
    found = np.arange(hits, most + 1, dtype=np.float64)
    log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])

    def choose(of: float, chosen: Array) -> Array:
        counted: Array = log_gamma(of + 1) - log_gamma(chosen + 1) - log_gamma(of - chosen + 1)
        return counted

    possible = in_all - found <= others_n
    found = found[possible]
    if not len(found):
        return math.nan
    whole = choose(n + others_n, np.array([in_all], dtype=np.float64))
    logs = choose(n, found) + choose(others_n, in_all - found) - whole
    return min(float(np.exp(logs).sum()), 1.0)
