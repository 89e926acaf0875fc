"""Counts → families of the exposition, with the text of every series prepared once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from contract import catalog
from contract.catalog import Metric
from contract.profile import CONFIDENCE_EDGES, OTHER
from exporters.expose import (
    Exemplar,
    Family,
    HistogramSeries,
    Series,
    breathe,
    histogram_series,
    series,
)
from exporters.sidecar.counts import RESULTS, SCORE_LOSSES, Counts, Histogram
from exporters.sidecar.declared import families as declared_families
from exporters.sidecar.event import STATUSES
from exporters.sidecar.intake import REASONS, Intake
from exporters.sidecar.layout import BATCH_EDGES, DELAY_EDGES, STAGES, Layout, Numbers
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.segments import ERRORS, Segments
from exporters.sidecar.tally import Tally

__all__ = ["Exposition"]

Samples = list[tuple[Series, float]]
Histograms = list[tuple[HistogramSeries, Sequence[int], float]]
Fill = Callable[[Metric, Sequence[Series], Iterable[float]], None]

_COUNTERS = (
    catalog.INFERENCE_REQUESTS,
    catalog.MODEL_INFO,
    catalog.MODEL_TRAINED_TIMESTAMP,
    catalog.PREDICTION_CLASS,
    catalog.FEATURE_CATEGORY,
    catalog.FEATURE_MISSING,
    catalog.FEATURE_INVALID,
    catalog.LABELS,
    catalog.OUTCOMES,
    catalog.SCORE_LOSS,
    catalog.SEGMENT_OUTCOMES,
    catalog.SEGMENT_ERRORS,
    catalog.SIGNED_ERROR,
    catalog.QUARTIC_ERROR,
    catalog.ABSOLUTE_ERROR,
    catalog.SQUARED_ERROR,
    catalog.ERROR_SAMPLES,
    catalog.ACTUAL,
    catalog.SQUARED_ACTUAL,
)
_HISTOGRAMS = (
    catalog.INFERENCE_STAGE_LATENCY,
    catalog.INFERENCE_BATCH_SIZE,
    catalog.PREDICTION_VALUE,
    catalog.PREDICTION_CONFIDENCE,
    catalog.PREDICTION_CLASS_CONFIDENCE,
    catalog.LABEL_DELAY,
    catalog.OUTCOME_SCORE,
)


class Exposition:
    """The families of a sidecar."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._prepared: dict[tuple[str, str], tuple[Layout, _Prepared]] = {}
        self._rendered: dict[Tally, _Rendered] = {}
        self._events = [
            series(catalog.SIDECAR_EVENTS, result=result) for result in ("accepted", "rejected")
        ]
        self._rejected = [series(catalog.SIDECAR_REJECTED, reason=reason) for reason in REASONS]

    async def collect(self) -> list[Family]:
        """Everything counted up to now. Events are taken in between two models."""
        metrics = (*_COUNTERS, *_HISTOGRAMS, catalog.FEATURE_VALUE)
        texts: dict[Metric, list[bytes]] = {metric: [] for metric in metrics}
        latencies: Histograms = []
        exemplars: dict[tuple[str, ...], dict[int, Exemplar]] = {}
        until = 0.0
        exposed = self._intake.exposed
        for tally in exposed:
            until = await breathe(until)
            rendered = self._render(tally)
            for metric, text in rendered.texts.items():
                texts[metric].append(text)
            latencies.append(rendered.latency)
            if tally.exemplars:
                exemplars[tally.layout.model.key] = dict(tally.exemplars)
        if len(self._rendered) > len(exposed):  # models.yaml has changed
            self._rendered = {own: self._rendered[own] for own in exposed}
        return [
            *(Family(metric, texts=own) for metric, own in texts.items()),
            Family(catalog.INFERENCE_LATENCY, histograms=latencies, exemplars=exemplars),
            *declared_families(self._intake.declared[own.layout.model.key] for own in exposed),
            *self._intake.processes.families([own.layout.model for own in exposed]),
            *self._own(),
        ]

    def _render(self, tally: Tally) -> _Rendered:
        """What one version exposes: as before, where nothing was counted since then."""
        counts, prepared = tally.counts, self._prepare(tally.layout)
        before = self._rendered.get(tally)
        if before and before.prepared is prepared and before.changes == tally.changes:
            return before
        samples: dict[Metric, Samples] = {metric: [] for metric in _COUNTERS}
        histograms: dict[Metric, Histograms] = {metric: [] for metric in _HISTOGRAMS}
        _fill_samples(tally, prepared, samples)
        _fill_histograms(counts, prepared, histograms)
        families = [
            *(Family(metric, own) for metric, own in samples.items()),
            *(Family(metric, histograms=own) for metric, own in histograms.items()),
        ]
        texts = {own.metric: "\n".join(own.lines()).encode() for own in families}
        if prepared.numbers:
            texts[catalog.FEATURE_VALUE] = _render_features(counts, prepared, tally.layout.numbers)
        latency = (prepared.latency, counts.latency.counts.tolist(), counts.latency.total)
        rendered = _Rendered(
            prepared, tally.changes, {own: text for own, text in texts.items() if text}, latency
        )
        self._rendered[tally] = rendered
        return rendered

    def _prepare(self, layout: Layout) -> _Prepared:
        """The series of a layout, made when it is first seen."""
        key = layout.model.key
        before = self._prepared.get(key)
        if before is not None and before[0] is layout:
            return before[1]
        prepared = _Prepared.of(layout)
        self._prepared[key] = (layout, prepared)
        return prepared

    def _own(self) -> Iterator[Family]:
        rejected = self._intake.rejected
        totals = (self._intake.accepted, sum(rejected.values()))
        yield Family(catalog.SIDECAR_EVENTS, list(zip(self._events, totals, strict=True)))
        yield Family(
            catalog.SIDECAR_REJECTED,
            [(own, rejected[reason]) for own, reason in zip(self._rejected, REASONS, strict=True)],
        )
        yield from self._intake.unregistered.families(self._intake.newest)
        yield from _log_families(self._intake.commits)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """The lines of one model version after that many changes of its counts.

    Latencies have exemplars in one of the formats, and are rendered with each scrape.
    """

    prepared: _Prepared
    changes: int
    texts: dict[Metric, bytes]
    latency: tuple[HistogramSeries, Sequence[int], float]


