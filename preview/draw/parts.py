"""Pie charts and bar charts: shares of a whole, and values beside each other."""

from __future__ import annotations

import math

from matplotlib.patches import Wedge

from preview.answer import Answer
from preview.board import Panel
from preview.draw.canvas import Canvas
from preview.draw.legend import Entry, calculate, paint_legend
from preview.draw.numbers import paint_bars
from preview.fields import resolve_field

__all__ = ["paint_columns", "paint_pie"]


def paint_pie(canvas: Canvas, panel: Panel, answer: Answer) -> None:
    """A ring or a pie; the legend gives each part's value and share."""
    found = []
    for index, line in enumerate(answer.lines):
        field = resolve_field(panel, line.name, canvas.theme, index=index, letter=line.letter)
        value = calculate("lastNotNull", line.series.values)
        if value > 0:
            found.append((field, value))
    total = math.fsum(value for _, value in found)
    if not total:
        canvas.message(panel.no_value)
        return
    below = (len(found) + 1) * 18.0
    radius = max(20.0, min(canvas.width, canvas.height - below) / 2 - 8)
    start = -90.0
    ring = radius * 0.45 if panel.options.get("pieType") == "donut" else radius
    for field, value in found:
        end = start + 360 * value / total
        centre = (canvas.width / 2, radius + 4)
        canvas.add(Wedge(centre, radius, start, end, width=ring, color=field.series_colour, lw=0))
        start = end
    entries = [
        Entry(field.title, field.series_colour, False, (field.text(value), f"{value / total:.0%}"))
        for field, value in found
    ]
    options = {"displayMode": "table", "calcs": ["Value", "Share"]}
    paint_legend(canvas, options, entries, radius * 2 + 12)


def paint_columns(canvas: Canvas, panel: Panel, answer: Answer) -> None:
    """A bar chart of one value each, as horizontal bars: their names stay readable."""
    paint_bars(canvas, panel, answer)
