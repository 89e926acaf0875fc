"""POST /v1/alerts: alerts of one's own, handed to Alertmanager."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from contract import logs
from contract.spec import Spec
from exporters import expose
from responder.alertmanager import Alertmanager, AlertmanagerError
from responder.asked import TooLongError, read_body
from responder.notification import Notification
from responder.own_alert import prepare, read_own_alert
from responder.webhook import PayloadError

__all__ = ["OwnAlerts"]

log = logs.logger()

_MAX_BODY: Final = 2**20


class OwnAlerts:
    """Takes alerts of one's own and sends them to Alertmanager, which routes them as any other."""

    def __init__(self, spec: Spec | None, alertmanager: Alertmanager | None) -> None:
        """Without models.yaml there is nothing to check them against, and they are refused."""
        self._spec = spec
        self._alertmanager = alertmanager

    def routes(self) -> Sequence[BaseRoute]:
        """Where they arrive."""
        return [Route("/v1/alerts", self._take, methods=["POST"])]

    def families(self) -> Iterable[expose.Family]:
        """None: Alertmanager counts what it gets."""
        return []

    def unready(self) -> str:
        """Never: the log does not depend on it."""
        return ""

    def offer(self, notifications: Sequence[Notification]) -> None:
        """Nothing: they come from Alertmanager."""

    def follow(self, spec: Spec) -> None:
        """Check against another models.yaml."""
        self._spec = spec

    @asynccontextmanager
    async def running(self, before: Sequence[Notification]) -> AsyncIterator[None]:  # noqa: ARG002 - nothing to take up
        """Nothing more."""
        yield

    async def _take(self, request: Request) -> Response:
        if self._spec is None or self._alertmanager is None:
            return JSONResponse(
                {"error": "the responder was started without --models, so it knows no model"}, 503
            )
        try:
            own = read_own_alert(await read_body(request, _MAX_BODY))
            prepared = prepare(own, self._spec, now=dt.datetime.now(dt.UTC))
        except TooLongError as error:
            return JSONResponse({"error": str(error)}, 413)
        except PayloadError as error:
            return JSONResponse({"error": str(error), "field": error.field}, 400)
        try:
            await self._alertmanager.post([prepared.alert])
        except AlertmanagerError as error:
            log.error("own_alert_not_sent", reason=str(error), alertname=own.alertname)
            headers = {"Retry-After": "10"} if error.status == 503 else None
            return JSONResponse(
                {"error": f"{error}; the alert was not sent, send it again"}, error.status, headers
            )
        return JSONResponse(
            {
                "fingerprint": prepared.fingerprint,
                "labels": prepared.alert["labels"],
                "ends_at": prepared.ends_at.isoformat(),
            },
            202,
        )
