"""The HTTP server that every exporter answers on: /metrics, /healthz, /readyz and its own."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import signal
import socket
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from contract import logs
from exporters.expose.own import Own
from exporters.expose.text import Family, render, render_pieces
from exporters.expose.turns import breathe
from exporters.expose.unix_socket import listening_at

__all__ = ["add_serve_arguments", "app", "prefers_openmetrics", "scrape_chunks", "serve"]

log = logs.logger()

isal_zlib: Any = None
with suppress(ImportError):  # the standard library's takes five times as long
    isal_zlib = importlib.import_module("isal.isal_zlib")

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

PACKED: Final = 1 << 16
"""Bytes that are put together or compressed at once."""

COPIED: Final = 10_000
"""Bytes of a piece that is put together with others; a larger one stays as it is."""

Collect = Callable[[], Iterable[Family] | Awaitable[Iterable[Family]]]

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def app(
    own: Own,
    collect: Collect,
    *,
    ready: Callable[[], str] = lambda: "",
    routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The exporter's web application: /metrics, /healthz, /readyz and its own `routes`.

    `collect` gives the families of a scrape; when it raises, the scrape still answers, with what
    the exporter tells of itself. It may be a coroutine, which lets others have their turn.
    `ready` gives why it is not ready yet, or an empty text.
    """

    async def metrics(request: Request) -> Response:
        openmetrics = prefers_openmetrics(request.headers.get("accept", ""))
        chunks = await scrape_chunks(own, collect, openmetrics=openmetrics)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if _qualities(request.headers.get("accept-encoding", "")).get("gzip", 0) > 0:
            headers["Content-Encoding"] = "gzip"
            body = await _gzip(chunks)
        else:
            body = b"".join(chunks)
        return Response(body, media_type=OPENMETRICS if openmetrics else TEXT, headers=headers)

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        reason = ready()
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)

    paths = ["/metrics", "/healthz", "/readyz"]
    own_routes = [
        Route(path, endpoint)
        for path, endpoint in zip(paths, (metrics, healthz, readyz), strict=True)
    ]
    listed = [
        route.path
        for route in routes
        if isinstance(route, Route) and "GET" in (route.methods or ()) and "{" not in route.path
    ]

    async def index(_: Request) -> Response:
        links = "".join(f'<li><a href="{path}">{path}</a></li>' for path in [*paths, *listed])
        return HTMLResponse(
            f"<!doctype html><title>{own.exporter}</title><h1>{own.exporter}</h1><ul>{links}</ul>"
        )

    return Starlette(
        routes=[Route("/", index), *own_routes, *routes], lifespan=lifespan or _nothing
    )


async def _gzip(chunks: Sequence[bytes]) -> bytes:
    """All chunks as one, in slices.

    Not in a thread: where that shares a core with the loop, the system lets it run for milliseconds
    before a request is answered.
    """
    packing = (isal_zlib or zlib).compressobj(1, wbits=31)
    out: list[bytes] = []
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(chunk), PACKED):
            out.append(packing.compress(view[start : start + PACKED]))
            await breathe()
    return b"".join([*out, packing.flush()])


async def scrape_chunks(own: Own, collect: Collect, *, openmetrics: bool) -> Sequence[bytes]:
    """The exposition in parts; what cannot be collected leaves the exporter's own metrics."""
    counted = own.errors("collect")
    try:
        collected = collect()
        found = await collected if isinstance(collected, Awaitable) else collected
        # What is collected comes first, so that its success and duration are those of this scrape.
        families = []
        for f in found:
            samples, histograms = list(f.samples), list(f.histograms)
            families.append(Family(f.metric, samples, histograms, f.text, f.exemplars, f.texts))
            await breathe()
        return await _render_in_slices([*own.families(), *families], openmetrics=openmetrics)
    except Exception:
        if own.errors("collect") == counted:  # else `collecting` has counted it
            own.error("collect")
        log.exception("scrape_failed")
        return [render(own.families(), openmetrics=openmetrics)]


