"""Charts of a report as SVG, drawn as dashboards are without Grafana."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from generator.report.figures import Report
from generator.report.page import Chart
from preview.answer import Answer, Line
from preview.board import Panel
from preview.colours import LIGHT
from preview.draw.canvas import Canvas, drawing
from preview.draw.lines import paint_lines
from preview.prometheus import Series
from preview.span import Span

__all__ = ["draw"]

_WIDTH: Final = 520.0
_HEIGHT: Final = 170.0
_POINTS: Final = 400
_POINTS_EACH: Final = 40
"""At most so many across, and in an interval, which is a step as wide as it is long."""
_PROMISED: Final = "promised"
_DEFAULTS: Final[Mapping[str, Any]] = {
    "color": {"mode": "fixed", "fixedColor": "blue"},
    "custom": {"lineWidth": 1.5, "fillOpacity": 18},
}
_LIMIT: Final[Mapping[str, Any]] = {
    "matcher": {"id": "byName", "options": _PROMISED},
    "properties": [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
        {"id": "custom.lineStyle", "value": {"fill": "dash"}},
        {"id": "custom.fillOpacity", "value": 0},
    ],
}


def draw(chart: Chart, report: Report, salt: str) -> str:
    """The <svg> of a chart; `salt` tells its ids from those of others on the page."""
    intervals = [
        (one.start.timestamp(), one.end.timestamp()) for one in report.models[0].traffic_series
    ]
    zone = report.period.start.tzinfo
    start, end = intervals[0][0], intervals[-1][1]
    span = Span(since="", until="", start=start, end=end, zone=zone)
    longest = max(until - since for since, until in intervals)
    step = float(max(1, round(max((end - start) / _POINTS, longest / _POINTS_EACH))))
    lines = [Line(chart.title, "A", _steps(chart.values, intervals, step))]
    if chart.limit is not None:
        promised: list[float | None] = [chart.limit] * len(intervals)
        lines.append(Line(_PROMISED, "B", _steps(promised, intervals, step)))
    defaults = {**_DEFAULTS, "unit": chart.unit, **({"min": 0} if chart.from_zero else {})}
    panel = Panel(
        id=1,
        kind="timeseries",
        title=chart.title,
        description="",
        x=0,
        y=0,
        width=12,
        height=6,
        defaults=defaults,
        overrides=(_LIMIT,),
        options={"legend": {"showLegend": False}},
    )
    with drawing(salt):
        canvas = Canvas(_WIDTH, _HEIGHT, LIGHT)
        if any(value is not None for value in chart.values):
            paint_lines(canvas, panel, Answer(lines=tuple(lines), step=step), span, ())
        else:
            canvas.message("No data")
        return canvas.to_svg()


def _steps(
    values: Sequence[float | None], intervals: Sequence[tuple[float, float]], step: float
) -> Series:
    """A point every `step` seconds, with the value of the interval that it lies in."""
    first = intervals[0][0] - intervals[0][0] % step
    times: list[float] = []
    told: list[float] = []
    place = 0
    for index in range(math.floor((intervals[-1][1] - first) / step) + 1):
        at = first + index * step
        while place < len(intervals) - 1 and at >= intervals[place][1]:
            place += 1
        value = values[place]
        times.append(at)
        told.append(math.nan if value is None else value)
    return Series({}, tuple(times), tuple(told))
