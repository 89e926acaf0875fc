"""What sidecars counted of outcomes over a window, asked from Prometheus, model by model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from contract import catalog
from contract.catalog import MODEL, Metric
from contract.profile import CONFIDENCE_EDGES, MAX_CATEGORIES
from contract.quantity import Duration
from exporters.drift.performance.interval import Array
from exporters.drift.performance.subject import Subject
from exporters.drift.prometheus import PrometheusError, RawSample, decode_labels
from exporters.drift.window import Ask, Failure

__all__ = ["Outcomes", "read_outcomes"]

BINS: Final = len(CONFIDENCE_EDGES) + 1
EDGES: Final = {edge: place for place, edge in enumerate((*map(float, CONFIDENCE_EDGES), math.inf))}

HOUR: Final = Duration.parse("1h")

LONG: Final = 86_401.0
"""Seconds from which on a window is added up from hours, so that Prometheus need not hold every
sample of it at once. Hours are those of the clock: the one that runs is not in."""

SERIES_EACH: Final = 25_000
"""Series that one answer may have, more or less."""


@dataclass(slots=True)
class Outcomes:
    """What was counted of one model over one window.

    `confusion` has shape [predicted, actual], the last of both for classes that the profile does
    not know; `scores` [negative or positive, bins]; `confidences` [predicted class, bins], all of
    counts within bins. `sums` are by the name of their metric and the value of its label.
    """

    confusion: Array
    scores: Array
    confidences: Array
    sums: dict[tuple[str, str], float] = field(default_factory=dict)
    delay: float = math.nan
    """Seconds: the median from a prediction to its label."""
    segments: dict[tuple[str, str], Outcomes] = field(default_factory=dict)
    """The same by feature and category, confusion and sums alone."""

    @classmethod
    def of(cls, subject: Subject) -> Outcomes:
        """Nothing counted."""
        width = len(subject.classes)
        bins = len(subject.chances.edges) + 1 if subject.chances else 0
        return cls(np.zeros((width + 1, width + 1)), np.zeros((2, BINS)), np.zeros((width, bins)))

    def total(self, metric: Metric, label: str = "") -> float:
        """A sum; 0 where there is none."""
        return self.sums.get((metric.name, label), 0.0)


@dataclass(frozen=True, slots=True)
class _Source:
    """A metric to be asked for. `labels` are those that tell its series of one model apart."""

    metric: Metric
    labels: tuple[str, ...]
    applies: Callable[[Subject], bool]
    matcher: str = ""

    @property
    def name(self) -> str:
        return self.metric.bucket if "le" in self.labels else self.metric.name


_SOURCES: Final = (
    _Source(catalog.OUTCOMES, ("predicted_class", "actual_class"), Subject.has_classes),
    _Source(catalog.OUTCOME_SCORE, ("actual_class", "le"), Subject.has_scores),
    _Source(catalog.SCORE_LOSS, ("loss",), Subject.has_scores),
    _Source(catalog.PREDICTION_CLASS_CONFIDENCE, ("predicted_class", "le"), Subject.has_chances),
    *(
        _Source(metric, metric.labels[len(MODEL) :], Subject.has_errors)
        for metric in (
            catalog.ERROR_SAMPLES,
            catalog.ABSOLUTE_ERROR,
            catalog.SIGNED_ERROR,
            catalog.SQUARED_ERROR,
            catalog.QUARTIC_ERROR,
            catalog.ACTUAL,
            catalog.SQUARED_ACTUAL,
        )
    ),
    _Source(
        catalog.SEGMENT_OUTCOMES, catalog.SEGMENT_OUTCOMES.labels[len(MODEL) :], Subject.is_sliced
    ),
    _Source(catalog.SEGMENT_ERRORS, catalog.SEGMENT_ERRORS.labels[len(MODEL) :], Subject.is_sliced),
    _Source(catalog.LABELS, ("result",), lambda _: True, 'result="matched"'),
    _Source(catalog.INFERENCE_REQUESTS, ("status",), lambda _: True, 'status="success"'),
    _Source(catalog.LABEL_DELAY, ("le",), lambda _: True),
)


def read_outcomes(
    subjects: Sequence[Subject],
    window: Duration,
    ask: Ask,
    at: float,
    *,
    deadline: float = math.inf,
) -> tuple[list[Outcomes], dict[int, Failure]]:
    """The outcomes of all subjects over a window that ends at `at`, and who has none, and why.

    After `deadline` (monotonic) nothing is asked.
    """
    found = [Outcomes.of(subject) for subject in subjects]
    failures: dict[int, Failure] = {}
    for source in _SOURCES:
        for part in _parts(source, subjects):
            places = {subjects[number].model.key: number for number in part}
            try:
                if time.monotonic() > deadline:
                    raise PrometheusError("not asked: the interval is over, so it is too slow")
                text = _expression(source, [subjects[number] for number in part], window)
                _lay(source, ask(text, at), subjects, places, found, failures)
            except PrometheusError as error:
                for number in part:
                    failures.setdefault(number, Failure("prometheus", str(error)))
    for own in found:
        for counts in (own.scores, own.confidences):
            # Buckets hold all counts up to their edge; extrapolated each by itself, one may fall
            # short of its neighbour by a hair.
            counts[:] = np.maximum(np.diff(counts, axis=-1, prepend=0.0), 0.0)
    return found, failures


_MANY: Final = {"le": BINS, "feature_name": 3, "category": MAX_CATEGORIES}
"""How many values labels have at most, besides those that stand for classes."""


def _parts(source: _Source, subjects: Sequence[Subject]) -> Iterator[list[int]]:
    """The subjects that it is of, in parts that make moderate answers."""
    held: list[int] = []
    series = 0
    for number, subject in enumerate(subjects):
        if not source.applies(subject):
            continue
        own = math.prod(_MANY.get(label, subject.width) for label in source.labels)
        if held and series + own > SERIES_EACH:
            yield held
            held, series = [], 0
        held.append(number)
        series += own
    if held:
        yield held


def _expression(source: _Source, subjects: Sequence[Subject], window: Duration) -> str:
    names = dict.fromkeys(subject.model.name for subject in subjects)
    # Names are letters, digits, dashes, dots and underscores.
    pattern = "|".join(name.replace(".", r"\\.") for name in names)
    matchers = ", ".join(filter(None, (f'model_name=~"{pattern}"', source.matcher)))
    by = ", ".join([*MODEL, *source.labels])
    series = f"{source.name}{{{matchers}}}"
    if window.seconds < LONG:
        return f"sum by ({by}) (increase({series}[{window}]))"
    return f"sum_over_time(sum by ({by}) (increase({series}[{HOUR}]))[{window}:{HOUR}])"


def _lay(
    source: _Source,
    samples: Sequence[RawSample],
    subjects: Sequence[Subject],
    places: Mapping[tuple[str, str], int],
    found: Sequence[Outcomes],
    failures: dict[int, Failure],
) -> None:
    delays: dict[int, list[tuple[float, float]]] = {}
    for sample in samples:
        labels = decode_labels(sample.metric)
        number = places.get((labels.get("model_name", ""), labels.get("model_version", "")))
        value = float(sample.value[1])
        if number is None or not math.isfinite(value):
            continue
        if source.metric is catalog.LABEL_DELAY:
            delays.setdefault(number, []).append((float(labels.get("le", "nan")), value))
            continue
        own, subject = found[number], subjects[number]
        try:
            if source.metric is catalog.OUTCOMES:
                predicted = subject.place(labels["predicted_class"])
                own.confusion[predicted, subject.place(labels["actual_class"])] += value
            elif source.metric is catalog.OUTCOME_SCORE:
                actual = subject.place(labels["actual_class"])
                own.scores[actual, EDGES[float(labels["le"])]] += value
            elif source.metric is catalog.PREDICTION_CLASS_CONFIDENCE:
                predicted = subject.place(labels["predicted_class"])
                own.confidences[predicted, subject.bin_of(float(labels["le"]))] += value
            elif source.metric in (catalog.SEGMENT_OUTCOMES, catalog.SEGMENT_ERRORS):
                _lay_segment(labels, value, subject, own)
            else:
                label = labels.get(source.labels[0], "") if source.labels else ""
                own.sums[source.metric.name, label] = value
        except (KeyError, ValueError, IndexError):
            told = ", ".join(f'{label}="{labels.get(label, "")}"' for label in source.labels)
            text = f"{source.metric} is counted with {told}, which the profile does not have"
            failures.setdefault(number, Failure("bins", text))
    for number, buckets in delays.items():
        found[number].delay = _median(sorted(buckets))


_SUMS: Final = {
    "samples": (catalog.ERROR_SAMPLES.name, ""),
    "absolute": (catalog.ABSOLUTE_ERROR.name, ""),
    "squared": (catalog.SQUARED_ERROR.name, ""),
    "quartic": (catalog.QUARTIC_ERROR.name, ""),
    "positive": (catalog.SIGNED_ERROR.name, "positive"),
    "negative": (catalog.SIGNED_ERROR.name, "negative"),
}
"""The sums of segments, by what they are called of the whole model."""


def _lay_segment(labels: Mapping[str, str], value: float, subject: Subject, own: Outcomes) -> None:
    key = (labels["feature_name"], labels["category"])
    segment = own.segments.get(key)
    if segment is None:
        segment = own.segments[key] = Outcomes.of(subject)
    if "sum" in labels:
        segment.sums[_SUMS[labels["sum"]]] = value
    else:
        predicted = subject.place(labels["predicted_class"])
        segment.confusion[predicted, subject.place(labels["actual_class"])] += value


def _median(buckets: Sequence[tuple[float, float]]) -> float:
    """The median of a histogram, linear within its bucket; the last finite edge beyond that."""
    half = buckets[-1][1] / 2
    if half < 0.5:
        return math.nan
    below, low = 0.0, 0.0
    for edge, count in buckets:
        if count >= half:
            if not math.isfinite(edge):
                return low
            return low + (edge - low) * (half - below) / max(count - below, 1e-9)
        below, low = count, edge
    return low
