"""The series of one model version, each beside where its number stands in the counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from contract import catalog
from contract.catalog import Metric
from contract.profile import CONFIDENCE_EDGES, OTHER
from exporters.expose import HistogramSeries, Numbers, Series, Sheet, histogram_series, series
from exporters.sidecar.counts import RESULTS, SCORE_LOSSES, Counts, Histogram
from exporters.sidecar.event import STATUSES
from exporters.sidecar.layout import BATCH_EDGES, DELAY_EDGES, STAGES, Layout
from exporters.sidecar.segments import ERRORS, Segments

__all__ = ["ModelSeries"]

SIGNS = ("positive", "negative")


class _Samples(NamedTuple):
    """Series of counters, and their numbers in the counts: an array or a list in their order."""

    lines: Sequence[Series]
    read: Callable[[Counts], Any]


class _Histograms(NamedTuple):
    """Series of histograms, their bins in the counts, one after the other, and their totals."""

    lines: Sequence[HistogramSeries]
    bins: Callable[[Counts], NDArray[np.int64]]
    totals: Callable[[Counts], Any]


P = TypeVar("P", _Samples, _Histograms)


class ModelSeries:
    """All that is exposed of one model version."""

    def __init__(self, layout: Layout) -> None:
        made = _Made(layout)
        counters, sums = _with_lines(made.counters()), _with_lines(made.sums())
        histograms = _with_lines(made.histograms())
        self.latency = made.latency
        self._counted = [own.read for own in counters]
        self._summed = [own.read for own in sums]
        self._bins = [own.bins for own in histograms]
        self._totals = [own.totals for own in histograms]
        self._sheet = Sheet(
            [line for own in counters for line in own.lines],
            [line for own in sums for line in own.lines],
            [line for own in histograms for line in own.lines],
        )

    def render(self, counts: Counts) -> Mapping[Metric, bytes]:
        """The lines of each metric, without the last line feed."""
        return self._sheet.render(
            Numbers(
                counted=np.concatenate([read(counts) for read in self._counted]),
                summed=np.concatenate([np.zeros(0), *(read(counts) for read in self._summed)]),
                bins=np.concatenate([read(counts) for read in self._bins]),
                totals=np.concatenate([read(counts) for read in self._totals]),
            )
        )


class _Made:
    """Makes the series of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        model = layout.model
        self.labels = {"model_name": model.name, "model_version": model.version}
        self.latency = histogram_series(
            catalog.INFERENCE_LATENCY, layout.latency_edges, **self.labels
        )
        self._classes = (*layout.classes.names, OTHER)
        self._segments = [
            (name, category) for name, names in Segments.of(layout).names for category in names
        ]

    def _one(self, metric: Metric, **more: str) -> Series:
        return series(metric, **self.labels, **more)

    def _each(self, metric: Metric, label: str, values: Iterable[str], **more: str) -> list[Series]:
        return [self._one(metric, **more, **{label: value}) for value in values]

    def _histogram(self, metric: Metric, edges: Sequence[float], **more: str) -> HistogramSeries:
        return histogram_series(metric, edges, **self.labels, **more)

    def counters(self) -> Iterator[_Samples]:
        """What is counted in whole numbers."""
        layout, model, each = self._layout, self._layout.model, self._each
        info = {"framework": model.framework, "task": str(model.task), "team": model.team}
        yield _Samples([self._one(catalog.MODEL_INFO, **info)], lambda _: (1,))
        statuses = each(catalog.INFERENCE_REQUESTS, "status", STATUSES)
        yield _Samples(statuses, lambda counts: counts.statuses)
        yield _Samples(each(catalog.LABELS, "result", RESULTS), lambda counts: counts.labels)
        if layout.classifies:
            classes = each(catalog.PREDICTION_CLASS, "predicted_class", self._classes)
            yield _Samples(classes, lambda counts: counts.classes)
            yield from self._outcomes()
        else:
            samples = [self._one(catalog.ERROR_SAMPLES)]
            yield _Samples(samples, lambda counts: (counts.error_samples,))
        yield from self._numbers()
        yield from self._categories()

    def _outcomes(self) -> Iterator[_Samples]:
        if self._layout.counts_outcomes:
            yield _Samples(self._pairs(catalog.OUTCOMES), lambda counts: counts.outcomes.ravel())
        lines = [
            line
            for name, category in self._segments
            for line in self._pairs(catalog.SEGMENT_OUTCOMES, feature_name=name, category=category)
        ]
        yield _Samples(lines, lambda counts: _flat(counts.segment_outcomes))

    def _pairs(self, metric: Metric, **more: str) -> list[Series]:
        """One series for each predicted and actual class."""
        return [
            line
            for predicted in self._classes
            for line in self._each(
                metric, "actual_class", self._classes, predicted_class=predicted, **more
            )
        ]

    def _numbers(self) -> Iterator[_Samples]:
        numbers, each = self._layout.numbers, self._each
        names, missing = numbers.names, numbers.missing
        ranged = np.flatnonzero(numbers.ranged)
        yield _Samples(
            each(catalog.FEATURE_MISSING, "feature_name", names),
            lambda counts: counts.numbers[missing],
        )
        yield _Samples(
            each(catalog.FEATURE_INVALID, "feature_name", names, reason="type"),
            lambda counts: counts.number_invalid,
        )
        found = [names[place] for place in ranged]
        yield _Samples(
            each(catalog.FEATURE_INVALID, "feature_name", found, reason="range"),
            lambda counts: counts.number_beyond[ranged],
        )

    def _categories(self) -> Iterator[_Samples]:
        """The counts of a feature have its categories, then other, then missing."""
        each, categories = self._each, self._layout.categories
        yield _Samples(
            each(catalog.FEATURE_MISSING, "feature_name", categories),
            lambda counts: [own[-1] for own in counts.categories],
        )
        yield _Samples(
            each(catalog.FEATURE_INVALID, "feature_name", categories, reason="category"),
            lambda counts: [own[-2] for own in counts.categories],
        )
        lines = [
            line
            for name, known in categories.items()
            for line in each(
                catalog.FEATURE_CATEGORY, "category", (*known.names, OTHER), feature_name=name
            )
        ]
        yield _Samples(lines, lambda counts: _flat(own[:-1] for own in counts.categories))

    def sums(self) -> Iterator[_Samples]:
        """What is summed up."""
        layout, each = self._layout, self._each
        if trained := layout.model.trained_at:
            moment = trained.timestamp()
            yield _Samples([self._one(catalog.MODEL_TRAINED_TIMESTAMP)], lambda _: (moment,))
        if layout.scores_outcomes:
            losses = each(catalog.SCORE_LOSS, "loss", SCORE_LOSSES)
            yield _Samples(losses, lambda counts: counts.score_losses)
        if layout.classifies:
            return
        for metric, read in _ERRORS:
            yield _Samples([self._one(metric)], read)
        yield _Samples(
            each(catalog.ACTUAL, "sign", SIGNS),
            lambda counts: (counts.actual_above, counts.actual_below),
        )
        yield _Samples(
            each(catalog.SIGNED_ERROR, "sign", SIGNS),
            lambda counts: (counts.error_above, counts.error_below),
        )
        lines = [
            line
            for name, category in self._segments
            for line in each(
                catalog.SEGMENT_ERRORS, "sum", ERRORS, feature_name=name, category=category
            )
        ]
        yield _Samples(lines, lambda counts: _flat(counts.segment_errors))

    def histograms(self) -> Iterator[_Histograms]:
        """What is counted in bins."""
        layout, make = self._layout, self._histogram
        yield _single(self.latency, lambda c: c.latency)
        stages = [
            make(catalog.INFERENCE_STAGE_LATENCY, layout.latency_edges, stage=stage)
            for stage in STAGES
        ]
        yield _several(stages, lambda counts: counts.stages)
        yield _single(make(catalog.INFERENCE_BATCH_SIZE, BATCH_EDGES), lambda c: c.batch_size)
        yield _single(make(catalog.LABEL_DELAY, DELAY_EDGES), lambda c: c.label_delay)
        confidence = make(catalog.PREDICTION_CONFIDENCE, layout.confidence_edges)
        yield _single(confidence, lambda c: c.confidence)
        if layout.value_edges:
            values = make(catalog.PREDICTION_VALUE, layout.value_edges)
            yield _single(values, lambda c: c.value)
        scores = [
            make(catalog.OUTCOME_SCORE, CONFIDENCE_EDGES, actual_class=actual)
            for actual in (layout.classes.names if layout.scores_outcomes else ())
        ]
        yield _several(scores, lambda counts: counts.outcome_scores)
        yield _Histograms(
            [
                make(
                    catalog.PREDICTION_CLASS_CONFIDENCE,
                    layout.calibration_edges,
                    predicted_class=predicted,
                )
                for predicted in (layout.classes.names if layout.calibration_edges else ())
            ],
            lambda counts: counts.class_confidence.ravel(),
            lambda counts: counts.class_confidence_totals,
        )
        yield self._features()

    def _features(self) -> _Histograms:
        numbers = self._layout.numbers
        lines = [
            self._histogram(catalog.FEATURE_VALUE, edges, feature_name=name)
            for name, edges in zip(numbers.names, numbers.feature_edges, strict=True)
        ]
        bins = np.delete(np.arange(numbers.size), numbers.missing)
        return _Histograms(
            lines, lambda counts: counts.numbers[bins], lambda counts: counts.number_totals
        )


_ERRORS: Sequence[tuple[Metric, Callable[[Counts], Any]]] = (
    (catalog.ABSOLUTE_ERROR, lambda counts: (counts.absolute_error,)),
    (catalog.SQUARED_ERROR, lambda counts: (counts.squared_error,)),
    (catalog.SQUARED_ACTUAL, lambda counts: (counts.squared_actual,)),
    (catalog.QUARTIC_ERROR, lambda counts: (counts.quartic_error,)),
)


def _with_lines(parts: Iterable[P]) -> list[P]:
    return [part for part in parts if part.lines]


def _single(line: HistogramSeries, of: Callable[[Counts], Histogram]) -> _Histograms:
    return _several([line], lambda counts: (of(counts),))


def _several(
    lines: Sequence[HistogramSeries], of: Callable[[Counts], Sequence[Histogram]]
) -> _Histograms:
    return _Histograms(
        lines,
        lambda counts: _flat(own.counts for own in of(counts)),
        lambda counts: [own.total for own in of(counts)],
    )


def _flat(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([part.ravel() for part in parts])
