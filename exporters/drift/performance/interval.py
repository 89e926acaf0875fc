"""A number with its confidence interval, and intervals of shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["EMPTY", "Measured", "Z", "around", "of_share", "ratio", "wilson"]

Array = NDArray[np.float64]

Z: Final = 1.959963984540054
"""The 97.5% quantile of the normal distribution: intervals hold 95%."""

EMPTY: Final = 0.5
"""Fewer counts than this are none: what PromQL extrapolates is not whole."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric and the ends of its 95% interval, arrays of one shape; NaN where not defined."""

    value: Array
    lower: Array
    upper: Array

    def widened(self, by: Array) -> Measured:
        """With `by` more uncertainty on either side, as far as shares go: from 0 to 1."""
        return Measured(
            self.value, np.maximum(self.lower - by, 0.0), np.minimum(self.upper + by, 1.0)
        )


def ratio(part: Array, whole: Array) -> Array:
    """Part / whole; NaN where the whole is empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole >= EMPTY, part / whole, np.nan)


def wilson(share: Array, n: Array) -> Measured:
    """A share of n independent observations, with Wilson's score interval; NaN without any.

    With q = z^2 / n: (share + q/2 ± z sqrt(share (1 - share) / n + q / (4 n))) / (1 + q).

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference (1927).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        q = Z * Z / np.where(n >= EMPTY, n, np.nan)
        middle = share + q / 2
        half = np.sqrt(np.maximum(share * (1 - share), 0.0) * q + q * q / 4)
        lower, upper = (middle - half) / (1 + q), (middle + half) / (1 + q)
    # Rounding must not put the share itself outside.
    return Measured(
        share + 0.0 * q, np.minimum(np.maximum(lower, 0.0), share), np.maximum(upper, share)
    )


def of_share(share: Array, variance: Array, n: Array) -> Measured:
    """A number from 0 to 1 that is no plain share, whose variance is known.

    Wilson's interval at the size at which a plain share would have that variance,
    share (1 - share) / variance; and at size n where the variance is 0, which observations that
    are all alike give.

    Source: Korn and Graubard, Confidence Intervals for Proportions with Small Expected Number of
    Positive Counts (1998), which do so for the Clopper–Pearson interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = share * (1 - share) / variance
    usable = np.isfinite(effective) & (effective > 0) & (variance > 1e-15)
    return wilson(share, np.where(usable, effective, n))


def around(value: Array, variance: Array) -> Measured:
    """A mean of many independent terms, and the normal interval of its variance."""
    half = Z * np.sqrt(np.maximum(variance, 0.0))
    return Measured(value, value - half, value + half)
