"""A dashboard as one PNG, with Matplotlib alone: no browser is needed."""

from __future__ import annotations

import io
import re
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preview.board import Panel
from preview.draw.canvas import Canvas, drawing, shorten, text_width
from preview.draw.panel import TABLES, paint_body
from preview.draw.table import paint_table
from preview.layout import MARGIN, PAD, ROW, WIDTH, body_of, height_of, place
from preview.sheet import build_alert_list, build_sheet
from preview.tables import TableError
from preview.view import View

__all__ = ["render_picture"]

TOP: Final = 60.0


def render_picture(view: View, *, scale: float = 1.0, rows: int | None = None) -> bytes:
    """The PNG of the first `rows` grid rows, all without it; 1440 x `scale` pixels wide."""
    panels = [p for p in view.board.panels if rows is None or p.y + p.height <= rows]
    notes = list(view.problems)
    top = TOP + 24.0 * len(notes)
    lowest = (
        max((p.y + p.height for p in panels), default=1) * ROW if rows else height_of(view.board)
    )
    with drawing(view.board.uid):
        page = Canvas(WIDTH, top + lowest + PAD, view.theme)
        page.figure.patch.set_alpha(1)
        page.figure.patch.set_facecolor(view.theme.page)
        _paint_head(page, view)
        for index, note in enumerate(notes):
            page.text(MARGIN, TOP + 8 + 24 * index, note, size=13, colour="#F2495C")
        for panel in panels:
            _paint_frame(page, panel, top)
        pixels = page.to_pixels(scale)
        for panel in panels:
            if panel.kind != "row":
                _paste(
                    pixels,
                    _body(panel, view, scale),
                    body_of(panel).x,
                    body_of(panel).y + top,
                    scale,
                )
    return _to_png(pixels)


def _paint_head(page: Canvas, view: View) -> None:
    page.text(MARGIN, 30, view.board.title, size=20, bold=True)
    x = MARGIN + text_width(view.board.title, 20, bold=True) + 28
    for choice in view.choices.values():
        if choice.variable.hidden or choice.variable.kind == "datasource":
            continue
        page.text(x, 31, choice.variable.label, size=12, colour=page.theme.faint)
        x += text_width(choice.variable.label, 12) + 8
        page.text(x, 31, choice.text, size=13, colour=page.theme.link)
        x += text_width(choice.text, 13) + 24
    when = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(view.span.end))
    text = f"{view.span.since} to {view.span.until}, {when}"
    page.text(WIDTH - MARGIN, 31, text, size=12, colour=page.theme.faint, across="right")


def _paint_frame(page: Canvas, panel: Panel, top: float) -> None:
    box = place(panel)
    if panel.kind == "row":
        page.text(box.x + 2, box.y + top + box.height / 2, panel.title, size=15, bold=True)
        return
    page.box(box.x, box.y + top, box.width, box.height, page.theme.border, round_by=4)
    page.box(
        box.x + 1, box.y + top + 1, box.width - 2, box.height - 2, page.theme.panel, round_by=3
    )
    title = shorten(panel.title, box.width - 2 * PAD, 13.5)
    page.text(box.x + PAD, box.y + top + 18, title, size=13.5, bold=False)


def _body(panel: Panel, view: View, scale: float) -> NDArray[np.uint8]:
    body = body_of(panel)
    canvas = Canvas(body.width, body.height, view.theme)
    answer = view.answers[panel.id]
    if panel.kind == "text":
        content = re.sub(r"[#*`]|\]\([^)]*\)|\[", "", str(panel.options.get("content", "")))
        canvas.message(content, colour=view.theme.text)
    elif panel.kind in TABLES and not answer.errors:
        try:
            sheet = (
                build_alert_list(answer)
                if panel.kind == "alertlist"
                else build_sheet(panel, answer, view.choices, view.span, view.theme)
            )
            if sheet.rows:
                paint_table(canvas, sheet)
            else:
                canvas.message(panel.no_value)
        except TableError as error:
            canvas.message(str(error))
    else:
        paint_body(canvas, panel, view)
    return canvas.to_pixels(scale)


def _paste(
    page: NDArray[np.uint8], body: NDArray[np.uint8], x: float, y: float, scale: float
) -> None:
    """Lay the body over the page, as its transparency says."""
    left, top = round(x * scale), round(y * scale)
    height = min(body.shape[0], page.shape[0] - top)
    width = min(body.shape[1], page.shape[1] - left)
    over = body[:height, :width].astype(np.float32)
    under = page[top : top + height, left : left + width, :3]
    alpha = over[:, :, 3:] / 255
    page[top : top + height, left : left + width, :3] = (
        over[:, :, :3] * alpha + under * (1 - alpha)
    ).astype(np.uint8)


def _to_png(pixels: NDArray[np.uint8]) -> bytes:
    # In full colour: a palette of 256 would turn a rare orange into yellow, and that misleads.
    out = io.BytesIO()
    Image.fromarray(pixels[:, :, :3]).save(out, "PNG", optimize=True)
    return out.getvalue()
