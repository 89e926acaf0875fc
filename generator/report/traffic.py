"""Which versions of models there were, what requests they had, and of which time that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from contract.catalog import MODEL
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import report as queries
from generator.queries import slo
from generator.queries.slo_events import counts_step
from generator.report.ask import Asked, Key, Row
from generator.report.counting import added, ratio
from generator.report.figures import Coverage, Span, Traffic

__all__ = ["Counted", "Presence", "read_counted", "read_presence", "traffic_of"]

_AVAILABILITY: Final = "availability"
_LONG: Final = 100
"""Counts of which one is less than the report would show."""
_FINEST: Final = 1_500
"""About as many times are looked at for gaps."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Events, and bad ones, by model, version and objective, in each interval."""

    events: dict[tuple[str, ...], Row]
    bad: dict[tuple[str, ...], Row]
    counts: dict[tuple[str, ...], Row]
    """By model and version, how often was counted."""

    def of(self, key: Key, objective: str = _AVAILABILITY) -> tuple[Row, Row] | None:
        """The events and the bad events of an objective; None where nothing was counted."""
        events = self.events.get((*key, objective))
        if events is None:
            return None
        return events, self.bad.get((*key, objective), [None] * len(events))


def read_counted(asked: Asked, *, every_objective: bool) -> Counted:
    """What was counted of requests alone, or of every promise."""
    who = asked.who if every_objective else f'{asked.who}, objective="{_AVAILABILITY}"'
    labels = slo.OBJECTIVE
    return Counted(
        asked.intervals(lambda over: queries.events(who, over), labels, "requests"),
        asked.intervals(lambda over: queries.bad_events(who, over), labels, "errors"),
        asked.intervals(lambda over: queries.counts(asked.who, over), MODEL, "coverage"),
    )


@dataclass(frozen=True, slots=True)
class Presence:
    """When each version served, and of which time anything is known."""

    coverage: dict[Key, Coverage]
    served: dict[Key, tuple[float, float]]
    """The first and the last request, to five minutes (Unix times)."""


def read_presence(asked: Asked, counted: Counted) -> Presence:
    """The presence of every version that was counted."""
    step = counts_step(asked.spec)
    requests = {key: found[0] for key in counted.counts if (found := counted.of(_model(key)))}
    known = _ends(asked, counted.counts, queries.count_moments)
    served = _ends(asked, requests, queries.first_and_last_request)
    full = _expected(asked.period.whole.seconds, step)
    totals = {_model(key): added(row) or 0 for key, row in counted.counts.items()}
    holey = {key for key, total in totals.items() if _share(total, full) < 1}
    gaps, fine = _gaps(asked, holey, known, step) if holey else ({}, step.seconds)
    coverage = {
        key: Coverage(
            first=asked.period.moment(max(known[key][0] - step.seconds, asked.period.start)),
            last=asked.period.moment(known[key][1]),
            covered_ratio=_share(total, full),
            gaps=gaps.get(key, []),
            gap_resolution_seconds=fine,
        )
        for key, total in totals.items()
        if key in known
    }
    began = {
        key: (max(first - step.seconds, asked.period.start), last)
        for key, (first, last) in served.items()
    }
    return Presence(coverage, began)


def _model(key: tuple[str, ...]) -> Key:
    return key[0], key[1]


def _ends(
    asked: Asked,
    rows: Mapping[tuple[str, ...], Row],
    question: Callable[[str, Duration, Spec], tuple[str, str]],
) -> dict[Key, tuple[float, float]]:
    """When each model had something first and last (Unix times).

    In which interval that was its row tells: only there is looked more closely, for to do so in all
    of a month would cost more than the rest of the report.
    """
    places: dict[Key, tuple[int, int]] = {}
    for key, row in rows.items():
        if there := [index for index, value in enumerate(row) if value]:
            places[_model(key)] = there[0], there[-1]
    found: dict[Key, list[float]] = {key: [] for key in places}
    for end in (0, 1):
        for place in sorted({both[end] for both in places.values()}):
            interval = asked.period.intervals[place]
            expression = question(asked.who, interval.window, asked.spec)[end]
            for sample in asked.at(expression, interval.end, "first and last"):
                if sample.model in places and places[sample.model][end] == place:
                    found[sample.model].append(sample.value)
    return {key: (ends[0], ends[1]) for key, ends in found.items() if len(ends) == 2}


def _expected(seconds: float, step: Duration) -> int:
    """How often is counted in a time."""
    return max(1, math.floor(seconds / step.seconds))


def _share(count: float, full: int) -> float:
    """Of a long time one may be missing: a period need not begin and end where counts do."""
    return 1.0 if count >= full - 1 >= _LONG else min(1.0, count / full)


def _gaps(
    asked: Asked, holey: set[Key], known: dict[Key, tuple[float, float]], step: Duration
) -> tuple[dict[Key, list[Span]], float]:
    """Times between first and last without counts, and how finely they were looked for."""
    period = asked.period
    multiple = math.ceil((period.end - period.start) / _FINEST / step.seconds)
    fine = Duration(step.milliseconds * max(multiple, 1))
    window = Duration(fine.milliseconds - 1)
    start = period.start + fine.seconds
    if start > period.end:
        return {}, fine.seconds
    series = asked.prometheus.query_range(
        queries.counts(asked.who, window), start=start, end=period.end, step=fine.seconds
    )
    gaps: dict[Key, list[Span]] = {}
    for one in series:
        key = one.labels.get("model_name", ""), one.labels.get("model_version", "")
        if key not in holey or key not in known:
            continue
        there = sorted(at for at in one.values if one.values[at] > 0)
        gaps[key] = [
            Span(period.moment(before), period.moment(after - fine.seconds))
            for before, after in pairwise(there)
            if after - before > 1.5 * fine.seconds
        ]
    return gaps, fine.seconds


def traffic_of(asked: Asked, counted: Counted, key: Key) -> tuple[Traffic, list[Traffic]]:
    """A version's requests over the whole period, and over each interval."""
    intervals = asked.period.intervals
    nothing: Row = [None] * len(intervals)
    requests, errors = counted.of(key) or (nothing, nothing)
    counts = counted.counts.get(key, nothing)
    step = counts_step(asked.spec)
    series = [
        _traffic(
            asked,
            interval.start,
            interval.end,
            events,
            bad,
            min(1.0, (count or 0) / _expected(interval.seconds, step)),
        )
        for interval, events, bad, count in zip(intervals, requests, errors, counts, strict=True)
    ]
    full = _expected(asked.period.whole.seconds, step)
    covered = _share(added(counts) or 0, full)
    whole = _traffic(
        asked, asked.period.start, asked.period.end, added(requests), added(errors), covered
    )
    return whole, series


def _traffic(
    asked: Asked,
    start: float,
    end: float,
    requests: float | None,
    errors: float | None,
    covered: float,
) -> Traffic:
    return Traffic(
        start=asked.period.moment(start),
        end=asked.period.moment(end),
        covered_ratio=covered,
        requests=requests,
        errors=errors,
        error_ratio=ratio(errors, requests),
    )
