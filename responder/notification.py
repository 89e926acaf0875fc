"""A notification: one alert that Alertmanager delivered, as a line of the log and as a type.

The schema is stable: `schema_version` changes when a field changes its meaning or goes; fields may
be added. Channels, reports and remediation read this type and never Alertmanager's payload.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from responder.webhook import Alert, Payload, Status

__all__ = ["Level", "Links", "Notification", "read_line", "read_notifications"]

Level = Literal["info", "warning", "error"]

_LEVELS: Final[dict[str, Level]] = {"warning": "warning", "error": "error", "critical": "error"}

_OWN_LABELS: Final = frozenset({"alertname", "severity", "team", "model_name", "model_version"})
_OWN_ANNOTATIONS: Final = frozenset({"summary", "description", "runbook_url", "dashboard_url"})


_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DURATION_PART: Final = re.compile(
    rf"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)({'|'.join(_SECONDS)})", re.ASCII
)


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on; None where the alert has no such link."""

    runbook: str | None = None
    dashboard: str | None = None
    generator: str | None = None


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of one webhook call.

    Attributes:
        time: When the responder received it, UTC.
        level: The level of the log line: error for error and critical, info for what resolved.
        labels: The labels that have no field of their own.
        annotations: The same of annotations; a value or threshold that is no number stays here.
        value: What the alert's expression gave, from the annotation `value`, in base units.
        threshold: What it is held against, from the annotation `threshold`, in base units.
        starts_at: When it began to fire, UTC.
        ends_at: When it stopped; None while it fires.
        fingerprint: Alertmanager's identity of the label set: the same while firing and resolved.
        group_key: Alertmanager's identity of the group it was delivered in.
    """

    time: dt.datetime
    level: Level
    component: str = "responder"
    event: str = "notification"
    schema_version: int = 1
    status: Status
    alertname: str
    severity: str
    team: str
    model: str
    version: str
    value: float | None
    threshold: float | None
    summary: str
    description: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    fingerprint: str
    group_key: str
    receiver: str
    labels: dict[str, str]
    annotations: dict[str, str]
    links: Links

    def line(self) -> bytes:
        """The line of the log, with its newline."""
        return msgspec.json.encode(self) + b"\n"

    def text(self) -> bytes:
        """The same for people at a terminal."""
        about = " ".join(filter(None, (self.alertname, self.model, self.version)))
        head = f"{self.time:%H:%M:%S} {self.status:<8} {self.severity:<8} {about}"
        return f"{head}: {self.summary!r}\n".encode()


_decoder: Final = msgspec.json.Decoder(Notification)


def read_line(line: bytes) -> Notification | None:
    """A notification back from its line, or None where the line is none."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_notifications(payload: Payload, *, now: dt.datetime) -> Iterator[Notification]:
    """Every alert of a payload as a notification received at `now` (aware)."""
    for alert in payload.alerts:
        yield _notification(alert, payload, now.astimezone(dt.UTC))


def _notification(alert: Alert, payload: Payload, now: dt.datetime) -> Notification:
    labels, annotations = alert.labels, dict(alert.annotations)
    severity = labels.get("severity", "")
    numbers = {name: _number(annotations, name) for name in ("value", "threshold")}
    return Notification(
        time=now,
        level="info" if alert.status == "resolved" else _LEVELS.get(severity, "info"),
        status=alert.status,
        alertname=labels.get("alertname", ""),
        severity=severity,
        team=labels.get("team", ""),
        model=labels.get("model_name", ""),
        version=labels.get("model_version", ""),
        value=numbers["value"],
        threshold=numbers["threshold"],
        summary=annotations.get("summary", ""),
        description=annotations.get("description", ""),
        starts_at=_utc(alert.starts_at) or now,
        ends_at=_utc(alert.ends_at),
        fingerprint=alert.fingerprint,
        group_key=payload.group_key,
        receiver=payload.receiver,
        labels=_rest(labels, _OWN_LABELS),
        annotations=_rest(annotations, _OWN_ANNOTATIONS),
        links=Links(
            runbook=annotations.get("runbook_url") or None,
            dashboard=annotations.get("dashboard_url") or None,
            generator=alert.generator_url or None,
        ),
    )


def _number(annotations: dict[str, str], name: str) -> float | None:
    """Take a number out of the annotations; what is none, or not finite, stays there."""
    number = _read_number(annotations.get(name, ""))
    if number is None or not math.isfinite(number):
        return None
    del annotations[name]
    return number


def _read_number(text: str) -> float | None:
    """`0.07`, or as our rules show it to people: 7% as a ratio, 1m 30s and 250ms in seconds."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        pass
    parts = text.removeprefix("-").split(" ")
    matches = [match for part in parts if (match := _DURATION_PART.fullmatch(part))]
    if len(matches) != len(parts):
        return None
    seconds = sum(float(match[1]) * _SECONDS[match[2]] for match in matches)
    return -seconds if text.startswith("-") else seconds


def _rest(values: dict[str, str], own: frozenset[str]) -> dict[str, str]:
    return {name: values[name] for name in sorted(values) if name not in own}


def _utc(time: dt.datetime) -> dt.datetime | None:
    """None for Go's zero time, the first day of year 1, which Alertmanager writes for not yet."""
    return None if time.year == 1 else time.astimezone(dt.UTC)
