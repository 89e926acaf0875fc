"""Performance without labels: what confidences say, taken as right as they were in the profile.

A row of class k predicted with a confidence in bin b is right with the probability that rows of
that class and bin were right in the profile's labelled data. Summed up over the window's rows, that
is the confusion matrix to be expected, and what metrics make of it is their estimate. It holds as
long as inputs alone change; where what is true of the same inputs changes, labels alone can tell.

Source: confidence-based performance estimation (CBPE), Białek et al., Estimating Model Performance
Under Covariate Shift Without Labels (2024); here on bins, and with confusions among more than two
classes as they were in the profile's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.profile import Calibration
from exporters.drift.performance import confusion, scores
from exporters.drift.performance.interval import EMPTY, Array, Measured, Z

__all__ = ["Chances", "estimate", "estimate_all"]

WEIGHT: Final = 1.0
"""Rows that a confidence itself counts for, against those of its bin in the profile."""

DRAWS: Final = 50

TOGETHER: Final = 64
"""Models that are estimated at once: some megabytes of draws."""


@dataclass(frozen=True, slots=True)
class Chances:
    """What the confidences of a model are worth.

    `right`, shape [classes, bins], is how likely a prediction of a class is right; `draws`, shape
    [DRAWS, classes, bins], what that may as well be, given how few rows of the profile tell it;
    `wrong`, shape [classes, classes + 1], which other class (last: any the profile does not know)
    it is where it is wrong, each row adding up to 1.
    """

    edges: tuple[float, ...]
    right: Array
    draws: Array
    wrong: Array

    @classmethod
    def of(cls, calibration: Calibration) -> Chances:
        """The chances that a profile's calibration gives.

        Rows of a bin count with the bin's middle for one row more; then right is made to rise with
        confidence, as isotonic regression does (Zadrozny and Elkan, 2002). Draws are of the beta
        distribution of each bin.
        """
        predicted = np.array(calibration.predicted, dtype=np.float64)
        correct = np.array(calibration.correct, dtype=np.float64)
        middle = np.clip(_middles(calibration.edges), 0.001, 0.999)
        successes = correct + WEIGHT * middle
        total = predicted + WEIGHT
        mean = successes / total
        right = np.array([_rising(*line) for line in zip(mean, total, strict=True)])
        # Always the same, so that a collector that starts again says the same.
        drawn = np.random.default_rng(0).beta(
            successes, total - successes, size=(DRAWS, *mean.shape)
        )
        draws = np.clip(right + drawn - mean, 0.0, 1.0)
        return cls(
            calibration.edges,
            right,
            draws,
            _wrong(np.array(calibration.confusion, dtype=np.float64)),
        )


def _middles(edges: Sequence[float]) -> Array:
    ends = np.array([0.0, *edges, edges[-1]])
    middles: Array = (ends[:-1] + ends[1:]) / 2
    return middles


def _rising(values: Array, weights: Array) -> Array:
    """The nearest values that never fall, by pooling neighbours that do.

    Source: Ayer et al., An Empirical Distribution Function for Sampling with Incomplete
    Information (1955).
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, held, size = pools.pop()
            both = held + pool[1]
            pool = ((mean * held + pool[0] * pool[1]) / both, both, size + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def _wrong(counts: Array) -> Array:
    """Which class it is instead, by the confusions of the profile; one row shared out at first."""
    width = len(counts) - 1
    errors = counts[:-1].copy()
    np.fill_diagonal(errors, 0.0)
    if width > 1:
        errors[:, :width] += (1 - np.eye(width)) / (width - 1)
    total = errors.sum(axis=1, keepdims=True)
    errors[:, width] += total[:, 0] == 0
    shares: Array = errors / errors.sum(axis=1, keepdims=True)
    return shares


def estimate(counts: Array, chances: Chances) -> dict[str, Measured]:
    """As estimate_all, of one model: `counts` of shape [classes, bins], metrics of shape []."""
    found = estimate_all(counts[np.newaxis], [chances])
    return {name: Measured(own.value[0], own.lower[0], own.upper[0]) for name, own in found.items()}


def estimate_all(counts: Array, chances: Sequence[Chances]) -> dict[str, Measured]:
    """Metrics of models with as many classes and the same bins, each of shape [models].

    `counts`, shape [models, classes, bins], are the confidences of a window. Of two classes the
    last is the positive one; more have averages only. NaN where there are no counts. The interval
    covers what labels of that many rows would show by chance, and how surely the profile knows how
    right confidences are.
    """
    parts = [
        _estimate_some(counts[start : start + TOGETHER], chances[start : start + TOGETHER])
        for start in range(0, len(counts), TOGETHER)
    ]
    return {
        name: Measured(
            np.concatenate([part[name].value for part in parts]),
            np.concatenate([part[name].lower for part in parts]),
            np.concatenate([part[name].upper for part in parts]),
        )
        for name in parts[0]
    }


def _estimate_some(counts: Array, chances: Sequence[Chances]) -> dict[str, Measured]:
    right = np.array([own.right for own in chances])
    draws = np.array([own.draws for own in chances])
    wrong = np.array([own.wrong for own in chances])
    edges = chances[0].edges
    found = _metrics(counts, right, wrong, edges)
    drawn = _metrics(counts[:, np.newaxis], draws, wrong[:, np.newaxis], edges)
    empty = counts.sum(axis=(-2, -1)) < EMPTY
    widened = {}
    for name, own in found.items():
        spread = Z * drawn[name].value.std(axis=1)
        value = np.where(empty, np.nan, own.value)
        widened[name] = Measured(
            value,
            np.maximum(value - np.hypot(value - own.lower, spread), 0.0),
            np.minimum(value + np.hypot(own.upper - value, spread), 1.0),
        )
    return widened


def _metrics(
    counts: Array, right: Array, wrong: Array, edges: Sequence[float]
) -> dict[str, Measured]:
    """For `right` of shape [..., classes, bins]: metrics of shape [...]."""
    width = counts.shape[-2]
    correct = (counts * right).sum(axis=-1)
    errors = counts.sum(axis=-1) - correct
    expected = np.zeros((*correct.shape[:-1], width + 1, width + 1))
    expected[..., :width, :] = errors[..., np.newaxis] * wrong
    places = np.arange(width)
    expected[..., places, places] += correct
    found = {"accuracy": confusion.accuracy(expected), **confusion.averages(expected)}
    if width == 2:
        found |= confusion.of_class(expected, 1)
        found["auc"] = scores.auc(*_by_truth(counts, right, edges))
    return found


def _by_truth(counts: Array, right: Array, edges: Sequence[float]) -> tuple[Array, Array]:
    """The scores that positives and negatives have to be expected to have, in ascending order.

    A confidence in the negative class is 1 less the score: its bins lie there, in between those of
    the positive class where both were predicted at the same scores. Shapes [..., places].
    """
    middles = _middles(edges)
    places, order = np.unique(
        np.round(np.concatenate([1 - middles, middles]), 9), return_inverse=True
    )
    true = counts * right
    false = counts - true

    at = np.eye(len(places))[order]

    def laid(negative: Array, positive: Array) -> Array:
        found: Array = np.einsum("...b,bp", np.concatenate([negative, positive], axis=-1), at)
        return found

    return (
        laid(false[..., 0, :], true[..., 1, :]),
        laid(true[..., 0, :], false[..., 1, :]),
    )
