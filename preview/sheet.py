"""A table as it is shown: texts, colours and links of every cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from preview.answer import Answer
from preview.board import Panel
from preview.colours import Theme, scheme_colour
from preview.fields import Field, resolve_field
from preview.span import Span
from preview.tables import Cell, Grid, build_grid
from preview.variables import Choice, put_in_link

__all__ = ["Column", "Sheet", "ShownCell", "build_alert_list", "build_sheet", "contrast"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head; numbers stand at the right."""

    title: str
    numeric: bool
    width: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCell:
    """One cell. `fill` and `colour` are #rrggbb or empty, `url` is empty without a link.

    `bar` is the share of the cell that a bar of that colour takes, where it has one.
    """

    text: str
    fill: str = ""
    colour: str = ""
    bar: float | None = None
    url: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns and rows; every row has a cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[ShownCell, ...], ...]


def build_sheet(
    panel: Panel, answer: Answer, choices: Mapping[str, Choice], span: Span, theme: Theme
) -> Sheet:
    """The table of a panel. Raises preview.tables.TableError."""
    grid = build_grid(panel, answer)
    fields = [resolve_field(panel, name, theme) for name in grid.columns]
    numeric = [
        any(isinstance(row[index], float) for row in grid.rows)
        and not field.unit.startswith("dateTime")
        for index, field in enumerate(fields)
    ]
    extents = [_extent(field, grid) for field in fields]
    rows = []
    for row in grid.rows:
        raw = {name: _raw(cell) for name, cell in zip(grid.columns, row, strict=True)}
        rows.append(
            tuple(
                _cell(field, cell, raw, choices, span, extent)
                for field, cell, extent in zip(fields, row, extents, strict=True)
            )
        )
    columns = tuple(
        Column(field.title, number, field.custom.get("width"))
        for field, number in zip(fields, numeric, strict=True)
    )
    return Sheet(columns, tuple(rows))


def _raw(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else f"{cell:g}"


def _extent(field: Field, grid: Grid) -> tuple[float, float]:
    """From where to where values go: as the column says, else from the least to the most of all."""
    numbers = [
        cell for row in grid.rows for cell in row if isinstance(cell, float) and math.isfinite(cell)
    ]
    low, high = field.config.get("min"), field.config.get("max")
    return (
        float(low) if low is not None else min(numbers, default=0.0),
        float(high) if high is not None else max(numbers, default=1.0),
    )


def _cell(
    field: Field,
    cell: Cell,
    row: Mapping[str, str],
    choices: Mapping[str, Choice],
    span: Span,
    extent: tuple[float, float],
) -> ShownCell:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ShownCell(text="")
    look = field.look(cell)
    style = field.custom.get("cellOptions") or {}
    kind = style.get("type", "auto")
    plain = look.colour in (field.theme.text, field.theme.panel)
    url = link = ""
    if field.links:
        first = field.links[0]
        link = str(first.get("title", ""))
        url = put_in_link(str(first.get("url", "")), choices, span, row=row, value=_raw(cell))
    fill = look.colour if kind == "color-background" and not plain else ""
    bar = None
    mode = str((field.config.get("color") or {}).get("mode", ""))
    if not isinstance(cell, str):
        share = (cell - extent[0]) / ((extent[1] - extent[0]) or 1)
        share = min(max(share, 0.0), 1.0)
        if kind == "color-background" and mode.startswith("continuous-"):
            fill = scheme_colour(mode, share, field.theme)
        if kind == "gauge":
            bar, fill = share, field.series_colour if mode == "fixed" else look.colour
    return ShownCell(
        text=look.text,
        fill=fill,
        colour=look.colour if kind == "color-text" and not plain else "",
        bar=bar,
        url=url if url.startswith(("http://", "https://", "/")) else "",
        link=link,
    )


def build_alert_list(answer: Answer) -> Sheet:
    """What an alert list shows: state, name, since when, and the labels."""
    columns = (
        Column("State", False, 90),
        Column("Alert", False, None),
        Column("Since", False, None),
        Column("Labels", False, None),
    )
    rows = []
    for alert in answer.alerts:
        labels = dict(alert["labels"])
        name = labels.pop("alertname", "")
        firing = alert["state"] == "firing"
        rows.append(
            (
                ShownCell(text=alert["state"], fill="#F2495C" if firing else "#FADE2A"),
                ShownCell(text=name),
                ShownCell(text=str(alert.get("activeAt", ""))[:19].replace("T", " ")),
                ShownCell(text=", ".join(f"{key}={value}" for key, value in labels.items())),
            )
        )
    return Sheet(columns, tuple(rows))


def contrast(fill: str) -> str:
    """Black or white, whichever can be read on that colour."""
    red, green, blue = (int(fill[i : i + 2], 16) for i in (1, 3, 5))
    return "#111217" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
