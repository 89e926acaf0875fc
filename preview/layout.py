"""Where panels stand on a page of fixed width, in pixels; the page scales as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from preview.board import GRID_COLUMNS, Board, Panel

__all__ = ["GAP", "HEAD", "MARGIN", "PAD", "ROW", "WIDTH", "Place", "body_of", "height_of", "place"]

WIDTH: Final = 1440.0
MARGIN: Final = 16.0
GAP: Final = 8.0
ROW: Final = 38.0
"""A grid row and the gap below it: Grafana's own 30 and 8."""
HEAD: Final = 34.0
PAD: Final = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle in pixels."""

    x: float
    y: float
    width: float
    height: float


def place(panel: Panel) -> Place:
    """The panel on the page, below its head line."""
    column = (WIDTH - 2 * MARGIN + GAP) / GRID_COLUMNS
    return Place(
        MARGIN + panel.x * column,
        panel.y * ROW,
        panel.width * column - GAP,
        panel.height * ROW - GAP,
    )


def body_of(panel: Panel) -> Place:
    """What is left of a panel below its title."""
    whole = place(panel)
    head = HEAD if panel.title else PAD
    return Place(
        whole.x + PAD,
        whole.y + head,
        whole.width - 2 * PAD,
        max(whole.height - head - PAD, 24.0),
    )


def height_of(board: Board) -> float:
    """Of all panels together."""
    return max((panel.y + panel.height for panel in board.panels), default=1) * ROW
