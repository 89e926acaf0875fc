"""Catalog → exposition text, and the HTTP server every exporter answers on.

A series prepares the text of its name and labels once; a scrape formats only the numbers. Labels
are strict: a missing or an extra one is an error where the series is made, never dropped.

    fraud = series(catalog.LABELS, model_name="fraud", model_version="2", result="matched")
    Family(catalog.LABELS, [(fraud, 17)])
"""

from __future__ import annotations

import argparse
import gzip
import math
import platform
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from contract import catalog, logs
from contract.catalog import Metric, Type
from exporters.unix_socket import listening_at

__all__ = [
    "Family",
    "HistogramSeries",
    "LabelError",
    "Own",
    "Series",
    "add_serve_arguments",
    "app",
    "histogram_series",
    "render",
    "series",
    "serve",
]

log = logs.logger()

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class LabelError(ValueError):
    """Labels that are not exactly those of the catalog."""


@dataclass(frozen=True, slots=True)
class Series:
    """One labelled series of a counter or gauge; `text` is all of its line but the number."""

    metric: Metric
    labels: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class HistogramSeries:
    """One labelled histogram; `buckets` are the texts of its lines, the last one le="+Inf"."""

    metric: Metric
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    buckets: tuple[str, ...]
    count: str
    sum: str


def series(metric: Metric, /, **labels: str) -> Series:
    """A series of a counter or gauge. Raises LabelError unless `labels` are just the metric's."""
    if metric.type is Type.HISTOGRAM:
        raise LabelError(f"{metric} is a histogram: make it with histogram_series")
    values = _label_values(metric, labels)
    return Series(metric, values, metric.name + _label_text(metric.labels, values) + " ")


def histogram_series(metric: Metric, edges: Sequence[float], /, **labels: str) -> HistogramSeries:
    """A classic histogram over `edges` (ascending, finite; +Inf is added). Raises LabelError."""
    if metric.type is not Type.HISTOGRAM:
        raise LabelError(f"{metric} is a {metric.type}: make it with series")
    bounds = tuple(map(float, edges))
    if not bounds or not all(map(math.isfinite, bounds)) or list(bounds) != sorted(set(bounds)):
        raise ValueError(f"{metric}: edges must be finite and ascend, got {bounds}")
    values = _label_values(metric, labels)
    names = (*metric.labels, "le")
    return HistogramSeries(
        metric,
        values,
        bounds,
        tuple(
            f"{metric.bucket}{_label_text(names, (*values, le))} "
            for le in (*map(repr, bounds), "+Inf")
        ),
        f"{metric.count}{_label_text(metric.labels, values)} ",
        f"{metric.sum}{_label_text(metric.labels, values)} ",
    )


def _label_values(metric: Metric, labels: dict[str, str]) -> tuple[str, ...]:
    missing = [name for name in metric.labels if name not in labels]
    extra = [name for name in labels if name not in metric.labels]
    if missing or extra:
        parts = [f"missing {', '.join(missing)}"] if missing else []
        parts += [f"extra {', '.join(extra)}"] if extra else []
        raise LabelError(f"{metric}: {'; '.join(parts)}; its labels are {', '.join(metric.labels)}")
    for name, value in labels.items():
        if not isinstance(value, str):
            raise LabelError(f"{metric}: label {name} should be text, got {value!r}")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise LabelError(f"{metric}: label {name} is not Unicode text: {value!r}") from None
    return tuple(labels[name] for name in metric.labels)


