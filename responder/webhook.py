"""What Alertmanager posts to a webhook (its payload version 4), as far as it is needed here.

Fields that are not named here are ignored, so that a newer Alertmanager is understood; those that
are must be there and right, because a notification that is guessed at is worse than a refused one.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeVar

import msgspec

__all__ = [
    "Alert",
    "Payload",
    "PayloadError",
    "Status",
    "not_known",
    "read_exactly",
    "read_payload",
]

Status = Literal["firing", "resolved"]
Body = TypeVar("Body", bound=msgspec.Struct)
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
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("", f"is not JSON: {error}") from None


def read_exactly(decoder: msgspec.json.Decoder[Body], body: bytes) -> Body:
    """Decode a body of ours, with no field but the known ones.

    Raises PayloadError naming the first wrong field.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _near(_explain(str(error)), decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadError("", f"is not JSON: {error}") from None


def not_known(value: str, known: Iterable[str]) -> str:
    """The message that a name is none of these, with the nearest one."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(value, names, n=1)
    return (
        f"is not known; did you mean {near[0]}?"
        if near
        else f"is not known; there are {', '.join(names)}"
    )


def _near(error: PayloadError, kind: type[msgspec.Struct]) -> PayloadError:
    unknown = re.fullmatch(r"object contains unknown field (\w+)", error.message)
    if unknown is None:
        return error
    return PayloadError(unknown[1], not_known(unknown[1], kind.__struct_fields__))


def _explain(text: str) -> PayloadError:
    """What msgspec says as a field and a message.

    `Expected str, got int - at $.alerts[0].status` → the field alerts[0].status and the rest.
    """
    match = _AT.match(text)
    message, path = (match["message"], match["path"] or "") if match else (text, "")
    if missing := _MISSING.match(message):
        path, message = f"{path}.{missing['field']}", "is missing"
    return PayloadError(path.lstrip("."), message[0].lower() + message[1:].replace("`", ""))
