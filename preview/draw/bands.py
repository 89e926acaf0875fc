"""State timelines: a band for each series, coloured by its value."""

from __future__ import annotations

import math
from typing import Any, Final

from preview.answer import Answer
from preview.board import Panel
from preview.colours import blend
from preview.draw import scale
from preview.draw.canvas import Canvas, shorten, text_width
from preview.draw.lines import Hover, grid_times, on_grid
from preview.fields import Field, Look, resolve_field
from preview.span import Span

__all__ = ["paint_bands"]

THICKEST: Final = 44.0
SIZE: Final = 12.0


def paint_bands(canvas: Canvas, panel: Panel, answer: Answer, span: Span) -> Hover:
    """Paint the bands; equal values that follow each other are one piece."""
    times = grid_times(span, answer.step)
    fields = [
        resolve_field(panel, line.name, canvas.theme, index=index, letter=line.letter)
        for index, line in enumerate(answer.lines)
    ]
    room = max(1, int((canvas.height - 34) // 16))
    names = [field.title for field in fields[:room]]
    widest = max(text_width(name, SIZE) for name in names)
    left = min(widest, canvas.width * 0.35) + 16
    width = canvas.width - left - 14
    height = min(THICKEST, (canvas.height - 34) / len(names))
    bottom = 6 + height * len(names)
    axes = canvas.plot(left, 6, width, height * len(names))
    axes.set_ylim(len(names), 0)
    axes.set_yticks([])
    scale.put_times(axes, span, width, canvas.theme)
    series: list[dict[str, Any]] = []
    named = panel.options.get("showValue", "auto") != "never" and height >= 14
    thick = float(panel.options.get("rowHeight", 0.9))
    opacity = float((panel.defaults.get("custom") or {}).get("fillOpacity", 70)) / 100
    for row, (line, field) in enumerate(zip(answer.lines, fields, strict=False)):
        if row >= room:
            break
        values = on_grid(line.series, times)
        name = shorten(field.title, left - 16, SIZE)
        canvas.text(left - 8, 6 + height * (row + 0.5), name, size=SIZE, across="right")
        for begin, finish, look in _pieces(times, values, field):
            start, end = max(begin, span.start), min(finish, span.end)
            axes.broken_barh(
                [(start, end - start)],
                (row + (1 - thick) / 2, thick),
                color=blend(look.colour, canvas.theme.panel, max(opacity, 0.2)),
                linewidth=0,
                zorder=3,
            )
            wide = (end - start) / span.seconds * width
            if named and text_width(look.text, 11) < wide - 6:
                x = left + (start - span.start) / span.seconds * width + 5
                canvas.text(x, 6 + height * (row + 0.5), look.text, size=11)
        series.append(
            {
                "name": field.title,
                "colour": field.look(values[-1]).colour if len(values) else canvas.theme.text,
                "order": [None if math.isnan(value) else len(names) - row for value in values],
                "texts": ["" if math.isnan(value) else field.look(value).text for value in values],
                "colours": [None if math.isnan(v) else field.look(v).colour for v in values],
            }
        )
    if len(answer.lines) > room:
        canvas.text(left, canvas.height - 6, f"and {len(answer.lines) - room} more", size=11)
    return {
        "box": [
            left / canvas.width,
            6 / canvas.height,
            width / canvas.width,
            (bottom - 6) / canvas.height,
        ],
        "start": span.start,
        "end": span.end,
        "first": float(times[0]),
        "step": answer.step,
        "series": series[:30],
        "marks": [],
    }


def _pieces(times: Any, values: Any, field: Field) -> list[tuple[float, float, Look]]:
    """Runs of equal values with their look; a value holds until the next point."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    pieces: list[tuple[float, float, Look]] = []
    last = math.nan
    for moment, value in zip(times.tolist(), values.tolist(), strict=True):
        if math.isnan(value):
            last = value
            continue
        if pieces and value == last:
            pieces[-1] = (pieces[-1][0], moment + step, pieces[-1][2])
        else:
            pieces.append((moment, moment + step, field.look(value)))
        last = value
    return pieces
