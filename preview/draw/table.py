"""A table as a picture; the page has the same as HTML."""

from __future__ import annotations

from typing import Final

from preview.draw.canvas import Canvas, shorten, text_width
from preview.sheet import Sheet, ShownCell, contrast

__all__ = ["paint_table"]

ROW: Final = 28.0
SIZE: Final = 12.0
PAD: Final = 9.0
NUMBER: Final = 64.0
"""Room for the number beside a bar."""


def paint_table(canvas: Canvas, sheet: Sheet) -> None:
    """As many rows as fit; the last line says how many more there are."""
    widths = _widths(sheet, canvas.width)
    y = 0.0
    room = int((canvas.height - ROW) // ROW)
    shown = sheet.rows if len(sheet.rows) <= room else sheet.rows[: room - 1]
    x = 0.0
    for column, width in zip(sheet.columns, widths, strict=True):
        at = x + width - PAD if column.numeric else x + PAD
        canvas.text(
            at,
            ROW / 2,
            shorten(column.title, width - PAD, SIZE),
            size=SIZE,
            colour=canvas.theme.link,
            across="right" if column.numeric else "left",
        )
        x += width
    for row in shown:
        y += ROW
        canvas.line([0, canvas.width], [y, y], canvas.theme.grid)
        x = 0.0
        for cell, column, width in zip(row, sheet.columns, widths, strict=True):
            _paint_cell(canvas, cell, (x, y, width), numeric=column.numeric)
            x += width
    if len(shown) < len(sheet.rows):
        text = f"and {len(sheet.rows) - len(shown)} more rows"
        canvas.text(PAD, y + ROW * 1.5, text, size=SIZE, colour=canvas.theme.faint)


def _paint_cell(
    canvas: Canvas, cell: ShownCell, at: tuple[float, float, float], *, numeric: bool
) -> None:
    x, y, width = at
    colour = cell.colour or canvas.theme.text
    if cell.bar is not None:
        _paint_bar(canvas, cell, at)
        return
    if cell.fill:
        canvas.box(x + 1, y + 1, width - 2, ROW - 2, cell.fill)
        colour = contrast(cell.fill)
    elif cell.url:
        colour = canvas.theme.link
    canvas.text(
        x + width - PAD if numeric else x + PAD,
        y + ROW / 2,
        shorten(cell.text, width - PAD, SIZE),
        size=SIZE,
        colour=colour,
        across="right" if numeric else "left",
    )


def _paint_bar(canvas: Canvas, cell: ShownCell, at: tuple[float, float, float]) -> None:
    """A bar on a track, and its number at the right, where all numbers of a column end."""
    x, y, width = at
    room = width - PAD - NUMBER
    canvas.box(x + PAD, y + 6, room, ROW - 12, canvas.theme.track)
    if room * (cell.bar or 0) >= 1:
        canvas.box(x + PAD, y + 6, room * (cell.bar or 0), ROW - 12, cell.fill)
    canvas.text(x + width - PAD, y + ROW / 2, cell.text, size=SIZE, across="right")


def _widths(sheet: Sheet, total: float) -> list[float]:
    """Room by what the columns hold; what is left over is shared, what is missing too."""
    wanted = []
    fixed = sum(column.width or 0 for column in sheet.columns)
    for index, column in enumerate(sheet.columns):
        if column.width:
            wanted.append(0.0)
            continue
        if any(row[index].bar is not None for row in sheet.rows):
            wanted.append(3 * NUMBER)
            continue
        texts = [column.title, *(row[index].text for row in sheet.rows[:50])]
        wanted.append(min(max(text_width(text, SIZE) for text in texts) + 2 * PAD, 320.0))
    factor = max(total - fixed, 0) / (sum(wanted) or 1)
    return [
        width * factor or float(column.width or 0)
        for width, column in zip(wanted, sheet.columns, strict=True)
    ]
