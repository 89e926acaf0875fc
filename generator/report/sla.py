"""What was promised of each version, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from contract.quantity import Duration
from contract.slo import Kind as ObjectiveKind
from contract.slo import Objective, objectives
from generator.queries import report as queries
from generator.report.ask import Asked, Key, Row
from generator.report.counting import added, budget_spent, ratio
from generator.report.figures import Compliance, Outcome, Sla, Verdict
from generator.report.traffic import Counted

__all__ = ["read_sla"]


def read_sla(asked: Asked, counted: Counted, keys: Sequence[Key]) -> dict[Key, Sla]:
    """The promises of each of these versions."""
    promised = _promised(asked, keys)
    left = {
        (*sample.model, sample.labels.get("objective", "")): sample.value
        for sample in asked.whole(queries.left_of_period(asked.who), "budgets")
    }
    up = {
        sample.model: sample.value
        for sample in asked.whole(queries.up_share(asked.who, asked.over), "targets")
    }
    found = {}
    for key in keys:
        promises = [
            _compliance(asked, one, counted.of(key, one.name), left.get((*key, one.name)))
            for one in promised.get(key, ())
        ]
        of_requests = counted.of(key)
        bad = ratio(*map(added, reversed(of_requests))) if of_requests else None
        found[key] = Sla(
            verdict=_together(promises),
            availability_ratio=None if bad is None else 1 - bad,
            targets_up_ratio=up.get(key),
            promises=promises,
        )
    return found


def _promised(asked: Asked, keys: Sequence[Key]) -> dict[Key, list[Objective]]:
    """What models.yaml promises; of versions that it no longer names, what Prometheus remembers."""
    found = {model.key: list(objectives(model)) for model in asked.spec.versions}
    gone = [key for key in keys if key not in found]
    if not gone:
        return found
    for sample in asked.whole(queries.promised(asked.who, asked.over), "promises"):
        if sample.model in gone:
            labels = sample.labels
            kind: ObjectiveKind = labels["kind"]  # type: ignore[assignment]  # as it was recorded
            period = Duration.parse(labels["period"])
            # A label that is empty, as the limit of availability is, is none.
            limit = labels.get("limit", "")
            one = Objective(labels["objective"], kind, sample.value, period, limit)
            found.setdefault(sample.model, []).append(one)
    return found


def _compliance(
    asked: Asked, promise: Objective, counted: tuple[Row, Row] | None, left: float | None
) -> Compliance:
    period = asked.period
    nothing: Row = [None] * len(period.intervals)
    rows = counted or (nothing, nothing)
    series = [
        _outcome(asked, interval.start, interval.end, events, bad)
        for interval, events, bad in zip(period.intervals, *rows, strict=True)
    ]
    whole = _outcome(asked, period.start, period.end, *map(added, rows))
    spent = budget_spent(whole.bad_events, whole.events, promise.target)
    spending = [one for one in series if one.bad_events]
    return Compliance(
        objective=promise.name,
        kind=promise.kind,
        event_unit=_unit(promise.kind),
        target_ratio=promise.target,
        slo_window_seconds=asked.spec.clock(promise.period).seconds,
        events=whole.events,
        bad_events=whole.bad_events,
        achieved_ratio=whole.achieved_ratio,
        budget_spent_ratio=spent,
        budget_left_ratio=None if spent is None else 1 - spent,
        budget_left_of_slo_window_ratio=left,
        verdict=_verdict(whole, spent),
        worst=max(spending, key=lambda one: one.bad_events or 0, default=None),
        series=series,
    )


def _outcome(
    asked: Asked, start: float, end: float, events: float | None, bad: float | None
) -> Outcome:
    share = ratio(bad, events)
    return Outcome(
        start=asked.period.moment(start),
        end=asked.period.moment(end),
        events=events,
        bad_events=bad,
        achieved_ratio=None if share is None else 1 - share,
    )


def _unit(kind: str) -> Literal["requests", "labels", "seconds"]:
    """What one event is: of time, a second counts as one."""
    if kind == "accuracy":
        return "labels"
    return "requests" if kind in ("availability", "latency") else "seconds"


def _verdict(whole: Outcome, spent: float | None) -> Verdict:
    if whole.events is None or (whole.events and spent is None):
        return "no_data"
    if spent is None:
        return "no_events"
    return "broken" if spent > 1 else "met"


def _together(promises: Sequence[Compliance]) -> Verdict:
    verdicts = {promise.verdict for promise in promises}
    order: tuple[Verdict, ...] = ("broken", "met", "no_events")
    return next((one for one in order if one in verdicts), "no_data")
