"""Which kind of panel is painted how; a panel that can't be painted says why in its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from preview.answer import Answer
from preview.board import Panel
from preview.colours import resolve_colour
from preview.draw.bands import paint_bands
from preview.draw.canvas import Canvas
from preview.draw.heat import paint_heat
from preview.draw.lines import Hover, paint_lines
from preview.draw.numbers import paint_bars, paint_gauges, paint_stat
from preview.draw.parts import paint_columns, paint_pie
from preview.view import View

__all__ = ["TABLES", "paint_body"]

TABLES: Final = ("table", "alertlist")
"""Kinds that the page shows as HTML tables."""

_STILL: Final[dict[str, Callable[[Canvas, Panel, Answer], None]]] = {
    "stat": paint_stat,
    "gauge": paint_gauges,
    "bargauge": paint_bars,
    "barchart": paint_columns,
    "piechart": paint_pie,
}


def paint_body(canvas: Canvas, panel: Panel, view: View) -> Hover | None:
    """Paint all kinds but TABLES, row and text. What a pointer shows over it, if anything."""
    answer = view.answers[panel.id]
    if answer.errors:
        canvas.message("\n".join(answer.errors), colour=resolve_colour("red", canvas.theme))
        return None
    if not any(not math.isnan(v) for line in answer.lines for v in line.series.values):
        canvas.message(panel.no_value)
        return None
    if panel.kind in _STILL:
        _STILL[panel.kind](canvas, panel, answer)
        return None
    if panel.kind == "timeseries":
        return paint_lines(canvas, panel, answer, view.span, view.marks)
    if panel.kind in ("state-timeline", "status-history"):
        return paint_bands(canvas, panel, answer, view.span)
    if panel.kind == "heatmap":
        hover = paint_heat(canvas, panel, answer, view.span)
        if hover is None:
            canvas.message(panel.no_value)
        return hover
    canvas.message(f"Panels of the kind {panel.kind} are not drawn here; Grafana shows them")
    return None
