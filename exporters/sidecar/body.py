"""The body of a request → events, with every problem of those that are none.

A good body takes one typed decode. Only when that fails is it read again event by event and field
by field, to say what is wrong where and to keep the good events.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast, get_args, get_origin

import msgspec

from contract.spec import Limits
from exporters.sidecar.event import (
    WANTED,
    BusinessEvent,
    Event,
    Label,
    Measurement,
    Reason,
    Refusal,
    limited,
)
from exporters.sidecar.shape import Shape

__all__ = [
    "LINES",
    "LIST",
    "STREAM",
    "TABLE",
    "Body",
    "BodyError",
    "Decoded",
    "Reader",
    "check_number",
    "shown",
]

MAX_PROBLEMS: Final = 10
"""Problems of one event, and of one field, that are looked for."""

T = TypeVar("T", Event, Label, BusinessEvent, Measurement)

# Python's json writes these, though they are no JSON. Strings are matched first, so that nothing
# inside them is touched, and an unclosed one to its end, so that the time stays linear.
_NON_FINITE: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|NaN|Infinity', re.DOTALL)
_REPLACED: Final = {b"NaN": b"null", b"Infinity": b"1e999"}

_MALFORMED = (msgspec.DecodeError, json.JSONDecodeError, UnicodeError)
_DEEP = "is nested too deeply"
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


# Only a hint: what is decoded says for itself which model it is of.
_MODEL: Final = re.compile(rb'"model_name"\s*:\s*"([^"\\]*)"')
_MODEL_WITHIN: Final = 4096


LIST, LINES, TABLE, STREAM = range(4)
"""Forms of a body: a JSON list, NDJSON, JSON by column, an Arrow stream."""


class Body(NamedTuple):
    """What arrived, to be read again later."""

    form: int
    content: bytes


class BodyError(ValueError):
    """A body of which nothing can be taken."""

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


@dataclass(slots=True)
class Decoded(Generic[T]):
    """The events of a body; `indices` are their places in it. `single` is a body of one object."""

    events: list[T]
    indices: Sequence[int]
    refusals: list[Refusal] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    """Fields that no event has, by name."""
    single: bool = False
    body: Body | None = None
    """The body itself, where it holds these events and nothing else."""


class Reader(Generic[T]):
    """Reads bodies of one kind of event."""

    def __init__(
        self,
        kind: type[T],
        shapes: Mapping[str, Shape] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`shapes` are the models whose events are decoded faster, by name."""
        self.limits = limits or Limits()
        kind = limited(kind, self.limits)
        # Unknown fields are not refused, so that a newer client may talk to an older sidecar.
        # Forbidding them at first sends such events down the slower path, which notes the names.
        strict = msgspec.defstruct("Strict", [], bases=(kind,), forbid_unknown_fields=True)
        self._one: msgspec.json.Decoder[T] = msgspec.json.Decoder(strict)
        self._many: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(
            list[strict]  # type: ignore[valid-type]  # a type at run time
        )
        self._lenient: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._kind: type[T] = kind
        self._shapes = shapes or {}
        self._fields = {item.name: item for item in msgspec.structs.fields(kind)}

    def read(self, body: bytes, *, lines: bool = False) -> Decoded[T]:
        """The events of a JSON object, a JSON list or (`lines`) NDJSON. Raises BodyError."""
        try:
            decoded = self._read(body.removeprefix(b"\xef\xbb\xbf"), lines)
        except RecursionError:
            raise BodyError(_DEEP) from None
        if not decoded.indices and not decoded.refusals:
            raise BodyError("holds no event")
        return decoded

    def _read(self, body: bytes, lines: bool) -> Decoded[T]:
        shape = self._find_shape(body)
        try:
            return self._decode(body, lines, shape)
        except msgspec.ValidationError:
            pass
        except _MALFORMED as error:
            body, lines = _repaired(body, lines, error)
        except RecursionError:
            if not lines:
                raise
        if lines:
            return self._sort([line for line in body.split(b"\n") if line.strip()], shape)
        if not _is_list(body):
            decoded = self._sort([body], shape)
            decoded.single = True
            return decoded
        try:
            return self._sort(_RAWS.decode(body), shape)
        except _MALFORMED as error:
            raise BodyError(f"is not JSON: {error}") from None

    def read_values(self, values: Sequence[dict[str, Any]]) -> Decoded[T]:
        """The events that lie in these objects, checked as those of a body are."""
        indices: list[int] = []
        decoded: Decoded[T] = Decoded([], indices)
        for index, value in enumerate(values):
            try:
                event = self._examine(value)
            except _EventError as error:
                decoded.refusals.append(Refusal(index, error.reason, tuple(error.problems)))
                continue
            decoded.events.append(event)
            indices.append(index)
            decoded.ignored.update(name for name in value if name not in self._fields)
        return decoded

    def _find_shape(self, body: bytes) -> Shape | None:
        """The shape of the model that the first event names."""
        if not self._shapes:
            return None
        found = _MODEL.search(body, 0, _MODEL_WITHIN)
        return self._shapes.get(found[1].decode(errors="replace")) if found else None

    def _decoders(
        self, shape: Shape | None
    ) -> tuple[msgspec.json.Decoder[T], msgspec.json.Decoder[list[T]]]:
        if shape is None:
            return self._one, self._many
        # Shapes are given to readers of events alone, which the type checker can't know.
        decoders: Any = (shape.one, shape.many)
        return cast("tuple[msgspec.json.Decoder[T], msgspec.json.Decoder[list[T]]]", decoders)

    def _decode(self, body: bytes, lines: bool, shape: Shape | None) -> Decoded[T]:
        """The body in one typed decode, when all of it is right."""
        one, many = self._decoders(shape)
        if lines:
            events, form = one.decode_lines(body), LINES
        elif _is_list(body):
            events, form = many.decode(body), LIST
        else:
            return Decoded([one.decode(body)], range(1), single=True)
        check_number(len(events), self.limits)
        return Decoded(events, range(len(events)), body=Body(form, body))

    def _sort(
        self, pieces: Sequence[bytes | msgspec.Raw], shape: Shape | None = None
    ) -> Decoded[T]:
        """Read the events of a body one by one."""
        check_number(len(pieces), self.limits)
        indices: list[int] = []
        decoded: Decoded[T] = Decoded([], indices)
        for index, piece in enumerate(pieces):
            try:
                event = self._read_one(piece, decoded.ignored, shape)
            except _EventError as error:
                decoded.refusals.append(Refusal(index, error.reason, tuple(error.problems)))
            else:
                decoded.events.append(event)
                indices.append(index)
        if shape is not None:
            shape.learn_from(decoded.events)
        return decoded

    def _read_one(
        self, piece: bytes | msgspec.Raw, ignored: Counter[str], shape: Shape | None
    ) -> T:
        try:
            for one in (self._decoders(shape)[0], self._one) if shape else (self._one,):
                with contextlib.suppress(msgspec.ValidationError):
                    return one.decode(piece)
            return self._read_loosely(piece, ignored)
        except _MALFORMED as error:
            raise _EventError([("", f"is not JSON: {error}")], "decode") from None
        except RecursionError:
            raise _EventError([("", _DEEP)], "decode") from None

    def _read_loosely(self, piece: bytes | msgspec.Raw, ignored: Counter[str]) -> T:
        """An event with fields that are not known, or with problems."""
        names: Iterable[str]
        try:
            event, names = self._lenient.decode(piece), _NAMES.decode(piece)
        except msgspec.ValidationError:
            value = _decode_object(piece)
            event, names = self._examine(value), value
        ignored.update(name for name in names if name not in self._fields)
        return event

    def _examine(self, value: dict[str, Any]) -> T:
        """Check an event field by field. Raises _EventError with its problems."""
        problems: list[tuple[str, str]] = []
        converted: dict[str, Any] = {}
        for name, info in self._fields.items():
            if name in value:
                try:
                    converted[name] = msgspec.convert(value[name], info.type)
                except (msgspec.ValidationError, OverflowError):
                    problems += _find_problems(name, value[name], info.type, self.limits)
            elif info.required:
                problems.append((name, f"is missing; it should be {WANTED[name]}"))
        if problems:
            raise _EventError(problems[:MAX_PROBLEMS])
        return self._kind(**converted)


