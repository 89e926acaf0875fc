"""Outcomes → metrics, for all models of a window at once, and what they say of promises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from contract import catalog
from contract.profile import CONFIDENCE_EDGES
from contract.spec.performance import LOWER_IS_BETTER, Promise
from exporters.drift.performance import confusion, errors, scores
from exporters.drift.performance.estimate import Chances, estimate_all
from exporters.drift.performance.interval import EMPTY, Array, Measured
from exporters.drift.performance.outcomes import Outcomes
from exporters.drift.performance.subject import Subject

__all__ = ["Performance", "Verdict", "Within", "judge", "measure"]

_EDGES = np.array([0.0, *CONFIDENCE_EDGES, 1.0])


@dataclass(frozen=True, slots=True)
class Within:
    """A metric's value and the ends of its 95% interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a metric stands against its promise: `drop` is None where there is no baseline."""

    drop: float | None
    decayed: bool


@dataclass(slots=True)
class Performance:
    """What is known of one model over one window; metrics that nothing defines are not there."""

    samples: float = 0.0
    """Labelled predictions."""
    metrics: dict[str, Within] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    estimated: dict[str, Within] = field(default_factory=dict)
    estimated_verdicts: dict[str, Verdict] = field(default_factory=dict)
    coverage: float | None = None
    """Labels that were joined, of the predictions; None where there were none of those."""
    delay: float | None = None
    """Seconds: the median from a prediction to its label."""
    segments: dict[tuple[str, str], Performance] = field(default_factory=dict)
    """By feature and category: samples, metrics and verdicts."""


def measure(subjects: Sequence[Subject], outcomes: Sequence[Outcomes]) -> list[Performance]:
    """The performance of every subject, from its outcomes over the same window.

    With fewer labels than a subject's `min_samples` it has no metrics, and with fewer confidences
    no estimate.
    """
    found = _with_labels(subjects, outcomes)
    _estimate(subjects, outcomes, found)
    for subject, counted, own in zip(subjects, outcomes, found, strict=True):
        own.estimated_verdicts = _judged(subject, own.estimated)
        predictions = counted.total(catalog.INFERENCE_REQUESTS, "success")
        if predictions >= EMPTY:
            own.coverage = min(counted.total(catalog.LABELS, "matched") / predictions, 1.0)
        own.delay = None if math.isnan(counted.delay) else counted.delay
    _slice(subjects, outcomes, found)
    return found


def _with_labels(subjects: Sequence[Subject], outcomes: Sequence[Outcomes]) -> list[Performance]:
    found = [Performance() for _ in subjects]
    for numbers, samples, metrics in _measured(subjects, outcomes):
        for place, number in enumerate(numbers):
            found[number].samples = float(samples[place])
            if round(samples[place]) >= subjects[number].model.performance.min_samples:
                found[number].metrics |= _defined(metrics, place)
    for subject, own in zip(subjects, found, strict=True):
        own.verdicts = _judged(subject, own.metrics)
    return found


def _slice(
    subjects: Sequence[Subject], outcomes: Sequence[Outcomes], found: Sequence[Performance]
) -> None:
    """Measure every segment as a model of its own."""
    segments = [
        (number, key, own)
        for number, counted in enumerate(outcomes)
        for key, own in counted.segments.items()
    ]
    measured = _with_labels(
        [subjects[number] for number, _, _ in segments], [own for _, _, own in segments]
    )
    for (number, key, _), own in zip(segments, measured, strict=True):
        found[number].segments[key] = own


def judge(metric: str, promise: Promise, found: Within) -> Verdict:
    """Whether a metric is worse than promised by more than chance.

    That is a drop from the baseline of more than max_drop whose 95% interval leaves the baseline
    out; or an interval wholly beyond min or max.
    """
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    value, best = found.value, found.upper if sign > 0 else found.lower
    baseline = promise.baseline
    if metric == "bias":
        nearest = min(abs(found.lower), abs(found.upper))
        value, best = abs(value), 0.0 if found.lower <= 0 <= found.upper else nearest
        baseline = None if baseline is None else abs(baseline)
    drop = None if baseline is None else sign * (baseline - value)
    bound = promise.min if sign > 0 else promise.max
    decayed = bound is not None and sign * (bound - best) > 0
    if baseline is not None and drop is not None and promise.max_drop is not None:
        decayed |= drop > promise.max_drop and sign * (baseline - best) > 0
    return Verdict(drop, decayed)


