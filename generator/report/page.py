"""A report as a page: sections with tables and charts, which are rendered as text or as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Cell", "Chart", "Column", "Page", "Section", "Table", "Tone"]

Tone = Literal["", "good", "bad", "warn", "faint"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and how it is meant: it must be understood without the tone, too."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers stand at the right."""

    title: str
    right: bool = True
    optional: bool = False
    """Left out where there is no room for it, the last one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells, as many in each as there are columns."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One value for each interval of the report; None is a gap.

    `unit` is what preview.units calls it: s, percentunit, bytes, short.
    """

    title: str
    unit: str
    values: Sequence[float | None]
    limit: float | None = None
    """What is promised of it."""
    from_zero: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One model's part, or that of all of them; `facts` are lines below its title."""

    title: str
    badge: Cell | None = None
    facts: Sequence[Cell] = ()
    blocks: Sequence[Table | Chart] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole report."""

    title: str
    period: str
    source: str
    summary: Sequence[Cell]
    notes: Sequence[str]
    sections: Sequence[Section]
