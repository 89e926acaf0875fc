"""Metrics of a confusion matrix, with confidence intervals, over any number of matrices at once.

Every function takes counts of shape [..., predicted, actual]. As in scikit-learn with
zero_division=0, an average is over the classes that occur, predicted or actual, and a class that
was never predicted has precision 0 in it. But what is defined by nothing at all is NaN, and not 0:
the precision of a class that was never predicted, the recall of one that never occurred.

Intervals of averages and of F1 are by the delta method: with g the derivative of the metric by each
cell and n counts in all, the variance is sum C g^2 - (sum C g)^2 / n, as cells of a multinomial
have it. Source: Agresti, Categorical Data Analysis (2002), 14.1; for F1, Takahashi et al.,
Confidence Interval for Micro-Averaged F1 and Macro-Averaged F1 Scores (2022).
"""

from __future__ import annotations

import numpy as np

from exporters.drift.performance.interval import EMPTY, Array, Measured, of_share, ratio, wilson

__all__ = ["accuracy", "averages", "of_class"]


def accuracy(counts: Array) -> Measured:
    """The share of counts on the diagonal, with Wilson's interval; shape [...]."""
    total = counts.sum(axis=(-2, -1))
    return wilson(ratio(_diagonal(counts).sum(axis=-1), total), total)


def of_class(counts: Array, place: int) -> dict[str, Measured]:
    """Precision, recall and F1 of one class, the positive one; each of shape [...].

    With TP, FP and FN of that class: TP / (TP + FP), TP / (TP + FN), 2 TP / (2 TP + FP + FN).
    """
    right = counts[..., place, place]
    predicted, actual = counts[..., place, :].sum(axis=-1), counts[..., :, place].sum(axis=-1)
    both = predicted + actual
    f1 = ratio(2 * right, both)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Cells on the diagonal pull by 2 (1 - f1), the others of that row and column by -f1.
        variance = (4 * (1 - f1) ** 2 * right + f1**2 * (both - 2 * right)) / both**2
    return {
        "precision": wilson(ratio(right, predicted), predicted),
        "recall": wilson(ratio(right, actual), actual),
        "f1": of_share(f1, variance, both / 2),
    }


def averages(counts: Array) -> dict[str, Measured]:
    """Macro and weighted averages of precision, recall and F1 over classes; each of shape [...].

    A macro average is the plain mean over the classes that occur; a weighted one takes each class
    as often as it was the actual one.
    """
    right = _diagonal(counts)
    predicted, actual = counts.sum(axis=-1), counts.sum(axis=-2)
    total = actual.sum(axis=-1)
    occurs = (predicted + actual) >= EMPTY
    classes = occurs.sum(axis=-1)
    measures = {
        "precision": (np.nan_to_num(ratio(right, predicted)), predicted, None),
        "recall": (np.nan_to_num(ratio(right, actual)), None, actual),
        "f1": (np.nan_to_num(ratio(2 * right, predicted + actual)), *(predicted + actual,) * 2),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        macro = np.where(occurs, 1 / classes[..., np.newaxis], 0.0)
        weighted = actual / np.where(total >= EMPTY, total, np.nan)[..., np.newaxis]
    found = {}
    for name, (each, by_row, by_column) in measures.items():
        for kind, weights in (("macro", macro), ("weighted", weighted)):
            value = np.where(total >= EMPTY, (weights * each).sum(axis=-1), np.nan)
            slope = _slope(each, weights, by_row, by_column)
            if kind == "weighted":
                slope += (each[..., np.newaxis, :] - value[..., np.newaxis, np.newaxis]) * (
                    ratio(np.ones_like(total), total)[..., np.newaxis, np.newaxis]
                )
            found[f"{name}_{kind}"] = of_share(value, _variance(counts, slope, total), total)
    return found


def _slope(each: Array, weights: Array, by_row: Array | None, by_column: Array | None) -> Array:
    """The derivative of sum of weights * each by every cell, the weights held; [..., k, k].

    `by_row` and `by_column` are what a class's measure is divided by, where its row (predicted) or
    column (actual) is part of that.
    """
    width = each.shape[-1]
    slope = np.zeros((*each.shape, width))
    unit = np.eye(width)
    for divisor, axis in ((by_row, -1), (by_column, -2)):
        if divisor is not None:
            share = np.nan_to_num(weights / np.where(divisor >= EMPTY, divisor, np.nan))
            slope += np.expand_dims(share, axis) * (unit - np.expand_dims(each, axis))
    return slope


def _variance(counts: Array, slope: Array, total: Array) -> Array:
    pulled = (counts * slope).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance: Array = (counts * slope * slope).sum(axis=(-2, -1)) - pulled**2 / total
    return variance


def _diagonal(counts: Array) -> Array:
    diagonal: Array = np.diagonal(counts, axis1=-2, axis2=-1)
    return diagonal
