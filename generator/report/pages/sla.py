"""The SLA report: each promise against what was, what is left of its budget, and what spent it."""

from __future__ import annotations

from typing import Final

from contract.quantity import Duration
from generator.report.figures import Compliance, ModelReport, Report, Sla, Traffic
from generator.report.page import Cell, Chart, Column, Section, Table, Tone
from generator.report.pages.head import (
    alert_table,
    alerts_cell,
    badge,
    facts,
    intervals_table,
    labelled,
    plain,
)
from generator.report.wording import UNKNOWN, count, date_range, duration, one_day, percent

__all__ = ["sla_section", "sla_summary"]

_LOW: Final = 0.25
_COLUMNS: Final = 4
"""Promises that fit beside each other, an interval a row."""


def _sla(model: ModelReport) -> Sla:
    if model.sla is None:
        raise AssertionError("the report is of another kind")
    return model.sla


def sla_summary(report: Report) -> tuple[list[Cell], Table, list[ModelReport]]:
    """How many promises were kept; all models, the worst first; those that broke one."""
    promises = [promise for model in report.models for promise in _sla(model).promises]
    broken = sum(promise.verdict == "broken" for promise in promises)
    met = sum(promise.verdict == "met" for promise in promises)
    lines = [
        Cell(f"{met} of {met + broken} promises met, {broken} broken.", "bad" if broken else "good")
        if met + broken
        else Cell("No promise can be judged: there were no requests, or no data.", "warn")
    ]
    if unknown := len(promises) - met - broken:
        lines.append(Cell(f"{unknown} could not be judged for want of requests or data.", "warn"))
    ordered = sorted(report.models, key=_badness)
    rows = [_row(model) for model in ordered]
    columns = (
        Column("Model", right=False),
        Column("Version", right=False),
        Column("Requests"),
        Column("Availability"),
        Column("Least budget left"),
        Column("Alerts"),
        Column("Promises", right=False),
    )
    wrong = [model for model in ordered if _sla(model).verdict == "broken"]
    return lines, Table(title="The worst first", columns=columns, rows=rows), wrong


def _badness(model: ModelReport) -> tuple[float, str, str]:
    worst = _tightest(_sla(model))
    left = worst.budget_left_ratio if worst and worst.budget_left_ratio is not None else 2.0
    return left, model.name, model.version


def _tightest(sla: Sla) -> Compliance | None:
    known = [promise for promise in sla.promises if promise.budget_left_ratio is not None]
    return min(known, key=lambda one: one.budget_left_ratio or 0, default=None)


def _row(model: ModelReport) -> list[Cell]:
    sla = _sla(model)
    worst = _tightest(sla)
    left = Cell(UNKNOWN) if worst is None else _left(worst.budget_left_ratio)
    return [
        *plain(model.name, model.version, count(model.traffic.requests)),
        Cell(percent(sla.availability_ratio)),
        Cell(f"{left.text} {worst.objective}" if worst else UNKNOWN, left.tone),
        alerts_cell(model),
        badge(sla.verdict),
    ]


def _left(ratio: float | None) -> Cell:
    if ratio is None:
        return Cell(UNKNOWN)
    if ratio < -1:
        # Of what is spent many times over, how often says more than percents.
        return Cell(f"{1 - ratio:,.3g}× spent", "bad")
    return Cell(percent(ratio), "bad" if ratio < 0 else "warn" if ratio < _LOW else "good")


def sla_section(model: ModelReport, report: Report) -> Section:
    """The section of one version."""
    sla = _sla(model)
    lines = facts(model, report)
    if sla.targets_up_ratio is not None:
        lines.append(Cell(f"Its targets answered {percent(sla.targets_up_ratio)} of the time."))
    charts = [
        Chart(
            title=f"Bad {promise.event_unit}, {promise.objective}",
            unit="percentunit",
            values=[
                None if one.achieved_ratio is None else 1 - one.achieved_ratio
                for one in promise.series
            ],
            limit=round(1 - promise.target_ratio, 12),
        )
        for promise in sla.promises
        if promise.events
    ]
    blocks: list[Table | Chart] = [_promises(sla, report), alert_table(model), *charts]
    if model.traffic.requests:
        blocks.append(_series(model, sla))
    return Section(title=labelled(model), badge=badge(sla.verdict), facts=lines, blocks=blocks)


def _promises(sla: Sla, report: Report) -> Table:
    other = any(
        abs(one.slo_window_seconds - report.period.seconds) > 60
        and one.budget_left_of_slo_window_ratio is not None
        for one in sla.promises
    )
    columns = (
        Column("Promise", right=False),
        Column("Target"),
        Column("Achieved"),
        Column("Bad"),
        Column("Of"),
        Column("Budget left"),
        *((Column("In SLO window"),) if other else ()),
        Column("Worst", right=False, optional=True),
        Column("", right=False),
    )
    dated = not one_day(report.period.start, report.period.end)
    rows = [_promise(one, other=other, dated=dated) for one in sla.promises]
    note = ""
    if other:
        windows = sorted({one.slo_window_seconds for one in sla.promises})
        names = ", ".join(str(Duration(round(window * 1000))) for window in windows)
        note = (
            "Budget left is that of this period; in SLO window, that of the "
            f"{names} that end with it."
        )
    return Table(title="Promises", columns=columns, rows=rows, note=note)


def _promise(one: Compliance, *, other: bool, dated: bool) -> list[Cell]:
    amount = duration if one.event_unit == "seconds" else count
    tone: Tone = "bad" if one.verdict == "broken" else ""
    worst = one.worst
    return [
        Cell(one.objective),
        Cell(percent(one.target_ratio)),
        Cell(percent(one.achieved_ratio, apart_from=one.target_ratio), tone),
        *plain(amount(one.bad_events), amount(one.events)),
        _left(one.budget_left_ratio),
        *((_left(one.budget_left_of_slo_window_ratio),) if other else ()),
        Cell(
            f"{date_range(worst.start, worst.end, dated=dated)}: {percent(worst.achieved_ratio)}"
            if worst
            else UNKNOWN
        ),
        badge(one.verdict, f"no {one.event_unit}"),
    ]


def _series(model: ModelReport, sla: Sla) -> Table:
    shown = [one for one in sla.promises if one.objective != "availability"][:_COLUMNS]
    available = next((one for one in sla.promises if one.objective == "availability"), None)
    columns = (
        Column("Errors"),
        Column("Availability"),
        *(Column(promise.objective, optional=True) for promise in shown),
    )

    def cells(index: int, traffic: Traffic) -> list[Cell]:
        ratio = traffic.error_ratio
        kept = _kept(available, index) if available else Cell(percent(ratio and 1 - ratio))
        return [Cell(count(traffic.errors)), kept, *(_kept(promise, index) for promise in shown)]

    return intervals_table("Over time", columns, model, cells)


def _kept(promise: Compliance, index: int) -> Cell:
    achieved = promise.series[index].achieved_ratio
    below = achieved is not None and achieved < promise.target_ratio
    return Cell(percent(achieved, apart_from=promise.target_ratio), "bad" if below else "")
