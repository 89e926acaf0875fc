"""What goes with an evaluation of drift: performance, the data's quality, and concept drift."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contract.spec import Spec
from exporters.drift.data_quality import DataQualityCycle
from exporters.drift.evaluate import Evaluation
from exporters.drift.layout import Layout
from exporters.drift.performance.cycle import PerformanceCycle, Report
from exporters.drift.performance.exposition import PerformanceLabels, baselines
from exporters.drift.prometheus import PrometheusError
from exporters.drift.window import Ask, Failure
from exporters.expose import Family

__all__ = ["Judged", "Quality", "concept_drift"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found beside drift, as metrics; and of which models nothing could be, and why.

    `concept` says of the layout's models, by their numbers, whether their concept has drifted.
    """

    report: Report
    families: tuple[Family, ...]
    concept: Mapping[int, bool]
    failures: dict[tuple[str, str], Failure]


class Quality:
    """Performance and the data's quality, for any time, now or in the past."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        """Read the profiles. Raises ProfileError."""
        self._performance = PerformanceCycle(spec)
        self._data = DataQualityCycle(spec, layout)
        self._labels = PerformanceLabels()

    def promises(self) -> Iterator[Family]:
        """What follows from models.yaml alone."""
        yield baselines(self._performance.subjects)

    def evaluate(self, evaluation: Evaluation, ask: Ask, *, deadline: float = math.inf) -> Judged:
        """Evaluate all models as of the time of an evaluation of their drift."""
        report = self._performance.evaluate(ask, evaluation.time, deadline=deadline)
        families = [*self._labels.families(report)]
        failures = dict(report.failures)
        try:
            found = self._data.evaluate(evaluation.counts, ask, evaluation.time, deadline=deadline)
            families += self._data.families(found, [*evaluation.failures])
        except PrometheusError as error:
            for model in evaluation.layout.models:
                failures.setdefault(model.key, Failure("prometheus", str(error)))
        return Judged(report, tuple(families), concept_drift(evaluation, report), failures)


def concept_drift(evaluation: Evaluation, report: Report) -> dict[int, bool]:
    """Models whose performance has decayed while none of their inputs drifted.

    The same inputs have come to mean something else. Only where something is promised of a
    model's performance, its labels suffice to judge it, and its features could be judged; a
    feature drifts here where it counts towards the share of drifted features.
    """
    found = {}
    for number, model in enumerate(evaluation.layout.models):
        if number in evaluation.failures or model.key in report.failures:
            continue
        verdicts = [
            verdict.decayed
            for own in report.found.get(model.key, {}).values()
            for verdict in own.verdicts.values()
        ]
        share = float(evaluation.share[number])
        if verdicts and not math.isnan(share):
            found[number] = any(verdicts) and share == 0
    return found
