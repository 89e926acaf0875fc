"""Events and labels as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from contract.spec import Limits
from exporters.sidecar.arrow import read_arrow_table
from exporters.sidecar.body import LINES, LIST, STREAM, Body
from exporters.sidecar.columnar import read_json_table, rows_of
from exporters.sidecar.event import Event
from exporters.sidecar.log.batch import Answer

__all__ = [
    "decode_actuals",
    "decode_body",
    "decode_event",
    "decode_events",
    "encode",
    "encode_bodies",
    "encode_event",
]

DEPTH: Final = 30

_PACK: Final = msgspec.msgpack.Encoder().encode
_JSON: Final = msgspec.json.Encoder().encode
_EVENTS: Final = msgspec.msgpack.Decoder(list[Event]).decode
_ACTUALS: Final = msgspec.msgpack.Decoder(list[float | str | bool]).decode
_LIST: Final = msgspec.json.Decoder(list[Event]).decode
_LINES: Final = msgspec.json.Decoder(Event).decode_lines
_EVENT: Final = msgspec.json.Decoder(Event).decode
_NAMES: Final = frozenset(Event.__struct_fields__)

_BODIES: Final = b"\xc1"
"""What follows are bodies; MessagePack begins nothing with it."""

_NO_LIMITS: Final = Limits(events=2**31)
"""What was accepted once is read whatever the limits are now."""

# What a body can hold and these formats cannot: whole numbers of more than 64 bits, deep nesting.
_ODD = (OverflowError, RecursionError, ValueError)


def encode(items: Sequence[Event] | Sequence[Answer]) -> bytes:
    """Events or actual values as MessagePack. One odd value never fails the others."""
    try:
        return _PACK(items)
    except _ODD:
        return _PACK([_plain(item) for item in items])


def encode_bodies(bodies: Sequence[Body]) -> bytes:
    """Bodies as they came: what is decoded only where somebody asks for it."""
    return _BODIES + _PACK(bodies)


def encode_event(item: Event | Answer) -> str:
    """An event or an actual value as JSON."""
    try:
        return _JSON(item).decode()
    except _ODD:
        return _JSON(_plain(item)).decode()


def decode_events(packed: bytes) -> list[Event]:
    """What `encode` or `encode_bodies` made of events, in their order."""
    if packed[:1] == _BODIES:
        bodies: list[tuple[int, bytes]] = msgspec.msgpack.decode(memoryview(packed)[1:])
        return [event for form, body in bodies for event in decode_body(Body(form, body))]
    try:
        return _EVENTS(packed)
    except msgspec.ValidationError:  # an older version may have allowed more
        found: list[dict[str, Any]] = msgspec.msgpack.decode(packed)
        return [Event(**{name: own[name] for name in own.keys() & _NAMES}) for own in found]


def decode_body(body: Body) -> list[Event]:
    """The events of a body that was accepted."""
    form, content = body
    if form == LIST:
        return _LIST(content)
    if form == LINES:
        return _LINES(content)
    if form == STREAM:
        table = read_arrow_table(content, _NO_LIMITS)
    else:
        found = read_json_table(content, _NO_LIMITS)
        assert found is not None
        table = found
    return msgspec.convert(rows_of(table), list[Event])


def decode_event(text: str) -> Event:
    """What `encode_event` made of an event."""
    try:
        return _EVENT(text)
    except msgspec.ValidationError:
        found: dict[str, Any] = msgspec.json.decode(text)
        return Event(**{name: found[name] for name in found.keys() & _NAMES})


def decode_actuals(packed: bytes) -> list[Answer]:
    """What `encode` made of actual values."""
    return _ACTUALS(packed)


def _plain(value: Any, depth: int = DEPTH) -> Any:
    if isinstance(value, Event):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value] if depth else None
    if hasattr(value, "items"):
        items = value.items()
        return {_plain(key): _plain(own, depth - 1) for key, own in items} if depth else None
    return value