class _EventError(ValueError):
    def __init__(self, problems: list[tuple[str, str]], reason: Reason = "field") -> None:
        super().__init__(reason)
        self.problems = problems
        self.reason = reason


def _is_list(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def check_number(events: int, limits: Limits) -> None:
    """Raises BodyError where a body holds too many events."""
    most = limits.events
    if events > most:
        raise BodyError(f"holds {events} events; send at most {most} at once", too_large=True)


def _repaired(body: bytes, lines: bool, error: Exception) -> tuple[bytes, bool]:
    """The body with NaN and Infinity as JSON, or known to be lines. Raises BodyError."""
    if b"NaN" in body or b"Infinity" in body:
        repaired = _NON_FINITE.sub(lambda match: _REPLACED.get(match[0], match[0]), body)
        if repaired != body:
            return repaired, lines or _has_lines(repaired)
    if lines or _has_lines(body):
        return body, True
    raise BodyError(f"is not JSON: {error}") from None


def _has_lines(body: bytes) -> bool:
    """Whether the first line is a whole JSON object and others follow: NDJSON by another name."""
    first, newline, rest = body.strip().partition(b"\n")
    if not newline or not rest or not first.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(first, type=msgspec.Raw)
    except _MALFORMED:
        return False
    return True


def _decode_object(piece: bytes | msgspec.Raw) -> dict[str, Any]:
    """An object of well-formed JSON; numbers too large for a float become infinite."""
    try:
        value = msgspec.json.decode(piece)
    except msgspec.ValidationError:
        value = json.loads(bytes(piece), parse_int=_whole)
        # Half of a surrogate pair is no text: it could not be written into an answer.
        json.dumps(value, ensure_ascii=False).encode()
    if not isinstance(value, dict):
        raise _EventError([("", f"should be a JSON object, got {shown(value)}")])
    return value


def _whole(digits: str) -> float:
    return int(digits) if len(digits) < 20 else float(digits)


def _find_problems(name: str, value: object, kind: Any, limits: Limits) -> list[tuple[str, str]]:
    """What is wrong with a field's value, or with the values inside it."""
    if excess := _find_excess(value, limits):
        return [(name, excess)]
    within: Iterable[tuple[str, object]] = ()
    inside = None
    if isinstance(value, dict):
        inside = _argument(kind, dict, 1)
        within = ((f"{name}.{key}", item) for key, item in value.items())
    elif isinstance(value, list):
        inside = _argument(kind, list, 0)
        within = ((f"{name}[{place}]", item) for place, item in enumerate(value))
    problems: list[tuple[str, str]] = []
    for place, item in within if inside is not None else ():
        if len(problems) < MAX_PROBLEMS and not _fits(item, inside):
            wanted = f"should be {WANTED[f'{name}.*']}, got {shown(item)}"
            problems.append((_short(place, 100), _find_excess(item, limits) or wanted))
    return problems or [(name, f"should be {WANTED[name]}, got {shown(value)}")]


def _find_excess(value: object, limits: Limits) -> str:
    if isinstance(value, str) and len(value) > limits.string:
        return f"has {len(value)} characters; send at most {limits.string}"
    if isinstance(value, dict):
        if len(value) > limits.features:
            return f"has {len(value)} entries; send at most {limits.features}"
        longest = max(map(len, value), default=0)
        if longest > limits.string:
            return f"has a name of {longest} characters; send at most {limits.string}"
    return ""


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def _argument(kind: Any, container: type, position: int) -> Any:
    """The type of what a container in the union `kind` holds; None when it has none."""
    if get_origin(kind) is container:
        return get_args(kind)[position]
    found = (_argument(part, container, position) for part in get_args(kind))
    return next((part for part in found if part is not None), None)


def shown(value: object) -> str:
    """A value as an error shows it: JSON of at most 60 characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is too large"
    return _short(json.dumps(value, ensure_ascii=False), 60)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
