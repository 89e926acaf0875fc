"""Answers → the rows and columns of a table, through Grafana's transformations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from preview.answer import Answer
from preview.board import Panel

__all__ = ["Cell", "Grid", "TableError", "build_grid"]

Cell = float | str | None


class TableError(ValueError):
    """A transformation that is not known here; the message names it."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Columns by name in their order; each row has a cell for each of them, None where empty."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def build_grid(panel: Panel, answer: Answer) -> Grid:
    """The table of a panel, sorted as it says. Raises TableError."""
    frames = _frames(panel, answer)
    for one in panel.transformations:
        if one.get("disabled"):
            continue
        step = _STEPS.get(one["id"])
        if step is None:
            raise TableError(f"the transformation {one['id']} is not drawn here")
        frames = step(frames, one.get("options") or {})
    grid = frames[0] if frames else Grid((), ())
    for sort in reversed(panel.options.get("sortBy") or ()):
        grid = _sorted(grid, sort["displayName"], descending=bool(sort.get("desc")))
    return grid


def _frames(panel: Panel, answer: Answer) -> list[Grid]:
    """A frame for each query: labels first, then its value, and the time of the value."""
    frames = []
    for target in panel.targets:
        lines = [line for line in answer.lines if line.letter == target.letter]
        value = f"Value #{target.letter}" if len(panel.targets) > 1 else "Value"
        names = sorted({name for line in lines for name in line.series.labels})
        rows = tuple(
            (
                line.series.times[-1] * 1000,
                *map(line.series.labels.get, names),
                line.series.values[-1],
            )
            for line in lines
        )
        frames.append(Grid(("Time", *names, value), rows))
    return frames


def _merge(frames: Sequence[Grid], _: Mapping[str, Any]) -> list[Grid]:
    """Rows of all frames that agree in what they share are one row."""
    frames = [frame for frame in frames if frame.rows]
    columns = tuple(dict.fromkeys(name for frame in frames for name in frame.columns))
    values = {name for name in columns if name.startswith("Value")}
    merged: dict[tuple[Cell, ...], dict[str, Cell]] = {}
    for frame in frames:
        for row in frame.rows:
            cells = dict(zip(frame.columns, row, strict=True))
            key = tuple(cells.get(name) for name in columns if name not in values | {"Time"})
            merged.setdefault(key, {}).update(cells)
    return [Grid(columns, tuple(tuple(map(row.get, columns)) for row in merged.values()))]


def _filter(frames: Sequence[Grid], options: Mapping[str, Any]) -> list[Grid]:
    include, exclude = options.get("include") or {}, options.get("exclude") or {}

    def kept(name: str) -> bool:
        if include and not _named(include, name):
            return False
        return not (exclude and _named(exclude, name))

    return [_pick(frame, [name for name in frame.columns if kept(name)]) for frame in frames]


def _named(choice: Mapping[str, Any], name: str) -> bool:
    if name in (choice.get("names") or ()):
        return True
    pattern = choice.get("pattern")
    return bool(pattern) and re.search(str(pattern).strip("/"), name) is not None


def _pick(frame: Grid, names: Sequence[str]) -> Grid:
    places = [frame.columns.index(name) for name in names]
    return Grid(tuple(names), tuple(tuple(row[place] for place in places) for row in frame.rows))


def _organize(frames: Sequence[Grid], options: Mapping[str, Any]) -> list[Grid]:
    dropped = {name for name, drop in (options.get("excludeByName") or {}).items() if drop}
    order = options.get("indexByName") or {}
    titles = options.get("renameByName") or {}
    done = []
    for frame in frames:
        names = sorted(
            (name for name in frame.columns if name not in dropped),
            key=lambda name: order.get(name, len(order)),
        )
        picked = _pick(frame, names)
        done.append(Grid(tuple(titles.get(name) or name for name in names), picked.rows))
    return done


def _matrix(frames: Sequence[Grid], options: Mapping[str, Any]) -> list[Grid]:
    across, down, value = (options[key] for key in ("columnField", "rowField", "valueField"))
    empty: Cell = 0.0 if options.get("emptyValue") == "zero" else None
    cells: dict[tuple[str, str], Cell] = {}
    for frame in frames:
        for row in frame.rows:
            named = dict(zip(frame.columns, row, strict=True))
            cells[str(named.get(down, "")), str(named.get(across, ""))] = named.get(value)
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    if not cells:
        return []
    return [
        Grid(
            (f"{down}\\{across}", *columns),
            tuple((row, *(cells.get((row, column), empty) for column in columns)) for row in rows),
        )
    ]


def _limit(frames: Sequence[Grid], options: Mapping[str, Any]) -> list[Grid]:
    return [Grid(f.columns, f.rows[: int(options.get("limitField", 10))]) for f in frames]


def _sort_by(frames: Sequence[Grid], options: Mapping[str, Any]) -> list[Grid]:
    done = []
    for frame in frames:
        ordered = frame
        for sort in reversed(options.get("sort") or ()):
            ordered = _sorted(ordered, sort["field"], descending=bool(sort.get("desc")))
        done.append(ordered)
    return done


def _sorted(grid: Grid, name: str, *, descending: bool) -> Grid:
    if name not in grid.columns:
        return grid
    place = grid.columns.index(name)

    def key(row: tuple[Cell, ...]) -> tuple[bool, float, str]:
        cell = row[place]
        if isinstance(cell, str):
            return (True, 0.0, cell)
        known = cell is not None and not math.isnan(cell)
        return (known, cell if known and cell is not None else 0.0, "")

    return Grid(grid.columns, tuple(sorted(grid.rows, key=key, reverse=descending)))


_STEPS: Final[dict[str, Callable[[Sequence[Grid], Mapping[str, Any]], list[Grid]]]] = {
    "merge": _merge,
    "filterFieldsByName": _filter,
    "organize": _organize,
    "groupingToMatrix": _matrix,
    "limit": _limit,
    "sortBy": _sort_by,
}
