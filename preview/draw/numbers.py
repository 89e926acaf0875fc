"""Single numbers: stat, gauge and bar gauge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.patches import Wedge

from preview.answer import Answer
from preview.board import Panel
from preview.colours import blend, resolve_colour
from preview.draw.canvas import Canvas, fit, shorten, text_width
from preview.draw.legend import calculate
from preview.fields import Field, Look, resolve_field

__all__ = ["paint_bars", "paint_gauges", "paint_stat"]

GAP: Final = 6.0
BAR: Final = 30.0
SPARE: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Number:
    field: Field
    value: float
    look: Look
    times: Sequence[float]
    values: Sequence[float]


def _numbers(canvas: Canvas, panel: Panel, answer: Answer) -> list[_Number]:
    calcs = (panel.options.get("reduceOptions") or {}).get("calcs") or ["lastNotNull"]
    found = []
    for index, line in enumerate(answer.lines):
        field = resolve_field(panel, line.name, canvas.theme, index=index, letter=line.letter)
        value = calculate(calcs[0], line.series.values)
        look = field.look(value)
        colour = (field.config.get("color") or {}).get("mode")
        if not look.mapped and colour in ("fixed", "palette-classic"):
            look = Look(look.text, field.series_colour)
        found.append(_Number(field, value, look, line.series.times, line.series.values))
    return found


def paint_stat(canvas: Canvas, panel: Panel, answer: Answer) -> None:
    """Numbers as large as fit, beside each other where there is room, else below each other."""
    numbers = _numbers(canvas, panel, answer)
    orientation = panel.options.get("orientation", "auto")
    many = len(numbers)
    beside = orientation == "vertical" or (orientation == "auto" and canvas.width / many >= 80)
    width = (canvas.width - GAP * (many - 1)) / many if beside else canvas.width
    height = canvas.height if beside else (canvas.height - GAP * (many - 1)) / many
    mode = panel.options.get("textMode", "auto")
    named = mode in ("value_and_name", "name") or (mode == "auto" and many > 1)
    room = height - (20 if named else 0)
    size = min(
        fit(one.look.text, width - 10, min(46.0, room * 0.62), smallest=9, bold=True)
        for one in numbers
    )
    for index, number in enumerate(numbers):
        x = index * (width + GAP) if beside else 0.0
        y = 0.0 if beside else index * (height + GAP)
        _paint_number(canvas, panel, number, (x, y, width, height), size=size, named=named)


def _paint_number(
    canvas: Canvas,
    panel: Panel,
    number: _Number,
    box: tuple[float, float, float, float],
    *,
    size: float,
    named: bool,
) -> None:
    x, y, width, height = box
    filled = str(panel.options.get("colorMode", "value")).startswith("background")
    filled = filled and number.look.colour != canvas.theme.text
    colour = number.look.colour
    if panel.options.get("colorMode") == "none":
        colour = canvas.theme.text
    if filled:
        ground, colour = _ground(colour)
        canvas.box(x, y, width, height, ground, round_by=4)
    if panel.options.get("graphMode") == "area" and len(number.values) > 1:
        _sparkline(canvas, number, box, colour)
        height *= 0.72
    middle = y + height / 2
    if named:
        name = shorten(number.field.title, width - 8, 12)
        faint = colour if filled else canvas.theme.faint
        top = max(y + 10, middle - size / 2 - 11)
        canvas.text(x + width / 2, top, name, size=12, colour=faint, across="center")
        middle = top + 14 + size / 2
    canvas.text(
        x + width / 2,
        middle,
        number.look.text,
        size=size,
        colour=colour,
        across="center",
        bold=True,
    )


def _ground(colour: str) -> tuple[str, str]:
    """A background and the colour of text on it: darker hues under white, bright ones under black.

    Darkened yellow would be brown, so it stays; the others are calmer a little darker.
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    luminance = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
    if luminance > 0.7:
        return colour, "#111217"
    return blend(colour, "#000000", min(0.82, 0.42 / max(luminance, 0.01))), "#ffffff"


def _sparkline(
    canvas: Canvas, number: _Number, box: tuple[float, float, float, float], colour: str
) -> None:
    x, y, width, height = box
    values = np.asarray(number.values)
    if np.isnan(values).all():
        return
    axes = canvas.plot(x, y + height * 0.68, width, height * 0.32)
    axes.axis("off")
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    # A line that hardly moves should look like one.
    low, high = min(low, 0.0), high if high > 0 else 1.0
    axes.set_ylim(low, high * 1.05)
    axes.fill_between(number.times, low, values, color=colour, alpha=0.14, linewidth=0)
    axes.plot(number.times, values, color=colour, linewidth=0.9, alpha=0.8)


