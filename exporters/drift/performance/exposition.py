"""Performance as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contract import catalog
from contract.catalog import Metric
from exporters.drift.performance.cycle import Report
from exporters.drift.performance.measure import Performance, Verdict, Within
from exporters.drift.performance.subject import Subject
from exporters.expose import Family, Series, series

__all__ = ["PerformanceLabels", "baselines"]

Samples = list[tuple[Series, float]]


def baselines(subjects: Sequence[Subject]) -> Family:
    """The baselines of models.yaml."""
    metric = catalog.MODEL_PERFORMANCE_BASELINE
    return Family(
        metric,
        [
            (
                series(
                    metric,
                    model_name=subject.model.name,
                    model_version=subject.model.version,
                    metric=name,
                ),
                promise.baseline,
            )
            for subject in subjects
            for name, promise in subject.promises()
            if promise.baseline is not None
        ],
    )


class PerformanceLabels:
    """The series of performance, whose text is made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Metric, tuple[str, ...]], Series] = {}
        self._samples: dict[Metric, Samples] = {}

    def families(self, report: Report) -> Iterator[Family]:
        """What is known; what is not known is absent."""
        self._samples = {metric: [] for metric in _METRICS}
        each = (
            (at, window, own)
            for at, windows in report.found.items()
            for window, own in windows.items()
        )
        for at, window, own in each:
            self._add(catalog.MODEL_PERFORMANCE_SAMPLES, own.samples, *at, window)
            if own.coverage is not None:
                self._add(catalog.LABEL_COVERAGE, own.coverage, *at, window)
            if own.delay is not None:
                self._add(catalog.LABEL_DELAY_MEDIAN, own.delay, *at, window)
            self._add_metrics(
                catalog.MODEL_PERFORMANCE, catalog.MODEL_PERFORMANCE_LIMIT, own.metrics, at, window
            )
            self._add_metrics(
                catalog.MODEL_PERFORMANCE_ESTIMATED,
                catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT,
                own.estimated,
                at,
                window,
            )
            self._add_verdicts(catalog.MODEL_PERFORMANCE_DECAYED, own.verdicts, at, window)
            self._add_verdicts(
                catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED, own.estimated_verdicts, at, window
            )
            for name, verdict in own.verdicts.items():
                if verdict.drop is not None:
                    self._add(catalog.MODEL_PERFORMANCE_DROP, verdict.drop, *at, name, window)
            for name, guess in own.estimated.items():
                if name in own.metrics:
                    error = guess.value - own.metrics[name].value
                    self._add(catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR, error, *at, name, window)
            for segment, part in own.segments.items():
                self._add_segment((*at, *segment), window, part)
        for metric, samples in self._samples.items():
            yield Family(metric, samples)

    def _add_segment(self, at: tuple[str, ...], window: str, own: Performance) -> None:
        self._add(catalog.SEGMENT_SAMPLES, own.samples, *at, window)
        self._add_metrics(
            catalog.SEGMENT_PERFORMANCE, catalog.SEGMENT_PERFORMANCE_LIMIT, own.metrics, at, window
        )
        self._add_verdicts(catalog.SEGMENT_PERFORMANCE_DECAYED, own.verdicts, at, window)

    def _add_metrics(
        self,
        metric: Metric,
        limit: Metric,
        found: Mapping[str, Within],
        at: tuple[str, ...],
        window: str,
    ) -> None:
        for name, own in found.items():
            self._add(metric, own.value, *at, name, window)
            self._add(limit, own.lower, *at, name, window, "lower")
            self._add(limit, own.upper, *at, name, window, "upper")

    def _add_verdicts(
        self, metric: Metric, found: Mapping[str, Verdict], at: tuple[str, ...], window: str
    ) -> None:
        for name, verdict in found.items():
            self._add(metric, int(verdict.decayed), *at, name, window)

    def _add(self, metric: Metric, value: float, *labels: str) -> None:
        made = self._made.get((metric, labels))
        if made is None:
            made = series(metric, **dict(zip(metric.labels, labels, strict=True)))
            self._made[metric, labels] = made
        self._samples[metric].append((made, value))


_METRICS = (
    catalog.MODEL_PERFORMANCE,
    catalog.MODEL_PERFORMANCE_LIMIT,
    catalog.MODEL_PERFORMANCE_DROP,
    catalog.MODEL_PERFORMANCE_DECAYED,
    catalog.MODEL_PERFORMANCE_SAMPLES,
    catalog.MODEL_PERFORMANCE_ESTIMATED,
    catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT,
    catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED,
    catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR,
    catalog.LABEL_COVERAGE,
    catalog.LABEL_DELAY_MEDIAN,
    catalog.SEGMENT_SAMPLES,
    catalog.SEGMENT_PERFORMANCE,
    catalog.SEGMENT_PERFORMANCE_LIMIT,
    catalog.SEGMENT_PERFORMANCE_DECAYED,
)
