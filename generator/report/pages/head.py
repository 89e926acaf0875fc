"""What stands in the section of every model: since when, what is missing, requests, alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from generator.report.figures import ModelReport, Report, Traffic, Verdict
from generator.report.page import Cell, Column, Table, Tone
from generator.report.wording import clock, count, date_range, duration, one_day, percent

__all__ = ["alert_table", "alerts_cell", "badge", "facts", "intervals_table", "labelled", "plain"]

_MOST_GAPS: Final = 3
_COVERED: Final = 0.9
"""An interval of which less is known says so."""
_BADGES: Final[dict[Verdict, Cell]] = {
    "met": Cell("met", "good"),
    "broken": Cell("BROKEN", "bad"),
    "no_events": Cell("no requests", "faint"),
    "no_data": Cell("no data", "warn"),
}

_STATES: Final = {
    "": "No longer in models.yaml. ",
    "registered": "Registered, and need not serve. ",
    "retired": "Retired. ",
}


def badge(verdict: Verdict, nothing: str = "no requests") -> Cell:
    """A verdict in a word or two."""
    found = _BADGES[verdict]
    return Cell(nothing, found.tone) if verdict == "no_events" else found


def plain(*texts: str) -> list[Cell]:
    """Cells without a tone."""
    return [Cell(text) for text in texts]


def labelled(model: ModelReport) -> str:
    """The title of a model's section."""
    return f"{model.name} {model.version}"


def facts(model: ModelReport, report: Report) -> list[Cell]:
    """Whose it is, when it served, and of which time nothing is known."""
    owner = f"Team {model.team}. " if model.team else ""
    gone = _STATES.get(model.state, "")
    found = [Cell(f"{owner}{gone}{_served(model, report)}")]
    coverage = model.coverage
    if coverage.first is None or coverage.last is None:
        why = " yet." if report.figures_from else ". make doctor says why."
        text = f"No data in this period: nothing counted its requests{why}"
        return [*found, Cell(text, "warn")]
    if coverage.covered_ratio < 1:
        text = (
            f"Data for {percent(coverage.covered_ratio)} of the period, from "
            f"{clock(coverage.first)} to {clock(coverage.last)}; figures are of that time."
        )
        found.append(Cell(text, "warn"))
    if coverage.gaps:
        longest = sorted(coverage.gaps, key=lambda gap: -gap.seconds)[:_MOST_GAPS]
        shown = ", ".join(
            f"{date_range(gap.start, gap.end)} ({duration(gap.seconds)})" for gap in longest
        )
        more = len(coverage.gaps) - len(longest)
        text = f"No data: {shown}{f' and {more} shorter' if more else ''}."
        found.append(Cell(text, "warn"))
    return found


def _served(model: ModelReport, report: Report) -> str:
    first, last = model.first_request, model.last_request
    if first is None or last is None:
        return "No requests." if model.coverage.first else ""
    total = f"{count(model.traffic.requests)} requests"
    slack = 2 * 300
    began = (first - report.period.start).total_seconds() > slack
    ended = (report.period.end - last).total_seconds() > slack
    if not began and not ended:
        return f"{total} in all of the period."
    return f"{total} from {clock(first)} to {clock(last)}."


def alerts_cell(model: ModelReport) -> Cell:
    """How many episodes of alerts there were; those that only inform are left out."""
    loud = [alert for alert in model.alerts if alert.severity != "info"]
    episodes = sum(alert.episodes for alert in loud)
    firing = sum(alert.firing_at_end for alert in loud)
    text = f"{episodes}, {firing} firing" if firing else f"{episodes}"
    return Cell(text, "bad" if firing else "warn" if episodes else "")


def alert_table(model: ModelReport) -> Table:
    """Every alert that fired: how often, how long, first and last."""
    tones: dict[str, Tone] = {"critical": "bad", "error": "bad", "warning": "warn"}
    rows = [
        [
            Cell(alert.name),
            Cell(alert.severity, tones.get(alert.severity, "faint")),
            *plain(str(alert.episodes), duration(alert.firing_seconds), clock(alert.first_firing)),
            Cell("still firing", "bad") if alert.firing_at_end else Cell(clock(alert.last_firing)),
        ]
        for alert in model.alerts
    ]
    columns = (
        Column("Alert", right=False),
        Column("Severity", right=False),
        Column("Times"),
        Column("In all"),
        Column("First"),
        Column("Last"),
    )
    return Table(
        title="Alerts that fired", columns=columns, rows=rows, note="" if rows else "None."
    )


def intervals_table(
    title: str,
    columns: Sequence[Column],
    model: ModelReport,
    cells: Callable[[int, Traffic], Sequence[Cell]],
) -> Table:
    """A row for each interval; of intervals in a row without requests, one for all of them."""
    rows: list[list[Cell]] = []
    numbered = list(enumerate(model.traffic_series))
    partly = False
    dated = not one_day(model.traffic.start, model.traffic.end)
    for reason, group in groupby(numbered, key=lambda one: _nothing(one[1])):
        intervals = list(group)
        if reason:
            when = date_range(intervals[0][1].start, intervals[-1][1].end, dated=dated)
            rest = [Cell("")] * len(columns)
            rows.append([Cell(when, "faint"), Cell(reason, "faint"), *rest])
            continue
        for index, traffic in intervals:
            partial = traffic.covered_ratio < _COVERED
            partly = partly or partial
            when = date_range(traffic.start, traffic.end, dated=dated) + ("*" if partial else "")
            rows.append([Cell(when), Cell(count(traffic.requests)), *cells(index, traffic)])
    head = (Column("When", right=False), Column("Requests"), *columns)
    note = f"* less than {percent(_COVERED)} of it has data" if partly else ""
    return Table(title=title, columns=head, rows=rows, note=note)


def _nothing(traffic: Traffic) -> str:
    """Why there is nothing to tell of an interval."""
    if traffic.requests is None or not traffic.covered_ratio:
        return "no data"
    return "" if traffic.requests else "no requests"
