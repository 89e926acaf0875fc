"""An alert of one's own: what somebody posts, checked against models.yaml, as Alertmanager has it.

It gets the labels and annotations that our rules give theirs, so that routes, templates and
inhibitions work as for those.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

import msgspec
from pydantic_core import PydanticCustomError

from contract.alerts import ALERTS
from contract.quantity import Duration
from contract.spec import SEVERITIES, Model, Spec
from responder.webhook import PayloadError, not_known, read_exactly

__all__ = ["OwnAlert", "Prepared", "fingerprint_of", "prepare", "read_own_alert"]

REPORTED: Final = "Reported"
"""What an alert is called that has no name."""
NOBODY: Final = "none"
"""The model of an alert about none, as rules have it."""
LASTS: Final = Duration.parse("1h")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_RESERVED: Final = frozenset(
    {"summary", "description", "runbook_url", "dashboard_url", "threshold", "threshold_set_by"}
)


class OwnAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/alerts.

    Attributes:
        severity: info, warning, error or critical.
        message: One sentence: what is wrong. May be left out where it is resolved.
        data: More about it; each key becomes an annotation.
        model: The model that it is about, by its name in models.yaml.
        version: Its version; needed only where models.yaml has several.
        team: Who is told; left out, the model's team, or `defaults.team`.
        alertname: What kind of alert it is. Alerts of the same name, model, team and severity are
            one: the newest message counts.
        description: More than one sentence; left out, the message.
        lasts: How long it fires unless it is sent again: `1h`.
        resolve: Whether it is over.
    """

    severity: str
    message: str = ""
    data: dict[str, Any] = {}
    model: str = ""
    version: str = ""
    team: str = ""
    alertname: str = REPORTED
    description: str = ""
    lasts: str = str(LASTS)
    resolve: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """An alert for Alertmanager's API, and how its notifications will be known."""

    alert: Mapping[str, Any]
    fingerprint: str
    ends_at: dt.datetime


_decoder: Final = msgspec.json.Decoder(OwnAlert)


def read_own_alert(body: bytes) -> OwnAlert:
    """Decode a body. Raises PayloadError naming the first wrong field."""
    return read_exactly(_decoder, body)


def prepare(own: OwnAlert, spec: Spec, *, now: dt.datetime) -> Prepared:
    """The alert that Alertmanager is told of. Raises PayloadError where models.yaml denies it."""
    _check(own)
    model = _model(own, spec)
    team = own.team or (model.team if model else spec.defaults.team)
    if team not in spec.teams:
        raise PayloadError("team", f"{team!r} {not_known(team, spec.teams)}")
    labels = {
        "alertname": own.alertname,
        "severity": own.severity,
        "team": team,
        "model_name": model.name if model else NOBODY,
        "model_version": model.version if model else NOBODY,
    }
    ends_at = now if own.resolve else now + _lasts(own.lasts)
    alert = {
        "labels": labels,
        "annotations": _annotations(own, model, spec),
        "endsAt": ends_at.isoformat(),
        "generatorURL": f"http://{spec.stack.responder}/v1/notifications",
    }
    return Prepared(alert, fingerprint_of(labels), ends_at)


def _check(own: OwnAlert) -> None:
    if own.severity not in SEVERITIES:
        raise PayloadError("severity", f"{own.severity!r} {not_known(own.severity, SEVERITIES)}")
    if not own.message and not own.resolve:
        raise PayloadError("message", "is missing: say in a sentence what is wrong")
    if not _NAME.fullmatch(own.alertname):
        raise PayloadError(
            "alertname", f"should be a word such as BackupFailed, got {own.alertname!r}"
        )
    if own.alertname in ALERTS:
        raise PayloadError(
            "alertname", f"{own.alertname} is an alert of the stack's own rules; take another name"
        )
    for name in own.data:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise PayloadError("data", f"has a key that cannot be used: {name!r}")


def _model(own: OwnAlert, spec: Spec) -> Model | None:
    if not own.model:
        if own.version:
            raise PayloadError("version", "is of no model: add model")
        return None
    versions = [model for model in spec.models if model.name == own.model]
    if not versions:
        known = not_known(own.model, (model.name for model in spec.models))
        raise PayloadError("model", f"{own.model!r} {known}")
    if not own.version and len(versions) > 1:
        several = ", ".join(model.version for model in versions)
        raise PayloadError("version", f"is missing: {own.model} has {several}")
    found = [model for model in versions if own.version in ("", model.version)]
    if not found:
        known = not_known(own.version, (model.version for model in versions))
        raise PayloadError("version", f"{own.version!r} {known}")
    return found[0]


def _lasts(text: str) -> dt.timedelta:
    try:
        return dt.timedelta(milliseconds=Duration.parse(text).milliseconds)
    except PydanticCustomError as error:
        raise PayloadError("lasts", f"{error.message()}; write 30m, 1h or 1d") from None


def _annotations(own: OwnAlert, model: Model | None, spec: Spec) -> dict[str, str]:
    dashboard = (
        f"ml-model?var-model={quote_plus(model.name)}&var-version={quote_plus(model.version)}"
        if model
        else "ml-fleet"
    )
    return {
        **{name: _text(value) for name, value in own.data.items()},
        "summary": own.message or "resolved",
        "description": own.description or own.message or "resolved",
        "runbook_url": f"http://{spec.stack.responder}/runbooks/{own.alertname}",
        "dashboard_url": f"http://{spec.stack.grafana}/d/{dashboard}",
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_FNV_OFFSET: Final = 14695981039346656037
_FNV_PRIME: Final = 1099511628211
_SEPARATOR: Final = b"\xff"


def fingerprint_of(labels: Mapping[str, str]) -> str:
    """Alertmanager's identity of a label set: FNV-1a, 64 bits (prometheus/common, LabelSet)."""
    parts = (part.encode() for item in sorted(labels.items()) for part in item)
    found = _FNV_OFFSET
    for byte in b"".join(part + _SEPARATOR for part in parts):
        found = (found ^ byte) * _FNV_PRIME % 2**64
    return f"{found:016x}"