def _label_text(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric and its samples at this scrape.

    `histograms` hold, per series, the count of each bin (not cumulative, shape [edges + 1]) and
    the sum of the values. Where values are negative, only the buckets are exposed; the one of +Inf
    is the count.
    """

    metric: Metric
    samples: Iterable[tuple[Series, float]] = ()
    histograms: Iterable[tuple[HistogramSeries, Sequence[int], float]] = ()

    def lines(self) -> Iterator[str]:
        """The lines of all samples. Raises LabelError for a series of another metric."""
        for line, value in self.samples:
            self._own(line.metric)
            yield line.text + _number(value, self.metric)
        for histogram, counts, total in self.histograms:
            self._own(histogram.metric)
            running = 0
            for bucket, count in zip(histogram.buckets, counts, strict=True):
                running += int(count)
                yield f"{bucket}{running}"
            # Over negative values a sum is no counter: OpenMetrics forbids it, and a count alone.
            if histogram.edges[0] >= 0 and not total < 0:
                yield f"{histogram.count}{running}"
                yield histogram.sum + _number(total, self.metric)

    def _own(self, metric: Metric) -> None:
        if metric is not self.metric:
            raise LabelError(f"a series of {metric} stands among those of {self.metric}")


def _number(value: float, metric: Metric) -> str:
    if isinstance(value, int):
        return str(value)
    number = float(value)
    if number != number:
        raise ValueError(f"{metric}: NaN is no value; leave out what cannot be read")
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number)


def render(families: Iterable[Family], *, openmetrics: bool = False) -> bytes:
    """The exposition of all families: text 0.0.4, or OpenMetrics 1.0.0.

    A family without samples is left out. Raises ValueError where a metric comes twice.
    """
    out: list[str] = []
    seen: set[str] = set()
    for family in families:
        metric = family.metric
        if metric.name in seen:
            raise ValueError(f"{metric} is exposed twice")
        seen.add(metric.name)
        lines = list(family.lines())
        if lines:
            out.extend(_head(metric, openmetrics))
            out.extend(lines)
    if openmetrics:
        out.append("# EOF")
    return ("\n".join(out) + "\n").encode()


def _head(metric: Metric, openmetrics: bool) -> Iterator[str]:
    name = metric.name.removesuffix("_total") if openmetrics else metric.name
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} " + (text.replace('"', r"\"") if openmetrics else text)
    yield f"# TYPE {name} {metric.type}"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}"


class Own:
    """What every exporter tells of itself: which build it is, its last collection, its errors."""

    def __init__(self, exporter: str, *, reasons: Sequence[str] = ()) -> None:
        """`reasons` are the error reasons that exist at 0 from the start; `collect` always does."""
        self.exporter = exporter
        self._info = series(
            catalog.EXPORTER_BUILD_INFO,
            exporter=exporter,
            version=own_version(),
            python_version=platform.python_version(),
        )
        self._last: tuple[bool, float, float] | None = None
        self._errors = dict.fromkeys(("collect", *reasons), 0)

    def error(self, reason: str) -> None:
        """Count an error. Raises KeyError for a reason that was not declared."""
        self._errors[reason] += 1

    def errors(self, reason: str) -> int:
        """How many errors of a reason were counted."""
        return self._errors[reason]

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Time a collection; one that raises is counted as an error and raises on."""
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self._errors["collect"] += 1
            self._last = (False, time.perf_counter() - started, time.time())
            raise
        self._last = (True, time.perf_counter() - started, time.time())

    def families(self) -> Iterator[Family]:
        """The exporter's own metrics at this moment."""
        name = self.exporter
        yield Family(catalog.EXPORTER_BUILD_INFO, [(self._info, 1)])
        if self._last is not None:
            for metric, value in zip(
                (
                    catalog.EXPORTER_COLLECTION_SUCCESS,
                    catalog.EXPORTER_COLLECTION_DURATION,
                    catalog.EXPORTER_COLLECTION_TIMESTAMP,
                ),
                self._last,
                strict=True,
            ):
                yield Family(metric, [(series(metric, exporter=name), float(value))])
        yield Family(
            catalog.EXPORTER_ERRORS,
            [
                (series(catalog.EXPORTER_ERRORS, exporter=name, reason=reason), count)
                for reason, count in self._errors.items()
            ],
        )


def own_version() -> str:
    """The version of this distribution, or `unknown` where it runs without being installed."""
    try:
        return version("ml-observability")
    except PackageNotFoundError:
        return "unknown"


Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def app(
    own: Own,
    collect: Callable[[], Iterable[Family]],
    *,
    ready: Callable[[], str] = lambda: "",
    routes: Sequence[BaseRoute] = (),
    lifespan: Lifespan | None = None,
) -> Starlette:
    """The exporter's web application: /metrics, /healthz, /readyz and its own `routes`.

    `collect` gives the families of a scrape; when it raises, the scrape still answers, with what
    the exporter tells of itself. `ready` gives why it is not ready yet, or an empty text.
    """

    async def metrics(request: Request) -> Response:
        openmetrics = prefers_openmetrics(request.headers.get("accept", ""))
        body = _scrape(own, collect, openmetrics=openmetrics)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if _qualities(request.headers.get("accept-encoding", "")).get("gzip", 0) > 0:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1, mtime=0)
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


def _scrape(own: Own, collect: Callable[[], Iterable[Family]], *, openmetrics: bool) -> bytes:
    """The exposition; what cannot be collected or rendered leaves the exporter's own metrics."""
    counted = own.errors("collect")
    try:
        # What is collected comes first, so that its success and duration are those of this scrape.
        families = [Family(f.metric, list(f.samples), list(f.histograms)) for f in collect()]
        return render([*own.families(), *families], openmetrics=openmetrics)
    except Exception:
        if own.errors("collect") == counted:  # else `collecting` has counted it
            own.error("collect")
        log.exception("scrape_failed")
        return render(own.families(), openmetrics=openmetrics)


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


def serve(application: Starlette, listen: str, *, socket_path: Path | None = None) -> int:
    """Answer on `listen`, and on a Unix socket where one is named, until SIGTERM or SIGINT.

    The exit status: 0, or 2 for an address or path that cannot be had.
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
        return _serve_on(listeners, application, listen)


def _serve_on(listeners: list[socket.socket], application: Starlette, listen: str) -> int:
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    server = uvicorn.Server(config)

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
