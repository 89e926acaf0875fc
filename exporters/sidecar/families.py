"""Counts → families of the exposition, with the text of every series prepared once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contract import catalog
from contract.catalog import Metric
from exporters.expose import Exemplar, Family, HistogramSeries, breathe, series
from exporters.sidecar.declared import families as declared_families
from exporters.sidecar.intake import REASONS, Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.series import ModelSeries
from exporters.sidecar.tally import Tally

__all__ = ["Exposition"]

Latency = tuple[HistogramSeries, Sequence[int], float]


class Exposition:
    """The families of a sidecar."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._series: dict[tuple[str, str], tuple[Layout, ModelSeries]] = {}
        self._rendered: dict[Tally, _Rendered] = {}
        self._events = [
            series(catalog.SIDECAR_EVENTS, result=result) for result in ("accepted", "rejected")
        ]
        self._rejected = [series(catalog.SIDECAR_REJECTED, reason=reason) for reason in REASONS]

    async def collect(self) -> list[Family]:
        """Everything counted up to now. Events are taken in between two models."""
        texts: dict[Metric, list[bytes]] = {}
        latencies: list[Latency] = []
        exemplars: dict[tuple[str, ...], dict[int, Exemplar]] = {}
        exposed = self._intake.exposed
        for tally in exposed:
            await breathe()
            rendered = self._render(tally)
            if tally.exemplars:
                # One of the formats has them, so that these lines are made with each scrape.
                exemplars[tally.layout.model.key] = dict(tally.exemplars)
                latency = tally.counts.latency
                latencies.append((rendered.series.latency, latency.counts.tolist(), latency.total))
            for metric, text in rendered.texts.items():
                if metric is not catalog.INFERENCE_LATENCY or not tally.exemplars:
                    texts.setdefault(metric, []).append(text)
        if len(self._rendered) > len(exposed):  # models.yaml has changed
            self._rendered = {own: self._rendered[own] for own in exposed}
        plain = texts.pop(catalog.INFERENCE_LATENCY, ())
        return [
            *(Family(metric, texts=own) for metric, own in texts.items()),
            Family(
                catalog.INFERENCE_LATENCY, histograms=latencies, exemplars=exemplars, texts=plain
            ),
            *declared_families(self._intake.declared[own.layout.model.key] for own in exposed),
            *self._intake.processes.families([own.layout.model for own in exposed]),
            *self._own(),
        ]

    def _render(self, tally: Tally) -> _Rendered:
        """What one version exposes: as before, where nothing was counted since then."""
        counts, prepared = tally.counts, self._prepare(tally.layout)
        before = self._rendered.get(tally)
        if before and before.series is prepared and before.changes == tally.changes:
            return before
        rendered = _Rendered(prepared, tally.changes, prepared.render(counts))
        self._rendered[tally] = rendered
        return rendered

    def _prepare(self, layout: Layout) -> ModelSeries:
        """The series of a layout, made when it is first seen."""
        key = layout.model.key
        before = self._series.get(key)
        if before is not None and before[0] is layout:
            return before[1]
        prepared = ModelSeries(layout)
        self._series[key] = (layout, prepared)
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
    """The lines of one model version after that many changes of its counts."""

    series: ModelSeries
    changes: int
    texts: Mapping[Metric, bytes]


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
