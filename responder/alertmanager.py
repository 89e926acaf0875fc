"""Alertmanager's API, version 2: whether an alert still fires, and telling it of one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import httpx
import msgspec

__all__ = ["About", "Alertmanager", "AlertmanagerError", "State"]

State = Literal["firing", "suppressed", "gone"]
"""What became of an alert: suppressed ones are silenced or inhibited."""

_TIMEOUT: Final = 5.0
_PRECISION: Final = dt.timedelta(milliseconds=2)
"""The API tells times in milliseconds, the webhook in nanoseconds."""


class About(Protocol):
    """What tells an alert: a notification, or a record of what was done about it."""

    @property
    def alertname(self) -> str: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def starts_at(self) -> dt.datetime: ...  # noqa: D102


class AlertmanagerError(Exception):
    """It cannot be reached (status 503), or it refuses (502); the message says what to do."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class _Status(msgspec.Struct):
    state: str


class _Alert(msgspec.Struct, rename="camel"):
    fingerprint: str
    starts_at: dt.datetime
    status: _Status


_decoder: Final = msgspec.json.Decoder(list[_Alert])


class Alertmanager:
    """One Alertmanager, by its address (host:port)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT)

    async def close(self) -> None:
        """Let go of its connections."""
        await self._client.aclose()

    async def state(self, about: About) -> State:
        """Whether an alert fires now. Raises AlertmanagerError."""
        labels = {"alertname": about.alertname, "model_name": about.model}
        filters = [f"{name}={json.dumps(value)}" for name, value in labels.items() if value]
        answer = await self._ask("GET", params={"filter": filters})
        try:
            alerts = _decoder.decode(answer.content)
        except msgspec.DecodeError as error:
            raise AlertmanagerError(502, f"{self._url} answers what is no list: {error}") from None
        for alert in alerts:
            same = alert.fingerprint == about.fingerprint
            if same and abs(alert.starts_at - about.starts_at) <= _PRECISION:
                return "suppressed" if alert.status.state == "suppressed" else "firing"
        return "gone"

    async def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tell it of alerts. Raises AlertmanagerError."""
        await self._ask("POST", json=alerts)

    @property
    def _url(self) -> str:
        return f"http://{self.address}/api/v2/alerts"

    async def _ask(self, method: str, **content: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, self._url, **content)
        except httpx.TransportError as error:
            raise AlertmanagerError(
                503,
                f"Alertmanager at {self.address} cannot be reached ({type(error).__name__}): is it "
                "running, and is stack.alertmanager its address?",
            ) from None
        if not answer.is_success:
            raise AlertmanagerError(
                502, f"Alertmanager at {self.address} answered {answer.status_code}: {answer.text}"
            )
        return answer
