"""The dashboards over HTTP, where Grafana would have them: /d/UID?var-model=...&from=...&to=..."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from preview.board import Board, BoardError, read_boards
from preview.colours import DARK, THEMES
from preview.page import REFRESHES, render_index, render_page, render_refusal
from preview.picture import render_picture
from preview.prometheus import Asked, Prometheus, PrometheusError
from preview.span import SpanError
from preview.view import View, look_at

__all__ = ["build_app"]

SAFE: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
}


def build_app(folder: Path, prometheus: Prometheus, *, scrape_interval: float) -> Starlette:
    """The application. Dashboards are read anew for every page, so that an edit shows at once."""
    pages = _Pages(folder, prometheus, scrape_interval)
    return Starlette(
        routes=[
            Route("/", _aside(pages.index)),
            Route("/healthz", _healthz),
            Route("/api/health", _health_of_grafana),
            Route("/d/{uid}.png", _aside(pages.picture)),
            Route("/d/{uid}", _aside(pages.html)),
            # Grafana's own links end in the title; any is taken.
            Route("/d/{uid}/{title}", _aside(pages.html)),
        ]
    )


class _RefusalError(Exception):
    """A request that can't be answered: the page's title, its text, the status."""

    def __init__(self, title: str, text: str, status: int) -> None:
        super().__init__(text)
        self.title = title
        self.status = status


@dataclass(frozen=True, slots=True)
class _Pages:
    folder: Path
    prometheus: Prometheus
    scrape_interval: float

    def html(self, request: Request) -> Response:
        view, boards = self._look(request)
        refresh = request.query_params.get("refresh", view.board.refresh)
        refresh = refresh if refresh in REFRESHES and view.span.until == "now" else ""
        return _html(render_page(view, boards, refresh=refresh))

    def picture(self, request: Request) -> Response:
        view, _ = self._look(request)
        return Response(render_picture(view), media_type="image/png", headers=SAFE)

    def index(self, _: Request) -> Response:
        try:
            boards = list(read_boards(self.folder).values())
            self.prometheus.query(Asked("vector(1)", time.time()))
            problem = ""
        except BoardError as error:
            boards, problem = [], str(error)
        except PrometheusError as error:
            problem = str(error)
        return _html(render_index(boards, source=self.prometheus.url, problem=problem))

    def _look(self, request: Request) -> tuple[View, dict[str, Board]]:
        try:
            boards = read_boards(self.folder)
        except BoardError as error:
            raise _RefusalError("No dashboards", str(error), 500) from error
        uid = request.path_params["uid"]
        if uid not in boards:
            text = f"{uid}: there is no such dashboard; there are {', '.join(boards)}"
            raise _RefusalError("No such dashboard", text, 404)
        query = request.query_params
        wanted = {
            name.removeprefix("var-"): query.getlist(name)
            for name in query
            if name.startswith("var-")
        }
        try:
            view = look_at(
                boards[uid],
                self.prometheus,
                wanted=wanted,
                since=query.get("from", ""),
                until=query.get("to", ""),
                theme=THEMES.get(query.get("theme", ""), DARK),
                scrape_interval=self.scrape_interval,
            )
        except SpanError as error:
            raise _RefusalError("No such time range", str(error), 400) from error
        return view, boards


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _health_of_grafana(_: Request) -> Response:
    """As Grafana's own, for whoever waits for it; the version says that it is not Grafana."""
    return JSONResponse({"database": "ok", "version": "preview"})


def _aside(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Drawing takes a second or two: in a thread, so that health is answered meanwhile."""

    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request)
        except _RefusalError as refusal:
            return _html(render_refusal(refusal.title, str(refusal)), refusal.status)

    return endpoint


def _html(text: str, status: int = 200) -> Response:
    """The page may run its own script and nothing else, and fetch nothing."""
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts) or "'none'"
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
    return HTMLResponse(text, status, headers={**SAFE, "Content-Security-Policy": policy})


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
