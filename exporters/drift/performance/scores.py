"""Metrics of a binary classifier's scores, from their histograms by what was true.

Every function takes counts of the positives' and of the negatives' scores, each of shape
[..., bins] in ascending order of scores. Scores in one bin can't be told apart: they count as tied,
and intervals are widened by what their order within the bins could make.
"""

from __future__ import annotations

import math

import numpy as np

from exporters.drift.performance.interval import EMPTY, Array, Measured, around, of_share, ratio

__all__ = ["auc", "average_precision", "calibration_error", "mean_loss"]


def auc(positives: Array, negatives: Array) -> Measured:
    """The area under the ROC curve: how often a positive scores above a negative, ties half.

    Exact for the binned scores. The order within bins could move it by at most the share of pairs
    in one bin, halved: sum of p_b n_b / (2 P N); the interval is wider by that.

    Source: Bamber (1975); variance by DeLong, DeLong and Clarke-Pearson, Comparing the Areas under
    Two or More Correlated Receiver Operating Characteristic Curves (1988), on bins.
    """
    p, n = positives.sum(axis=-1), negatives.sum(axis=-1)
    # Of each bin, the share of negatives below it, and of positives above it; ties half.
    below = _divided(np.cumsum(negatives, axis=-1) - negatives / 2, n)
    above = _divided(p[..., np.newaxis] - np.cumsum(positives, axis=-1) + positives / 2, p)
    value = ratio((positives * below).sum(axis=-1), p)
    each = value[..., np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (positives * (below - each) ** 2).sum(axis=-1) / p / np.maximum(p - 1, EMPTY)
        variance += (negatives * (above - each) ** 2).sum(axis=-1) / n / np.maximum(n - 1, EMPTY)
        ties = (positives * negatives).sum(axis=-1) / (2 * p * n)
    return of_share(value, variance, np.minimum(p, n)).widened(ties)


def average_precision(positives: Array, negatives: Array) -> Measured:
    """The mean, over positives, of the precision among what scores as high or higher.

    On the binned scores it is scikit-learn's. The interval is by the delta method, widened by what
    the best and the worst order within bins would make of it.

    Source: Boyd, Eng and Page, Area under the Precision-Recall Curve: Point Estimates and
    Confidence Intervals (2013), section 3.
    """
    p, n = positives.sum(axis=-1), negatives.sum(axis=-1)
    total = p[..., np.newaxis]
    true = np.cumsum(positives[..., ::-1], axis=-1)[..., ::-1]
    false = np.cumsum(negatives[..., ::-1], axis=-1)[..., ::-1]
    both = true + false
    precision = np.nan_to_num(ratio(true, both))
    value = ratio((positives * precision).sum(axis=-1), p)
    value = np.where(n >= 0, value, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(both >= EMPTY, positives / both**2, 0.0) / total
        # A count in a bin changes the precision at that bin's threshold and at all lower ones.
        by_positive = (precision - value[..., np.newaxis]) / total + np.cumsum(
            weight * false, axis=-1
        )
        by_negative = -np.cumsum(weight * true, axis=-1)
        variance = (positives * by_positive**2 + negatives * by_negative**2).sum(axis=-1)
        variance -= (positives * by_positive + negatives * by_negative).sum(axis=-1) ** 2 / (p + n)
    best = _ordered(positives, true - positives, false - negatives, p)
    worst = _ordered(positives, true - positives, false, p)
    apart = np.maximum(np.maximum(best - value, value - worst), 0.0)
    return of_share(value, variance, p).widened(apart)


def _ordered(own: Array, true: Array, false: Array, p: Array) -> Array:
    """Average precision where each bin's positives follow `true` and `false` counts one by one.

    The integral over x from 0 to `own` of (true + x) / (true + x + false).
    """
    start = true + false
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where((false > 0) & (own > 0), false * np.log((start + own) / start), 0.0)
    return ratio((own - lost).sum(axis=-1), p)


def calibration_error(positives: Array, negatives: Array, edges: Array) -> Measured:
    """The mean distance of a score from how often it was right: sum of n_b |share_b - score_b| / N.

    `edges`, shape [bins + 1], bound the bins; a bin's score is taken to be its middle, so that the
    value is right to half the width of bins. Perfect scores, too, have distances by chance; the
    lower end of the interval leaves out that and what lies within a bin.

    Source: Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian
    Binning (2015), expected calibration error.
    """
    both = positives + negatives
    total = both.sum(axis=-1)
    low, high = edges[:-1], edges[1:]
    share = np.nan_to_num(ratio(positives, both))

    def mean(distance: Array) -> Array:
        return ratio((both * distance).sum(axis=-1), total)

    value = mean(np.abs(share - (low + high) / 2))
    least = mean(np.maximum(np.maximum(low - share, share - high), 0.0))
    most = mean(np.maximum(share - low, high - share))
    spread = both * share * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = math.sqrt(2 / math.pi) * np.sqrt(spread).sum(axis=-1) / total
        variance = spread.sum(axis=-1) / total**2
    half = around(np.zeros_like(value), variance).upper
    return Measured(value, np.maximum(least - by_chance - half, 0.0), np.minimum(most + half, 1.0))


def mean_loss(total: Array, squares: Array, n: Array) -> Measured:
    """A mean loss from the sums of the loss and of its square over n: log loss, Brier score.

    The sums are those of the raw scores, so it is exact. Source: Brier, Verification of Forecasts
    Expressed in Terms of Probability (1950); for the log loss, Good, Rational Decisions (1952).
    """
    value = ratio(total, n)
    found = around(value, ratio(ratio(squares, n) - value**2, n))
    return Measured(found.value, np.maximum(found.lower, 0.0), found.upper)


def _divided(counts: Array, total: Array) -> Array:
    return ratio(counts, np.broadcast_to(total[..., np.newaxis], counts.shape))
