"""Rows of tiles → panels with places and ids.

Tiles flow from left to right and start a new line where 24 columns are full. A row's number is the
hundred of its panels' ids, so that a panel added to one row leaves the ids of the others alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import attr
from grafanalib import core as grafana

from generator.dashboards.panel import Tile

__all__ = ["COLUMNS", "Row", "place"]

COLUMNS: Final = 24
ROW_HEIGHT: Final = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what stands below it. `number` is unique within the dashboard, from 1."""

    number: int
    title: str
    tiles: tuple[Tile, ...]


def place(rows: Sequence[Row]) -> list[Any]:
    """The panels of a dashboard from top to bottom, each with gridPos and id."""
    numbers = [row.number for row in rows]
    if len(set(numbers)) != len(numbers) or any(len(row.tiles) > 99 for row in rows):
        raise ValueError(f"row numbers must be unique and rows below 100 panels: {numbers}")
    panels: list[Any] = []
    top = 0
    for row in rows:
        heading = grafana.RowPanel(
            title=row.title, id=row.number * 100, gridPos=_position(0, top, COLUMNS, ROW_HEIGHT)
        )
        panels.append(heading)
        top += ROW_HEIGHT
        for index, (tile, x, y) in enumerate(_flow(row.tiles), start=1):
            position = _position(x, top + y, tile.width, tile.height)
            panels.append(attr.evolve(tile.panel, id=row.number * 100 + index, gridPos=position))
        top += max((y + tile.height for tile, _, y in _flow(row.tiles)), default=0)
    return panels


def _flow(tiles: Sequence[Tile]) -> Iterator[tuple[Tile, int, int]]:
    """Each tile with its column and its line, counted from the row's heading."""
    x = y = height = 0
    for tile in tiles:
        if x + tile.width > COLUMNS:
            x, y, height = 0, y + height, 0
        yield tile, x, y
        x, height = x + tile.width, max(height, tile.height)


def _position(x: int, y: int, width: int, height: int) -> Any:
    return grafana.GridPos(h=height, w=width, x=x, y=y)
