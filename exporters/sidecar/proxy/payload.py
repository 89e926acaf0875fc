"""A body as it was sent → the data in it, or why it can't be read."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from exporters.sidecar.event import MAX_MAGNITUDE, Value

__all__ = [
    "MAX_ROWS",
    "UNREAD",
    "Inputs",
    "Outputs",
    "UnreadError",
    "name_row",
    "read_csv",
    "read_json",
    "scalar",
    "unpacked",
]

Unread = Literal["size", "encoding", "body"]
UNREAD: Final[tuple[Unread, ...]] = ("size", "encoding", "body")
"""Why an exchange was forwarded unread: longer than the limit, compressed in a way that is not
known here, or not what its protocol says."""

MAX_UNPACKED: Final = 16 * 1024 * 1024
"""Bytes that a compressed body may have."""

MAX_ROWS: Final = 20_000
MAX_FEATURES: Final = 10_000
"""Values of one row; an image has more, and its pixels are no features."""

_PLAIN: Final = frozenset({"", "identity"})
_WINDOW: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class UnreadError(ValueError):
    """A body that can't be read, and why."""

    def __init__(self, reason: Unread, message: str) -> None:
        super().__init__(message)
        self.reason: Unread = reason


@dataclass(slots=True)
class Inputs:
    """The rows of a request, features by name; and the id that it gives."""

    rows: list[dict[str, Value]]
    identity: str | None = None


@dataclass(slots=True)
class Outputs:
    """What an answer holds: for each output, one value for each row, a scalar or a list.

    `confidence` and `identities` are those that models.yaml maps, by row.
    """

    columns: dict[str, list[Any]]
    identity: str | None = None
    version: str | None = None
    confidence: list[Any] | None = None
    identities: list[Any] | None = None


def unpacked(body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """The body without compression. Raises UnreadError."""
    if body is None:
        raise UnreadError("size", "is longer than what is kept of a body")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in _PLAIN:
        return body
    if encoding not in _WINDOW:
        raise UnreadError("encoding", f"is compressed as {encoding}")
    reader = zlib.decompressobj(_WINDOW[encoding])
    try:
        data = reader.decompress(body, MAX_UNPACKED)
    except zlib.error as error:
        raise UnreadError("encoding", f"is no {encoding}: {error}") from None
    if reader.unconsumed_tail:
        raise UnreadError("size", f"is longer than {MAX_UNPACKED} bytes once it is unpacked")
    return data


def read_json(body: bytes) -> Any:
    """The JSON in a body. Raises UnreadError."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnreadError("body", f"is not JSON: {error}") from None


def read_csv(body: bytes) -> list[dict[str, Value]]:
    """The rows of a table with a line of names. Raises UnreadError."""
    try:
        lines = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (csv.Error, UnicodeError) as error:
        raise UnreadError("body", f"is no CSV: {error}") from None
    if any(None in line for line in lines):
        raise UnreadError("body", "is no CSV: a line has more fields than the first")
    return [{name: _cell(text) for name, text in line.items()} for line in lines]


def _cell(text: str | None) -> Value:
    if not text:
        return None
    try:
        return scalar(float(text))
    except ValueError:
        return text


def name_row(values: list[Any], columns: tuple[str, ...], prefix: str = "") -> dict[str, Value]:
    """Values without names → features: in the order of the profile, else numbered.

    A numbered name is `prefix_0`. Raises UnreadError where there are too many.
    """
    if len(values) > MAX_FEATURES:
        raise UnreadError("body", f"has rows of more than {MAX_FEATURES} values")
    numbered = [f"{prefix or 'feature'}_{place}" for place in range(len(values))]
    names = columns if len(columns) == len(values) and numbered[0] not in columns else numbered
    return {name: scalar(value) for name, value in zip(names, values, strict=True)}


def scalar(value: Any) -> Value:
    """A feature's value; a list of one value stands for the value, what is no scalar for none."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) <= MAX_MAGNITUDE else None
    return value if isinstance(value, int | str | bool) else None