def _log_families(commits: Commits) -> Iterator[Family]:
    numbers = (
        (catalog.SIDECAR_DUPLICATES, commits.duplicates),
        (catalog.SIDECAR_SAMPLED_OUT, commits.sampled_out),
        (catalog.SIDECAR_LOG_BYTES, commits.size),
        (catalog.SIDECAR_LOG_PENDING, commits.pending),
        (catalog.SIDECAR_LOG_FAILURES, commits.failures),
    )
    for metric, value in numbers:
        yield Family(metric, [(series(metric), value)])
    if commits.oldest is not None:
        oldest = catalog.SIDECAR_LOG_OLDEST
        yield Family(oldest, [(series(oldest), commits.oldest)])


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The series of one model version, each list in the order of its counts."""

    info: Series
    trained: Series | None
    statuses: list[Series]
    labels: list[Series]
    classes: list[Series]
    outcomes: list[Series]
    errors: list[Series]
    actuals: list[Series]
    signed_errors: list[Series]
    score_losses: list[Series]
    segment_outcomes: list[Series]
    segment_errors: list[Series]
    class_confidence: list[HistogramSeries]
    label_delay: HistogramSeries
    outcome_scores: list[HistogramSeries]
    missing: list[Series]
    invalid: list[Series]
    beyond: list[tuple[int, Series]]
    categories: list[list[Series]]
    category_invalid: list[Series]
    latency: HistogramSeries
    stages: list[HistogramSeries]
    batch_size: HistogramSeries
    confidence: HistogramSeries
    value: HistogramSeries | None
    numbers: list[HistogramSeries]

    @classmethod
    def of(cls, layout: Layout) -> _Prepared:
        model = layout.model
        own = {"model_name": model.name, "model_version": model.version}

        def each(metric: Metric, label: str, values: Iterable[str], **more: str) -> list[Series]:
            return [series(metric, **own, **more, **{label: value}) for value in values]

        classes = (*layout.classes.names, OTHER)
        errors = (
            catalog.ABSOLUTE_ERROR,
            catalog.SQUARED_ERROR,
            catalog.ERROR_SAMPLES,
            catalog.SQUARED_ACTUAL,
            catalog.QUARTIC_ERROR,
        )
        numbers, categories = layout.numbers, layout.categories
        segments = Segments.of(layout).names
        return cls(
            info=series(
                catalog.MODEL_INFO,
                **own,
                framework=model.framework,
                task=model.task,
                team=model.team,
            ),
            trained=series(catalog.MODEL_TRAINED_TIMESTAMP, **own) if model.trained_at else None,
            statuses=each(catalog.INFERENCE_REQUESTS, "status", STATUSES),
            labels=each(catalog.LABELS, "result", RESULTS),
            classes=(
                each(catalog.PREDICTION_CLASS, "predicted_class", classes)
                if layout.classifies
                else []
            ),
            outcomes=[
                line
                for predicted in (classes if layout.counts_outcomes else ())
                for line in each(
                    catalog.OUTCOMES, "actual_class", classes, predicted_class=predicted
                )
            ],
            errors=[] if layout.classifies else [series(metric, **own) for metric in errors],
            actuals=(
                [] if layout.classifies else each(catalog.ACTUAL, "sign", ("positive", "negative"))
            ),
            signed_errors=(
                []
                if layout.classifies
                else each(catalog.SIGNED_ERROR, "sign", ("positive", "negative"))
            ),
            score_losses=(
                each(catalog.SCORE_LOSS, "loss", SCORE_LOSSES) if layout.scores_outcomes else []
            ),
            segment_outcomes=[
                line
                for name, names in (segments if layout.classifies else ())
                for category in names
                for predicted in classes
                for line in each(
                    catalog.SEGMENT_OUTCOMES,
                    "actual_class",
                    classes,
                    feature_name=name,
                    category=category,
                    predicted_class=predicted,
                )
            ],
            segment_errors=[
                line
                for name, names in (() if layout.classifies else segments)
                for category in names
                for line in each(
                    catalog.SEGMENT_ERRORS, "sum", ERRORS, feature_name=name, category=category
                )
            ],
            class_confidence=[
                histogram_series(
                    catalog.PREDICTION_CLASS_CONFIDENCE,
                    layout.calibration_edges,
                    **own,
                    predicted_class=predicted,
                )
                for predicted in (layout.classes.names if layout.calibration_edges else ())
            ],
            label_delay=histogram_series(catalog.LABEL_DELAY, DELAY_EDGES, **own),
            outcome_scores=[
                histogram_series(
                    catalog.OUTCOME_SCORE, CONFIDENCE_EDGES, **own, actual_class=actual
                )
                for actual in (layout.classes.names if layout.scores_outcomes else ())
            ],
            missing=each(catalog.FEATURE_MISSING, "feature_name", (*numbers.names, *categories)),
            invalid=each(catalog.FEATURE_INVALID, "feature_name", numbers.names, reason="type"),
            beyond=[
                (
                    place,
                    series(catalog.FEATURE_INVALID, **own, feature_name=name, reason="range"),
                )
                for place, name in enumerate(numbers.names)
                if numbers.ranged[place]
            ],
            categories=[
                each(catalog.FEATURE_CATEGORY, "category", (*known.names, OTHER), feature_name=name)
                for name, known in categories.items()
            ],
            category_invalid=each(
                catalog.FEATURE_INVALID, "feature_name", categories, reason="category"
            ),
            latency=histogram_series(catalog.INFERENCE_LATENCY, layout.latency_edges, **own),
            stages=[
                histogram_series(
                    catalog.INFERENCE_STAGE_LATENCY, layout.latency_edges, **own, stage=stage
                )
                for stage in STAGES
            ],
            batch_size=histogram_series(catalog.INFERENCE_BATCH_SIZE, BATCH_EDGES, **own),
            confidence=histogram_series(
                catalog.PREDICTION_CONFIDENCE, layout.confidence_edges, **own
            ),
            value=(
                histogram_series(catalog.PREDICTION_VALUE, layout.value_edges, **own)
                if layout.value_edges
                else None
            ),
            numbers=[
                histogram_series(catalog.FEATURE_VALUE, edges, **own, feature_name=name)
                for name, edges in zip(numbers.names, numbers.feature_edges, strict=True)
            ],
        )


def _fill_samples(tally: Tally, prepared: _Prepared, samples: dict[Metric, Samples]) -> None:
    counts, layout = tally.counts, tally.layout

    def fill(metric: Metric, lines: Sequence[Series], values: Iterable[float]) -> None:
        samples[metric] += zip(lines, values, strict=True)

    fill(catalog.MODEL_INFO, [prepared.info], [1])
    if prepared.trained and layout.model.trained_at:
        trained = layout.model.trained_at.timestamp()
        fill(catalog.MODEL_TRAINED_TIMESTAMP, [prepared.trained], [trained])
    _fill_outcomes(tally, prepared, fill)
    fill(catalog.INFERENCE_REQUESTS, prepared.statuses, counts.statuses.tolist())
    fill(catalog.LABELS, prepared.labels, counts.labels.tolist())
    if layout.classifies:
        fill(catalog.PREDICTION_CLASS, prepared.classes, counts.classes.tolist())
    fill(catalog.FEATURE_MISSING, prepared.missing, counts.missing(layout).values())
    fill(catalog.FEATURE_INVALID, prepared.invalid, counts.number_invalid.tolist())
    beyond = counts.number_beyond.tolist()
    ranged = [place for place, _ in prepared.beyond]
    fill(
        catalog.FEATURE_INVALID,
        [line for _, line in prepared.beyond],
        [beyond[place] for place in ranged],
    )
    for lines, counted in zip(prepared.categories, counts.categories, strict=True):
        fill(catalog.FEATURE_CATEGORY, lines, counted[:-1].tolist())
    unknown = [int(counted[-2]) for counted in counts.categories]
    fill(catalog.FEATURE_INVALID, prepared.category_invalid, unknown)


def _fill_outcomes(tally: Tally, prepared: _Prepared, fill: Fill) -> None:
    counts, layout = tally.counts, tally.layout
    if layout.counts_outcomes:
        fill(catalog.OUTCOMES, prepared.outcomes, counts.outcomes.ravel().tolist())
    sums = (
        counts.absolute_error,
        counts.squared_error,
        counts.error_samples,
        counts.squared_actual,
        counts.quartic_error,
    )
    for line, value in zip(prepared.errors, sums, strict=bool(prepared.errors)):
        fill(line.metric, [line], [value])
    if prepared.actuals:
        fill(catalog.ACTUAL, prepared.actuals, (counts.actual_above, counts.actual_below))
    if prepared.signed_errors:
        errors = (counts.error_above, counts.error_below)
        fill(catalog.SIGNED_ERROR, prepared.signed_errors, errors)
    for metric, lines, parts in (
        (catalog.SEGMENT_OUTCOMES, prepared.segment_outcomes, counts.segment_outcomes),
        (catalog.SEGMENT_ERRORS, prepared.segment_errors, counts.segment_errors),
    ):
        if lines:
            fill(metric, lines, [value for own in parts for value in own.ravel().tolist()])
    if prepared.score_losses:
        fill(catalog.SCORE_LOSS, prepared.score_losses, counts.score_losses.tolist())


def _fill_histograms(
    counts: Counts, prepared: _Prepared, histograms: dict[Metric, Histograms]
) -> None:
    def fill(line: HistogramSeries, filled: Histogram) -> None:
        histograms[line.metric].append((line, filled.counts.tolist(), filled.total))

    for line, filled in zip(prepared.stages, counts.stages, strict=True):
        fill(line, filled)
    fill(prepared.batch_size, counts.batch_size)
    fill(prepared.label_delay, counts.label_delay)
    for line, filled in zip(prepared.outcome_scores, counts.outcome_scores, strict=True):
        fill(line, filled)
    fill(prepared.confidence, counts.confidence)
    for line, bins_, total_ in zip(
        prepared.class_confidence,
        counts.class_confidence.tolist(),
        counts.class_confidence_totals.tolist(),
        strict=True,
    ):
        histograms[line.metric].append((line, bins_, total_))
    if prepared.value:
        fill(prepared.value, counts.value)


def _render_features(counts: Counts, prepared: _Prepared, numbers: Numbers) -> bytes:
    """The histograms of all numeric features, which are most of the lines, formatted at once."""
    upto = np.cumsum(counts.numbers)
    before = np.concatenate([[0], upto])[numbers.starts]
    patterns: list[str] = []
    values: list[object] = []
    for line, start, end, below, total in zip(
        prepared.numbers,
        numbers.starts.tolist(),
        numbers.missing.tolist(),
        before,
        counts.number_totals.tolist(),
        strict=True,
    ):
        running = (upto[start:end] - below).tolist()
        values += running
        # As everywhere, see Family: over negative values a sum is no counter.
        if line.edges[0] >= 0 and not total < 0:
            patterns.append(line.pattern)
            values += (running[-1], repr(total))
        else:
            patterns.append(line.bare)
    return ("\n".join(patterns) % tuple(values)).encode()