async def _render_in_slices(families: Iterable[Family], *, openmetrics: bool) -> Sequence[bytes]:
    """What `render` gives, in parts, without keeping others waiting for longer than a slice."""
    out: list[bytes] = []
    pieces: list[bytes] = []
    size = 0
    for piece in render_pieces(families, openmetrics=openmetrics):
        if len(piece) > COPIED:
            out += [b"\n".join([*pieces, b""]), piece, b"\n"]
            pieces, size = [], 0
        else:
            pieces.append(piece)
            size += len(piece)
        if size > PACKED:
            out.append(b"\n".join([*pieces, b""]))
            pieces, size = [], 0
        await breathe()
    if openmetrics:
        pieces.append(b"# EOF")
    out.append(b"\n".join([*pieces, b""]))
    return out


@asynccontextmanager
async def _nothing(_: Starlette) -> AsyncIterator[None]:
    yield


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept header ranks OpenMetrics at least as high as plain text."""
    quality = _qualities(accept)
    openmetrics = quality.get("application/openmetrics-text", 0)
    return 0 < openmetrics >= quality.get("text/plain", 0)


def _qualities(header: str) -> dict[str, float]:
    """What an Accept or Accept-Encoding header asks for, each with its highest quality."""
    found: dict[str, float] = {}
    for part in header.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        q = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        with suppress(ValueError):
            found[kind] = max(found.get(kind, 0), float(q))
    return found


def add_serve_arguments(parser: argparse.ArgumentParser, *, listen: str) -> None:
    """The options that every server has."""
    parser.add_argument(
        "--listen",
        default=listen,
        metavar="HOST:PORT",
        help="address to answer on (default: %(default)s)",
    )
    parser.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default="auto",
        help="auto is readable on a terminal and JSON lines elsewhere (default: %(default)s)",
    )


def serve(
    application: ASGIApp,
    listen: str,
    *,
    socket_path: Path | None = None,
    protocol: type[asyncio.Protocol] | None = None,
    tls: tuple[Path, Path] | None = None,
) -> int:
    """Answer on `listen`, and on a Unix socket where one is named, until SIGTERM or SIGINT.

    `protocol` takes the place of uvicorn's for HTTP; `tls` are certificate and key. The exit
    status: 0, or 2 for an address or path that cannot be had.
    """
    with ExitStack() as opened:
        where = listen, "--listen"
        try:
            listeners = [_bind(listen)]
            if socket_path is not None:
                where = f"{socket_path}", "--socket"
                listeners.append(opened.enter_context(listening_at(socket_path)))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            sys.stderr.write(f"cannot listen on {where[0]}: {reason}; choose another {where[1]}\n")
            return 2
        return _serve_on(listeners, application, listen, protocol or "auto", tls)


def _serve_on(
    listeners: list[socket.socket],
    application: ASGIApp,
    listen: str,
    protocol: type[asyncio.Protocol] | Literal["auto"],
    tls: tuple[Path, Path] | None,
) -> int:
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        application,
        http=protocol,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    server = _Server(config)

    def stop(*_: object) -> None:
        # uvicorn raises the signal that stopped it once more; being asked to stop is no failure.
        # A signal that comes before uvicorn listens to signals is not lost either.
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("listening", address=listen)
    server.run(sockets=listeners)
    log.info("stopped")
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """uvicorn's server, which speaks plain HTTP on a Unix socket whatever it does elsewhere.

    Who may connect there is a matter of the file's owner and group; nobody listens in between.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        local = [own for own in sockets or () if own.family == socket.AF_UNIX]
        await super().startup([own for own in sockets or () if own not in local])
        loop, config = asyncio.get_running_loop(), self.config

        def make_protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        for own in local:
            self.servers.append(
                await loop.create_unix_server(make_protocol, sock=own, backlog=config.backlog)
            )


def _bind(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("is not host:port")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
        # Now and not in uvicorn: two that are bound can both think the port is theirs.
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener
