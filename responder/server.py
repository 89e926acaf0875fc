"""The responder's HTTP: Alertmanager's webhook in, the last notifications and runbooks out."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, get_args

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from contract import catalog, logs
from contract.spec import SEVERITIES
from exporters import expose
from responder import pages
from responder.asked import TooLongError, prefers_html, read_body
from responder.journal import Journal, write_all
from responder.notification import Notification, read_line, read_notifications
from responder.part import Part
from responder.webhook import PayloadError, Status, read_payload

__all__ = ["Responder"]

log = logs.logger()

_REMEMBERED: Final = 1000
_READ: Final = 20_000
"""Notifications of earlier processes that parts are given, so that they know what fires."""
_MAX_BODY: Final = 32 * 2**20
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
_OTHER: Final = "other"
_RUNBOOK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Responder:
    """Receives notifications, writes them down, counts them and shows the last ones."""

    def __init__(
        self,
        journal: Journal,
        *,
        runbooks: Path,
        show: Callable[[Notification], bytes] = Notification.line,
        own: expose.Own,
        parts: Sequence[Part] = (),
    ) -> None:
        """`show` gives what of a notification goes to standard output, with its newline.

        `own` needs the reason `stdout`; `parts` are offered what was written.
        """
        self._journal = journal
        self._runbooks = runbooks
        self._show = show
        self._own = own
        self._parts = parts
        self._received = Counter[tuple[str, str]]()
        self._failed = Counter[str]()
        self._unwritable = ""
        self._last: deque[Notification] = deque(maxlen=_REMEMBERED)

    def app(self) -> Starlette:
        """The web application, with /metrics, /healthz and /readyz."""
        return expose.app(
            self._own,
            self._families,
            ready=self._unready,
            routes=[
                Route("/v1/alertmanager", self._receive, methods=["POST"]),
                Route("/v1/notifications", self._list),
                Route("/runbooks", self._list_runbooks),
                Route("/runbooks/{alert:path}", self._show_runbook),
                *(route for part in self._parts for route in part.routes()),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        before = await run_in_threadpool(self._remember)
        async with AsyncExitStack() as running:
            for part in self._parts:
                await running.enter_async_context(part.running(before))
            yield
        self._journal.close()

    def _remember(self) -> list[Notification]:
        """Take up the log where the last process left it."""
        try:
            self._journal.open()
            read = [read_line(line) for line in self._journal.last(_READ)]
        except OSError as error:
            self._cannot_write(error)
            return []
        before = [notification for notification in read if notification is not None]
        self._last.extend(before)
        return before

    def _unready(self) -> str:
        reasons = (self._unwritable, *(part.unready() for part in self._parts))
        return next(filter(None, reasons), "")

    # In

    async def _receive(self, request: Request) -> Response:
        try:
            payload = read_payload(await read_body(request, _MAX_BODY))
        except TooLongError as error:
            self._failed["decode"] += 1
            return JSONResponse({"error": str(error), "field": ""}, 400)
        except PayloadError as error:
            self._failed["decode"] += 1
            log.warning("notification_refused", field=error.field, reason=error.message)
            return JSONResponse({"error": str(error), "field": error.field}, 400)
        if payload.truncated_alerts:
            log.warning("alerts_truncated", count=payload.truncated_alerts)
        arrived = list(read_notifications(payload, now=dt.datetime.now(dt.UTC)))
        lines = [notification.line() for notification in arrived]
        try:
            await run_in_threadpool(self._journal.append, lines)
        except OSError as error:
            self._failed["write"] += 1
            self._cannot_write(error)
            # Alertmanager tries again after a 5xx.
            return JSONResponse({"error": self._unwritable}, 500)
        self._unwritable = ""
        self._last.extend(arrived)
        for notification in arrived:
            self._received[notification.status, _known(notification.severity)] += 1
        for part in self._parts:
            part.offer(arrived)
        await run_in_threadpool(self._print, list(map(self._show, arrived)))
        return JSONResponse({"received": len(arrived)})

    def _cannot_write(self, error: OSError) -> None:
        self._unwritable = f"cannot write {self._journal.path}: {error.strerror}"
        log.error("log_unwritable", path=str(self._journal.path), reason=error.strerror)

    def _print(self, lines: Sequence[bytes]) -> None:
        """A reader of standard output that went away is counted; the file has the lines."""
        try:
            write_all(sys.stdout.fileno(), b"".join(lines))
        except OSError as error:
            self._own.error("stdout")
            log.error("stdout_unwritable", reason=error.strerror)

    # Out

    def _families(self) -> list[expose.Family]:
        received, failed = catalog.NOTIFICATIONS, catalog.NOTIFICATIONS_FAILED
        with self._own.collecting():
            return [
                expose.Family(
                    received,
                    [
                        (
                            expose.series(received, status=status, severity=severity),
                            self._received[status, severity],
                        )
                        for status in _STATUSES
                        for severity in (*SEVERITIES, _OTHER)
                    ],
                ),
                expose.Family(
                    failed,
                    [
                        (expose.series(failed, reason=reason), self._failed[reason])
                        for reason in ("decode", "write")
                    ],
                ),
                *(family for part in self._parts for family in part.families()),
            ]

    async def _list(self, request: Request) -> Response:
        query = dict(request.query_params)
        wrong = [name for name in query if name not in {"limit", "model", "status"}]
        if wrong:
            return _refuse(wrong[0], "is not known; there are limit, model and status")
        limit = query.pop("limit", "50")
        if not limit.isdecimal() or not 1 <= int(limit) <= _REMEMBERED:
            return _refuse("limit", f"should be 1 to {_REMEMBERED}, got {limit}")
        if query.get("status", "firing") not in _STATUSES:
            return _refuse("status", f"should be firing or resolved, got {query['status']}")
        fitting = [n for n in reversed(self._last) if _fits(n, query)][: int(limit)]
        if prefers_html(request):
            return pages.notifications_page(fitting)
        return Response(
            msgspec.json.encode({"notifications": fitting}), media_type="application/json"
        )

    async def _list_runbooks(self, _: Request) -> Response:
        return pages.runbooks_page(await run_in_threadpool(self._runbook_names))

    async def _show_runbook(self, request: Request) -> Response:
        name = request.path_params["alert"].removesuffix(".md")
        # Only a name that the folder itself lists is opened, so that none leads out of it.
        names = await run_in_threadpool(self._runbook_names)
        if name not in names:
            return pages.runbooks_page(names, unknown=name)
        path = self._runbooks / f"{name}.md"
        return pages.runbook_page(name, await run_in_threadpool(path.read_text, "utf-8"))

    def _runbook_names(self) -> list[str]:
        stems = [path.stem for path in self._runbooks.glob("*.md") if path.is_file()]
        return sorted(stem for stem in stems if _RUNBOOK.fullmatch(stem))


def _known(severity: str) -> str:
    return severity if severity in SEVERITIES else _OTHER


def _fits(notification: Notification, query: dict[str, str]) -> bool:
    return all(getattr(notification, name) == value for name, value in query.items())


def _refuse(field: str, message: str) -> Response:
    return JSONResponse({"error": f"{field}: {message}", "field": field}, 400)
