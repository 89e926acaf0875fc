"""The legend below a plot: a table of names and calculated values, or a list of names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from preview.draw.canvas import Canvas, shorten, text_width

__all__ = ["CALCULATIONS", "Entry", "calculate", "legend_height", "paint_legend"]

ROW: Final = 18.0
SIZE: Final = 11.5
COLUMN: Final = 76.0

CALCULATIONS: Final[dict[str, str]] = {
    "lastNotNull": "Last",
    "last": "Last",
    "max": "Max",
    "min": "Min",
    "mean": "Mean",
    "sum": "Total",
    "firstNotNull": "First",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A series in the legend; `values` belong to the calculations that were asked for."""

    name: str
    colour: str
    dashed: bool
    values: tuple[str, ...]


def calculate(name: str, values: Sequence[float]) -> float:
    """One of CALCULATIONS of the values that are not NaN; NaN where there are none."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return math.nan
    match name:
        case "max":
            return max(known)
        case "min":
            return min(known)
        case "sum":
            return math.fsum(known)
        case "mean":
            return math.fsum(known) / len(known)
        case "firstNotNull":
            return known[0]
        case _:
            return known[-1]


def legend_height(options: Mapping[str, Any], entries: int, width: float, height: float) -> float:
    """The room it takes of a body of that size, at most two fifths of its height."""
    if not options.get("showLegend", True) or options.get("displayMode") == "hidden" or not entries:
        return 0
    if options.get("displayMode") != "table" or not options.get("calcs"):
        return ROW + 4
    most = _most_rows(height)
    if entries + 1 > most and _fits_twice(options["calcs"], width):
        # In two columns, of the same length.
        entries = math.ceil(entries / 2)
    return min(entries + 1, most) * ROW + 4


def _fits_twice(calcs: Sequence[str], width: float) -> bool:
    return width / 2 >= 130 + COLUMN * len(calcs)


def _most_rows(height: float) -> int:
    return max(2, int(height * 0.42 // ROW))


def paint_legend(
    canvas: Canvas, options: Mapping[str, Any], entries: Sequence[Entry], top: float
) -> None:
    """Fill the canvas from `top` on."""
    if options.get("displayMode") == "table" and options.get("calcs"):
        _table(canvas, [CALCULATIONS.get(one, one) for one in options["calcs"]], entries, top)
    else:
        _list(canvas, entries, top)


def _table(canvas: Canvas, calcs: Sequence[str], entries: Sequence[Entry], top: float) -> None:
    room = int((canvas.height - top - 4) // ROW) - 1
    if len(entries) > room and _fits_twice(calcs, canvas.width):
        half = canvas.width / 2 - 8
        _part(canvas, calcs, entries[:room], (0, half), top)
        rest = entries[room:]
        shown = rest if len(rest) <= room else rest[: room - 1]
        _part(canvas, calcs, shown, (half + 16, canvas.width), top)
        left = half + 16
    else:
        rest = entries
        shown = rest if len(rest) <= room else rest[: max(room - 1, 0)]
        _part(canvas, calcs, shown, (0, canvas.width), top)
        left = 0
    if len(shown) < len(rest):
        y = top + ROW * (len(shown) + 1.5)
        text = f"and {len(rest) - len(shown)} more"
        canvas.text(left + 26, y, text, size=SIZE, colour=canvas.theme.faint)


def _part(
    canvas: Canvas,
    calcs: Sequence[str],
    entries: Sequence[Entry],
    across: tuple[float, float],
    top: float,
) -> None:
    """Head and rows between two x."""
    left, right = across[0] + 6, across[1] - 6
    for index, calc in enumerate(reversed(calcs)):
        canvas.text(
            right - COLUMN * index,
            top + ROW / 2,
            calc,
            size=SIZE - 0.5,
            colour=canvas.theme.link,
            across="right",
        )
    for row, entry in enumerate(entries, start=1):
        y = top + ROW * (row + 0.5)
        _key(canvas, left, y, entry)
        name = shorten(entry.name, right - COLUMN * len(calcs) - left - 20, SIZE)
        canvas.text(left + 20, y, name, size=SIZE)
        for index, value in enumerate(reversed(entry.values)):
            canvas.text(right - COLUMN * index, y, value, size=SIZE, across="right")


def _list(canvas: Canvas, entries: Sequence[Entry], top: float) -> None:
    x, y = 6.0, top + ROW / 2
    for entry in entries:
        wide = 34 + text_width(entry.name, SIZE)
        if x + wide > canvas.width and x > 6:
            canvas.text(x, y, "…", size=SIZE, colour=canvas.theme.faint)
            return
        _key(canvas, x, y, entry)
        canvas.text(x + 20, y, shorten(entry.name, canvas.width - x - 24, SIZE), size=SIZE)
        x += wide


def _key(canvas: Canvas, x: float, y: float, entry: Entry) -> None:
    if entry.dashed:
        for start in (x, x + 8):
            canvas.box(start, y - 1, 5, 2, entry.colour)
    else:
        canvas.box(x, y - 2, 13, 4, entry.colour, round_by=2)
