"""A page as text, for a terminal of any width, a pipe or a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from generator.report.page import Cell, Chart, Column, Page, Section, Table, Tone
from generator.report.wording import number

__all__ = ["render_text", "sparkline"]

_COLOURS: Final[dict[Tone, str]] = {"good": "32", "bad": "1;31", "warn": "33", "faint": "2"}
_BARS: Final = "▁▂▃▄▅▆▇█"
_GAP: Final = "·"
_BETWEEN: Final = 2
_FLAT: Final = 1e-3
"""Of a value, what it must vary by to be drawn."""


def render_text(page: Page, *, width: int = 100, colour: bool = False) -> str:
    """The page, no wider than `width` where its words allow that."""
    return "\n".join(_Text(width, colour).page(page)) + "\n"


class _Text:
    """How wide, and whether in colour."""

    def __init__(self, width: int, colour: bool) -> None:
        self._width = max(width, 40)
        self._colour = colour

    def page(self, page: Page) -> Iterator[str]:
        yield self._bold(page.title)
        yield from self._wrapped(Cell(page.period))
        yield from self._wrapped(Cell(page.source, "faint"))
        yield ""
        for line in page.summary:
            yield from self._wrapped(line)
        for note in page.notes:
            yield from self._wrapped(Cell(note, "warn"))
        for section in page.sections:
            yield ""
            yield from self._section(section)

    def _section(self, section: Section) -> Iterator[str]:
        badge = section.badge
        title = f"{section.title}  [{badge.text}]" if badge else section.title
        rule = "─" * max(self._width - len(title) - 1, 3)
        shown = self._bold(section.title)
        if badge:
            shown += f"  [{self._toned(badge.text, badge.tone)}]"
        yield f"{shown} {self._toned(rule, 'faint')}"
        for fact in section.facts:
            yield from self._wrapped(fact)
        blocks = list(section.blocks)
        for index, block in enumerate(blocks):
            if isinstance(block, Table):
                yield ""
                yield from self._table(block)
            else:
                if not index or isinstance(blocks[index - 1], Table):
                    yield ""
                names = [one.title for one in blocks if isinstance(one, Chart)]
                yield self._chart(block, max(map(len, names)))

    def _chart(self, chart: Chart, titles: int) -> str:
        known = [value for value in chart.values if value is not None]
        least, most = (number(end(known, default=None), chart.unit) for end in (min, max))
        ends = least if least == most else f"{least} to {most}"
        room = max(self._width - titles - len(ends) - 4, 8)
        bars = sparkline(_thinned(chart.values, room), from_zero=chart.from_zero)
        return f"{chart.title:<{titles}}  {bars}  {self._toned(ends, 'faint')}".rstrip()

    # Tables

    def _table(self, table: Table) -> Iterator[str]:
        if not table.rows:
            yield f"{self._bold(table.title)}: {table.note or 'nothing'}"
            return
        yield self._bold(table.title)
        columns, rows = list(table.columns), [list(row) for row in table.rows]
        rows.insert(0, [Cell(column.title, "faint") for column in columns])
        dropped: list[str] = []
        while (widths := self._widths(rows, columns)) is None:
            place = max(i for i, column in enumerate(columns) if column.optional)
            dropped.insert(0, columns.pop(place).title)
            for row in rows:
                row.pop(place)
        for row in rows:
            yield from self._row(row, widths, columns)
        if table.note:
            yield from self._wrapped(Cell(table.note, "faint"))
        if dropped:
            text = f"There is no room here for {', '.join(dropped)}."
            yield from self._wrapped(Cell(text, "faint"))

    def _widths(
        self, rows: Sequence[Sequence[Cell]], columns: Sequence[Column]
    ) -> list[int] | None:
        """Of each column; where all are too wide, the widest columns of words are narrowed.

        None where that is not enough, and columns can be left out.
        """
        widths = [max(len(cell.text) for cell in column) for column in zip(*rows, strict=True)]
        while sum(widths) + _BETWEEN * (len(widths) - 1) > self._width:
            # A number is not broken before every text is.
            wordy = [i for i, width in enumerate(widths) if width > _least(rows, i)]
            if not wordy and any(column.optional for column in columns):
                return None
            if not wordy:
                break
            widest = max(wordy, key=lambda i: (not columns[i].right, widths[i]))
            widths[widest] -= 1
        return widths

    def _row(
        self, row: Sequence[Cell], widths: Sequence[int], columns: Sequence[Column]
    ) -> Iterator[str]:
        lines = [
            textwrap.wrap(cell.text, width, break_on_hyphens=False) or [""]
            for cell, width in zip(row, widths, strict=True)
        ]
        for number_of in range(max(map(len, lines))):
            parts = []
            for cell, own, width, column in zip(row, lines, widths, columns, strict=True):
                text = own[number_of] if number_of < len(own) else ""
                space = " " * (width - len(text))
                shown = self._toned(text, cell.tone)
                parts.append(space + shown if column.right else shown + space)
            yield (" " * _BETWEEN).join(parts).rstrip()

    # Words

    def _wrapped(self, cell: Cell) -> Iterator[str]:
        for line in textwrap.wrap(cell.text, self._width, break_on_hyphens=False):
            yield self._toned(line, cell.tone)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colour else text

    def _toned(self, text: str, tone: Tone) -> str:
        if not self._colour or not tone or not text:
            return text
        return f"\033[{_COLOURS[tone]}m{text}\033[0m"


def _least(rows: Sequence[Sequence[Cell]], index: int) -> int:
    """To how many characters a column may be narrowed: its longest word."""
    words = (word for row in rows for word in row[index].text.split())
    return max(map(len, words), default=0)


def _thinned(values: Sequence[float | None], room: int) -> list[float | None]:
    """At most `room` values: of those that share a place the highest, for peaks matter."""
    if len(values) <= room:
        return list(values)
    found: list[float | None] = []
    for place in range(room):
        part = values[place * len(values) // room : (place + 1) * len(values) // room]
        known = [value for value in part if value is not None]
        found.append(max(known, default=None))
    return found


def sparkline(values: Sequence[float | None], *, from_zero: bool = True) -> str:
    """A bar of one of eight heights for each value, a dot for a gap."""
    known = [value for value in values if value is not None]
    if not known:
        return _GAP * len(values)
    high = max(known)
    low = min(*known, 0.0) if from_zero else min(known)
    height = high - low
    if not from_zero and height <= abs(high) * _FLAT:
        height = 0.0
    return "".join(
        _GAP
        if value is None
        else _BARS[min(int((value - low) / height * len(_BARS)), len(_BARS) - 1) if height else 0]
        for value in values
    )
