"""What evidence is, and the timeline that its series follow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.windows import FIVE_MINUTES, window

__all__ = ["Evidence", "Inputs", "Timeline", "selector"]

Inputs = Mapping[str, str]
"""Series → its values, in promtool's notation."""


_SHORTEST_STEP: Final = 15_000
"""Below it promtool takes minutes for a proof, and rules are not evaluated more often anyway."""
_LONGEST_STEP: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Something is wrong from the start, up to step `bad`, then right up to step `end`.

    Where a past is needed that was right, what is wrong begins only after step `begin`.
    """

    step: Duration
    bad: int
    end: int
    begin: int = 0

    @classmethod
    def of(cls, hold: Duration, spec: Spec, longest: Duration = FIVE_MINUTES) -> Timeline:
        """Long enough for the hold and for the longest window to fill and to empty."""
        span = window(spec, longest).milliseconds
        largest = max(_LONGEST_STEP, span // 30)
        # Without a hold there is nothing to wait for, and steps may be large.
        step = min(max(hold.milliseconds // 2 or largest, _SHORTEST_STEP), largest)
        bad = math.ceil((span + hold.milliseconds) / step) + 2
        return cls(step=Duration(step), bad=bad, end=bad + math.ceil(span / step) + 2)

    @classmethod
    def after(cls, history: Duration, hold: Duration) -> Timeline:
        """The same after a past that was right.

        Five minutes hold two and a half steps, so that every version of Prometheus finds the same
        samples in them.
        """
        step = 120_000
        begin = math.ceil(history.milliseconds / step)
        bad = begin + math.ceil(hold.milliseconds / step) + 5
        return cls(step=Duration(step), begin=begin, bad=bad, end=bad + 6)

    def at(self, step: int) -> Duration:
        """The time of a step."""
        return Duration(self.step.milliseconds * step)

    def gauge(self, bad: float, good: float, slope: float = 0) -> str:
        """A value while it is bad and one while it is good; both grow by `slope` a step."""
        stretches = (
            (good, 0, self.begin),
            (bad, self.begin, self.bad + 1),
            (good, self.bad + 1, self.end),
        )
        return " ".join(
            f"{value + slope * first:.12g}+{slope:.12g}x{stop - first - 1}"
            for value, first, stop in stretches
            if stop > first
        )

    def counter(self, bad: float, good: float) -> str:
        """A counter from 0 that grows by `bad`, later (and before) by `good` a step."""
        before = f"0+{good:.12g}x{self.begin} " if self.begin else ""
        start = good * self.begin + bad if self.begin else 0
        steps = self.bad - self.begin
        total = good * self.begin + bad * steps + good
        return (
            f"{before}{start:.12g}+{bad:.12g}x{steps - 1 if self.begin else steps}"
            f" {total:.12g}+{good:.12g}x{self._rest}"
        )

    def absent(self, good: float) -> str:
        """Nothing while it is bad, then a value."""
        return f"_x{self.bad + 1} {good:.12g}+0x{self._rest}"

    @property
    def _rest(self) -> int:
        return self.end - self.bad - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What makes one alert fire while it is bad, with which labels; and what leaves it silent."""

    firing: Inputs
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    silent: Mapping[str, Inputs] = field(default_factory=dict)
    also: Mapping[str, Inputs] = field(default_factory=dict)
    """Other inputs that make it fire with the same labels and value."""
    since: int = 0
    """The step at which `firing` has become bad, from which on the hold runs."""
    growing: bool = False
    """Whether the value grows with time, so that it is the one of `bad` only then."""
    looked_up: Mapping[str, str] = field(default_factory=dict)
    """The places of its text that templates look up: the XID errors, the other version."""
    times: Timeline | None = None
    """The timeline of the series, where it is not the usual one."""


def selector(metric: Metric | str, /, **labels: str) -> str:
    """One series, as promtool reads it."""
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return f"{metric}{{{','.join(pairs)}}}"
