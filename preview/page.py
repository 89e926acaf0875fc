"""A dashboard as one HTML page that needs nothing else, and the index of dashboards."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from preview.board import Board, Panel
from preview.colours import DARK, Theme
from preview.draw.canvas import Canvas, drawing
from preview.draw.panel import TABLES, paint_body
from preview.layout import HEAD, PAD, ROW, WIDTH, body_of
from preview.markdown import render_markdown
from preview.sheet import Sheet, build_alert_list, build_sheet, contrast
from preview.tables import TableError
from preview.variables import ALL, in_url
from preview.view import View

__all__ = ["RANGES", "REFRESHES", "render_index", "render_page", "render_refusal"]

RANGES: Final = {
    "now-5m": "Last 5 minutes",
    "now-15m": "Last 15 minutes",
    "now-30m": "Last 30 minutes",
    "now-1h": "Last hour",
    "now-3h": "Last 3 hours",
    "now-6h": "Last 6 hours",
    "now-12h": "Last 12 hours",
    "now-24h": "Last 24 hours",
    "now-2d": "Last 2 days",
    "now-7d": "Last 7 days",
    "now-30d": "Last 30 days",
}
REFRESHES: Final = {"": "Refresh off", "10s": "every 10s", "30s": "every 30s", "1m": "every minute"}

_TEMPLATES: Final = Environment(
    loader=PackageLoader("preview", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    """A panel as the template shows it: a picture, a sheet, prose, or a message."""

    panel: Panel
    svg: Markup | None = None
    sheet: Sheet | None = None
    prose: Markup | None = None
    message: str = ""
    failed: bool = False


def render_page(
    view: View,
    boards: Mapping[str, Board],
    *,
    links: str = "",
    live: bool = True,
    refresh: str = "",
) -> str:
    """The page. `links` is put before /d/...; without `live` it has no forms: it is a picture."""
    hovers: dict[str, Any] = {}
    tiles = [_tile(panel, view, hovers) for panel in view.board.panels]
    look = "" if view.theme is DARK else f"&theme={view.theme.name}"
    others = [
        (
            board.title,
            f"{links}/d/{board.uid}?{in_url(view.choices, view.span)}{look}",
            board.uid == view.board.uid,
        )
        for board in boards.values()
        if set(board.tags) & set(view.board.tags) or board.uid == view.board.uid
    ]
    template = _TEMPLATES.get_template("page.html.j2")
    return template.render(
        view=view,
        board=view.board,
        tiles=tiles,
        others=others,
        links=links,
        look=look,
        live=live,
        ranges=RANGES,
        refreshes=REFRESHES,
        refresh=refresh,
        theme=view.theme,
        ALL=ALL,
        when=_when(view),
        hovers=Markup(_json(hovers)),  # noqa: S704  (no < left in it)
        size={"width": WIDTH, "row": ROW, "head": HEAD, "pad": PAD},
        contrast=contrast,
    )


def _json(value: Any) -> str:
    """JSON that can't end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _tile(panel: Panel, view: View, hovers: dict[str, Any]) -> _Tile:
    if panel.kind == "row":
        return _Tile(panel=panel)
    if panel.kind == "text":
        return _Tile(panel=panel, prose=render_markdown(str(panel.options.get("content", ""))))
    if panel.kind in TABLES:
        return _table_tile(panel, view)
    body = body_of(panel)
    with drawing(f"{view.board.uid}-{panel.id}"):
        canvas = Canvas(body.width, body.height, view.theme)
        hover = paint_body(canvas, panel, view)
        svg = canvas.to_svg()
    if hover:
        hovers[str(panel.id)] = hover
    return _Tile(panel=panel, svg=Markup(svg))  # noqa: S704  (Matplotlib escapes its texts)


def _table_tile(panel: Panel, view: View) -> _Tile:
    answer = view.answers[panel.id]
    if answer.errors:
        return _Tile(panel=panel, message="; ".join(answer.errors), failed=True)
    try:
        sheet = (
            build_alert_list(answer)
            if panel.kind == "alertlist"
            else build_sheet(panel, answer, view.choices, view.span, view.theme)
        )
    except TableError as error:
        return _Tile(panel=panel, message=str(error), failed=True)
    if not sheet.rows:
        return _Tile(panel=panel, message=panel.no_value)
    return _Tile(panel=panel, sheet=sheet)


def _when(view: View) -> str:
    form = "%Y-%m-%d %H:%M"
    start = time.strftime(form, time.localtime(view.span.start))
    end = time.strftime(form + " %Z", time.localtime(view.span.end))
    if start[:10] == end[:10]:
        end = end[11:]
    return f"{start} to {end}"


def render_index(boards: Sequence[Board], *, source: str, problem: str, theme: Theme = DARK) -> str:
    """The list of all dashboards; `problem` says why there is nothing to see, if so."""
    return _TEMPLATES.get_template("index.html.j2").render(
        boards=boards, source=source, problem=problem, theme=theme
    )


def render_refusal(title: str, text: str, *, theme: Theme = DARK) -> str:
    """A page that says what is wrong with the request."""
    return _TEMPLATES.get_template("refusal.html.j2").render(title=title, text=text, theme=theme)
