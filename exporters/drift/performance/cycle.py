"""One evaluation of performance: outcomes of all models over all of their windows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from contract.quantity import Duration
from contract.spec import Spec
from exporters.drift.performance.measure import Performance, measure
from exporters.drift.performance.outcomes import read_outcomes
from exporters.drift.performance.subject import Subject, read_subjects
from exporters.drift.window import Ask, Failure

__all__ = ["PerformanceCycle", "Report"]

Key = tuple[str, str]

AFRESH: Final = 100
"""Windows are evaluated anew after this part of them: a day every quarter of an hour, an hour every
time. It saves Prometheus most of the work on long ones."""


@dataclass(slots=True)
class Report:
    """Performance by model and window (as models.yaml has it), and the models without, and why."""

    found: dict[Key, dict[str, Performance]] = field(default_factory=dict)
    failures: dict[Key, Failure] = field(default_factory=dict)


class PerformanceCycle:
    """The same evaluation for any time, now or in the past."""

    def __init__(self, spec: Spec) -> None:
        """Read the profiles. Raises ProfileError."""
        self.subjects = read_subjects(spec)
        self._windows: dict[Duration, list[Subject]] = {}
        """By window as Prometheus sees it."""
        self._names: dict[tuple[Key, Duration], str] = {}
        for subject in self.subjects:
            for window in subject.model.performance.windows:
                clocked = spec.clock(window)
                name = self._names.setdefault((subject.model.key, clocked), str(window))
                if name == str(window):  # a time scale may make two windows the same
                    self._windows.setdefault(clocked, []).append(subject)
        self._kept: dict[Duration, tuple[float, list[Performance]]] = {}

    def evaluate(self, ask: Ask, at: float, *, deadline: float = math.inf) -> Report:
        """Evaluate all models as of a Unix time; after `deadline` (monotonic) nothing is asked."""
        report = Report()
        for window, subjects in self._windows.items():
            since, kept = self._kept.get(window, (math.inf, []))
            if not 0 <= at - since < window.seconds / AFRESH:
                outcomes, failures = read_outcomes(subjects, window, ask, at, deadline=deadline)
                kept = measure(subjects, outcomes)
                for number, failure in failures.items():
                    report.failures.setdefault(subjects[number].model.key, failure)
                self._kept.pop(window, None)
                if not failures:
                    self._kept[window] = (at, kept)
            for subject, own in zip(subjects, kept, strict=True):
                key = subject.model.key
                report.found.setdefault(key, {})[self._names[key, window]] = own
        for key in report.failures:
            report.found.pop(key, None)
        return report