def paint_bars(canvas: Canvas, panel: Panel, answer: Answer) -> None:
    """A bar gauge: a horizontal bar for each number, on a track as long as its maximum."""
    numbers = _numbers(canvas, panel, answer)
    room = max(1, int(canvas.height // 20))
    shown = numbers if len(numbers) <= room else numbers[: room - 1]
    size = 12.0
    names = [one.field.title for one in shown]
    label = min(max(text_width(name, size) for name in names), canvas.width * 0.34) + 12
    texts = max(text_width(one.look.text, 13, bold=True) for one in shown) + 16
    height = min(BAR + SPARE, canvas.height / (len(shown) + (len(shown) < len(numbers))))
    bar = min(BAR, height * 0.72)
    track = canvas.width - label - texts
    top = (canvas.height - height * len(shown)) / 2 if len(shown) == len(numbers) else 0
    top = min(top, 6.0)
    for index, number in enumerate(shown):
        y = top + index * height + (height - bar) / 2
        name = shorten(number.field.title, label - 12, size)
        canvas.text(label - 10, y + bar / 2, name, size=size, across="right")
        canvas.box(label, y, track, bar, canvas.theme.track, round_by=2)
        part = _part(number, numbers)
        canvas.box(
            label, y, track * part, bar, number.look.colour, round_by=2 if part > 0.02 else 0
        )
        canvas.text(
            label + track + 10,
            y + bar / 2,
            number.look.text,
            size=13,
            colour=number.look.colour,
            bold=True,
        )
    if len(shown) < len(numbers):
        text = f"and {len(numbers) - len(shown)} more"
        y = top + height * (len(shown) + 0.5)
        canvas.text(label, y, text, size=size, colour=canvas.theme.faint)


def _part(number: _Number, numbers: Sequence[_Number]) -> float:
    """How much of its track a bar fills, 0 to 1."""
    known = [one.value for one in numbers if not math.isnan(one.value)]
    low = float(number.field.config.get("min") or 0)
    high = number.field.config.get("max")
    high = float(high) if high is not None else max(known, default=1.0)
    if math.isnan(number.value) or high <= low:
        return 0.0
    return min(1.0, max(0.0, (number.value - low) / (high - low)))


def paint_gauges(canvas: Canvas, panel: Panel, answer: Answer) -> None:
    """An arc for each number, with the thresholds as a thin arc around it."""
    numbers = _numbers(canvas, panel, answer)
    columns = max(1, min(len(numbers), int(canvas.width // 110)))
    rows = math.ceil(len(numbers) / columns)
    width, height = canvas.width / columns, canvas.height / rows
    for index, number in enumerate(numbers):
        x = (index % columns + 0.5) * width
        y = index // columns * height
        named = len(numbers) > 1
        room = height - (20 if named else 4)
        radius = min(width / 2 - 8, room / 1.45)
        centre = y + radius + 4 + max(0, (room - radius * 1.45) / 2)
        _paint_arc(canvas, number, (x, centre), radius)
        size = fit(number.look.text, radius * 1.1, radius * 0.42, bold=True)
        canvas.text(
            x,
            centre - radius * 0.05,
            number.look.text,
            size=size,
            colour=number.look.colour,
            across="center",
            bold=True,
        )
        if named:
            name = shorten(number.field.title, width - 8, 12)
            canvas.text(x, y + height - 10, name, size=12, across="center")


def _paint_arc(canvas: Canvas, number: _Number, centre: tuple[float, float], radius: float) -> None:
    low = float(number.field.config.get("min") or 0)
    high = float(number.field.config.get("max") or 100)

    def wedge(start: float, end: float, outer: float, wide: float, colour: str) -> None:
        # The canvas counts downwards, so angles run clockwise from the left.
        if end > start:
            canvas.add(
                Wedge(
                    centre,
                    outer,
                    160 + 220 * start,
                    160 + 220 * end,
                    width=wide,
                    color=colour,
                    lw=0,
                )
            )

    inner = radius * 0.9
    wedge(0, 1, inner, radius * 0.22, canvas.theme.track)
    if not math.isnan(number.value) and high > low:
        part = min(1.0, max(0.0, (number.value - low) / (high - low)))
        wedge(0, part, inner, radius * 0.22, number.look.colour)
        steps = (number.field.config.get("thresholds") or {}).get("steps") or ()
        edges = [min(1.0, max(0.0, ((s.get("value") or low) - low) / (high - low))) for s in steps]
        for step, start, end in zip(steps, edges, [*edges[1:], 1.0], strict=True):
            wedge(start, end, radius, radius * 0.05, resolve_colour(step["color"], canvas.theme))
