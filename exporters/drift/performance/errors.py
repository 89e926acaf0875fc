"""Metrics of a regressor's errors, from sums over labelled predictions.

With e = prediction - actual and n of them; intervals are the normal ones of means, with variances
from the sums of higher powers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.drift.performance.interval import Array, Measured, Z, around, ratio

__all__ = ["Sums", "bias", "mae", "r2", "rmse"]


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n labelled predictions, arrays of one shape."""

    n: Array
    absolute: Array
    """Of |e|."""
    signed: Array
    """Of e."""
    squared: Array
    """Of e^2."""
    quartic: Array
    """Of e^4."""
    actual: Array
    """Of the actual values."""
    squared_actual: Array
    """Of their squares."""


def mae(sums: Sums) -> Measured:
    """The mean absolute error; exact. Its variance is (mean of e^2 - mae^2) / n."""
    value = ratio(sums.absolute, sums.n)
    found = around(value, ratio(ratio(sums.squared, sums.n) - value**2, sums.n))
    return Measured(found.value, np.maximum(found.lower, 0.0), found.upper)


def rmse(sums: Sums) -> Measured:
    """The root of the mean squared error; exact. The interval is the root of that of the mean."""
    mean = ratio(sums.squared, sums.n)
    found = around(mean, ratio(ratio(sums.quartic, sums.n) - mean**2, sums.n))
    return Measured(np.sqrt(mean), np.sqrt(np.maximum(found.lower, 0.0)), np.sqrt(found.upper))


def bias(sums: Sums) -> Measured:
    """The mean of e; exact. Above 0, predictions are too high."""
    value = ratio(sums.signed, sums.n)
    return around(value, ratio(ratio(sums.squared, sums.n) - value**2, sums.n))


def r2(sums: Sums) -> Measured:
    """The share of variance explained, 1 - sum e^2 / sum (actual - mean)^2; exact.

    NaN where the actual values are all alike. The interval is by the delta method on the logarithm
    of the ratio, whose variance is at most (k - 1 + 2) / n: k is the errors' kurtosis, 2 that of
    the actual values less 1 where they are normal. Errors that go with the actual values make it
    less, by how much cannot be told from these sums, so that the interval is on the safe side.

    Source: the delta method, Agresti, Categorical Data Analysis (2002), 14.1; Olkin and Finn,
    Correlations Redux (1995) have 4 r2 / n, which is less, for calibrated predictions.
    """
    spread = sums.squared_actual - ratio(sums.actual**2, sums.n)
    # What is left of sums that nearly cancel is rounding.
    spread = np.where(spread > 1e-9 * sums.squared_actual, spread, np.nan)
    left = sums.squared / spread
    value = 1 - left
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = np.where(sums.squared > 0, sums.quartic * sums.n / sums.squared**2, 3.0)
        variance = np.maximum(kurtosis + 1, 0.0) / sums.n
    factor = np.exp(Z * np.sqrt(variance))
    return Measured(value, 1 - left * factor, 1 - left / factor)