def _judged(subject: Subject, metrics: Mapping[str, Within]) -> dict[str, Verdict]:
    return {
        metric: judge(metric, promise, metrics[metric])
        for metric, promise in subject.promises()
        if metric in metrics
    }


Group = tuple[Sequence[int], Array, Mapping[str, Measured]]
"""Subjects by their numbers, their labelled predictions, and metrics in the same order."""


def _measured(subjects: Sequence[Subject], outcomes: Sequence[Outcomes]) -> Iterator[Group]:
    widths: dict[int, list[int]] = {}
    regressors = []
    for number, subject in enumerate(subjects):
        if subject.has_classes():
            widths.setdefault(len(subject.classes), []).append(number)
        elif subject.has_errors():
            regressors.append(number)
    for width, numbers in widths.items():
        yield _classes(numbers, [outcomes[number] for number in numbers], width)
    if regressors:
        yield _numbers(regressors, [outcomes[number] for number in regressors])


def _classes(numbers: Sequence[int], outcomes: Sequence[Outcomes], width: int) -> Group:
    counts = np.array([own.confusion for own in outcomes])
    # Of two classes that the profile does not know, nobody can say whether they are the same.
    counts[:, width, width] = 0.0
    found = {"accuracy": confusion.accuracy(counts), **confusion.averages(counts)}
    if width == 2:
        found |= confusion.of_class(counts, 1)
        found |= _scores(outcomes)
    return numbers, counts.sum(axis=(-2, -1)), found


def _scores(outcomes: Sequence[Outcomes]) -> dict[str, Measured]:
    counts = np.array([own.scores for own in outcomes])
    negatives, positives = counts[:, 0], counts[:, 1]
    n = counts.sum(axis=(-2, -1))

    def losses(label: str) -> Array:
        return np.array([own.total(catalog.SCORE_LOSS, label) for own in outcomes])

    return {
        "auc": scores.auc(positives, negatives),
        "average_precision": scores.average_precision(positives, negatives),
        "log_loss": scores.mean_loss(losses("log"), losses("log_squared"), n),
        "brier": scores.mean_loss(losses("squared"), losses("quartic"), n),
        "calibration_error": scores.calibration_error(positives, negatives, _EDGES),
    }


def _numbers(numbers: Sequence[int], outcomes: Sequence[Outcomes]) -> Group:
    def total(metric: catalog.Metric, label: str = "") -> Array:
        return np.array([own.total(metric, label) for own in outcomes])

    def signed(metric: catalog.Metric) -> Array:
        return total(metric, "positive") - total(metric, "negative")

    sums = errors.Sums(
        n=total(catalog.ERROR_SAMPLES),
        absolute=total(catalog.ABSOLUTE_ERROR),
        signed=signed(catalog.SIGNED_ERROR),
        squared=total(catalog.SQUARED_ERROR),
        quartic=total(catalog.QUARTIC_ERROR),
        actual=signed(catalog.ACTUAL),
        squared_actual=total(catalog.SQUARED_ACTUAL),
    )
    found = {
        "mae": errors.mae(sums),
        "rmse": errors.rmse(sums),
        "r2": errors.r2(sums),
        "bias": errors.bias(sums),
    }
    return numbers, sums.n, found


def _estimate(
    subjects: Sequence[Subject], outcomes: Sequence[Outcomes], found: Sequence[Performance]
) -> None:
    """Estimate what can be, models with as many classes and the same bins together."""
    groups: dict[tuple[int, tuple[float, ...]], list[tuple[int, Chances]]] = {}
    for number, (subject, counted) in enumerate(zip(subjects, outcomes, strict=True)):
        least = subject.model.performance.min_samples
        if subject.chances is not None and round(float(counted.confidences.sum())) >= least:
            key = (len(subject.classes), subject.chances.edges)
            groups.setdefault(key, []).append((number, subject.chances))
    for members in groups.values():
        counts = np.array([outcomes[number].confidences for number, _ in members])
        metrics = estimate_all(counts, [chances for _, chances in members])
        for place, (number, _) in enumerate(members):
            found[number].estimated = _defined(metrics, place)


def _defined(metrics: Mapping[str, Measured], place: int) -> dict[str, Within]:
    found = {}
    for name, own in metrics.items():
        within = Within(float(own.value[place]), float(own.lower[place]), float(own.upper[place]))
        if all(map(math.isfinite, (within.value, within.lower, within.upper))):
            found[name] = within
    return found
