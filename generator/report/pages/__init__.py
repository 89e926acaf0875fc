"""Reports as pages: which figures stand where, for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from generator.report.figures import Kind, ModelReport, Report
from generator.report.page import Cell, Page, Section, Table
from generator.report.pages.drift import drift_section, drift_summary
from generator.report.pages.performance import performance_section, performance_summary
from generator.report.pages.sla import sla_section, sla_summary
from generator.report.wording import clock, period_name

__all__ = ["page_of"]

_TITLES: Final[dict[Kind, str]] = {
    "sla": "SLA report",
    "performance": "Performance report",
    "drift": "Drift and quality report",
}
_SECTIONS: Final[dict[Kind, Callable[[ModelReport, Report], Section]]] = {
    "sla": sla_section,
    "performance": performance_section,
    "drift": drift_section,
}
_SUMMARIES: Final[dict[Kind, Callable[[Report], tuple[list[Cell], Table, list[ModelReport]]]]] = {
    "sla": sla_summary,
    "performance": performance_summary,
    "drift": drift_summary,
}
"""What is said at the top, a row for each model, and the models by how bad they are."""

MANY: Final = 12
"""Models above which only those that something is wrong with have a section of their own."""


def page_of(report: Report) -> Page:
    """The page of a report."""
    summary, table, wrong = _SUMMARIES[report.kind](report)
    several = len(report.models) > 1
    shown = report.models if len(report.models) <= MANY else wrong[:MANY]
    overview = [Section(title="All models", blocks=[table])] if several else []
    left_out = len(report.models) - len(shown)
    if left_out:
        text = f"{left_out} models have no section of their own here: --model NAME shows any."
        summary = [*summary, Cell(text, "faint")]
    period = report.period
    return Page(
        title=_TITLES[report.kind],
        period=(
            f"{clock(period.start)} to {clock(period.end)}, zone {report.zone} "
            f"({period_name(period.seconds, report.step)})"
        ),
        source=f"From {report.prometheus}, {clock(report.generated_at)}",
        summary=summary,
        notes=report.notes,
        sections=[*overview, *(_SECTIONS[report.kind](model, report) for model in shown)],
    )
