"""What Alertmanager posts to a webhook (its payload version 4), as far as it is needed here.

Fields that are not named here are ignored, so that a newer Alertmanager is understood; those that
are must be there and right, because a notification that is guessed at is worse than a refused one.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final, Literal

import msgspec

__all__ = ["Alert", "Payload", "PayloadError", "Status", "explain", "read_payload"]

Status = Literal["firing", "resolved"]
Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_AT: Final = re.compile(
    r"^(?P<message>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL
)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<field>.+)`$")


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert of a notification. Times are aware; `ends_at` is in year 1 while it fires."""

    status: Status
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: Time
    ends_at: Time
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""


class Payload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One call of the webhook: the alerts of one group for one receiver."""

    alerts: tuple[Alert, ...]
    receiver: str = ""
    group_key: str = ""
    truncated_alerts: int = 0


class PayloadError(ValueError):
    """A body that is no notification: the field (`alerts[0].labels`, or "" for all) and why."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}" if field else message)


_decoder: Final = msgspec.json.Decoder(Payload)


def read_payload(body: bytes) -> Payload:
    """Decode the body of a webhook call. Raises PayloadError naming the first wrong field."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("", f"is not JSON: {error}") from None


def explain(text: str) -> PayloadError:
    """What msgspec says as a field and a message.

    `Expected str, got int - at $.alerts[0].status` → the field alerts[0].status and the rest.
    """
    match = _AT.match(text)
    message, path = (match["message"], match["path"] or "") if match else (text, "")
    if missing := _MISSING.match(message):
        path, message = f"{path}.{missing['field']}", "is missing"
    return PayloadError(path.lstrip("."), message[0].lower() + message[1:].replace("`", ""))
