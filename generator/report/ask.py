"""Asking Prometheus about a period and its intervals, for many models at once."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from contract.quantity import Duration
from contract.spec import Spec
from generator.doctor.ask import Prometheus, Sample
from generator.report.period import Interval, Period, runs

__all__ = ["BATCH", "Asked", "Key", "Progress", "Row", "matchers_of"]

BATCH: Final = 100
"""Models that are asked about at once: what Prometheus holds in memory for one query is bounded."""

Key = tuple[str, str]
Row = list[float | None]
"""A value for each interval."""

_METACHARACTERS: Final = re.compile(r"([.+*?()\[\]{}|^$\\-])")


def matchers_of(names: Sequence[str]) -> str:
    """Matchers of all versions of models of these names."""
    if len(names) == 1:
        return f'model_name="{names[0]}"'
    # RE2 knows no more of escapes than Python; in a string, a backslash is two.
    either = "|".join(_METACHARACTERS.sub(r"\\\\\1", name) for name in names)
    return f'model_name=~"{either}"'


class Progress:
    """A line on a terminal that says what is asked, once that takes more than a second."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._began = time.monotonic()
        self._written = 0

    def say(self, text: str) -> None:
        """Replace the line."""
        if self._shown and time.monotonic() - self._began > 1:
            sys.stderr.write(f"\r{text:<{self._written}}")
            sys.stderr.flush()
            self._written = max(self._written, len(text))

    def done(self) -> None:
        """Take the line away."""
        if self._written:
            sys.stderr.write("\r" + " " * self._written + "\r")
            sys.stderr.flush()
            self._written = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """Some models over one period: every question names them by `who`."""

    prometheus: Prometheus
    spec: Spec
    period: Period
    who: str
    progress: Progress
    about: str = ""

    @property
    def over(self) -> Duration:
        """The range of a query about the whole period."""
        return self.period.whole.window

    def whole(self, expression: str, what: str = "") -> list[Sample]:
        """What an expression gives at the end of the period; not what is not a finite number."""
        return self.at(expression, self.period.end, what)

    def at(self, expression: str, moment: float, what: str = "") -> list[Sample]:
        """The same at a Unix time."""
        self.progress.say(f"asking {self.prometheus.address}{self.about}: {what}")
        found = self.prometheus.query(expression, at=moment)
        return [sample for sample in found if math.isfinite(sample.value)]

    def intervals(
        self, expression: Callable[[Duration], str], labels: tuple[str, ...], what: str = ""
    ) -> dict[tuple[str, ...], Row]:
        """What an expression gives for each interval, by the values of these labels."""
        intervals = self.period.intervals
        rows: dict[tuple[str, ...], Row] = {}
        for first, last in runs(intervals):
            text = expression(intervals[first].window)
            for key, index, value in self._run(text, labels, intervals[first : last + 1], what):
                rows.setdefault(key, [None] * len(intervals))[first + index] = value
        return rows

    def _run(
        self,
        expression: str,
        labels: tuple[str, ...],
        intervals: Sequence[Interval],
        what: str,
    ) -> list[tuple[tuple[str, ...], int, float]]:
        """The values of intervals of one length: of one, an instant; of more, a range."""
        if len(intervals) == 1:
            found = self.at(expression, intervals[0].end, what)
            return [(_values(one.labels, labels), 0, one.value) for one in found]
        self.progress.say(f"asking {self.prometheus.address}{self.about}: {what}")
        start, step = intervals[0].end, intervals[0].seconds
        series = self.prometheus.query_range(
            expression, start=start, end=intervals[-1].end, step=step
        )
        return [
            (_values(one.labels, labels), round((at - start) / step), value)
            for one in series
            for at, value in one.values.items()
            if math.isfinite(value)
        ]


def _values(labels: dict[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in names)
