"""HTTP/1.1 messages: heads parsed strictly, bodies measured without being changed.

A head that two programs could understand differently is refused, so that nothing can be hidden in
a request from either of them. Bodies go through byte for byte, chunks and trailers included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "MAX_HEAD",
    "Body",
    "Head",
    "MalformedError",
    "Request",
    "Response",
    "parse_request",
    "parse_response",
]

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head; also of the trailers of a chunked body."""

MAX_LINE: Final = 4096
"""Bytes of the line before a chunk, its extensions included."""

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_TARGET: Final = re.compile(rb"[!-~\x80-\xff]+")
_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(;[^\r\n]*)?\r\n")
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")

_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings"}
)
"""Headers between two neighbours only. Transfer-Encoding stays, since the chunks do."""

Headers = list[tuple[bytes, bytes]]


class MalformedError(ValueError):
    """A message that is not HTTP/1.1, or not unmistakably; `status` answers a request."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Head:
    """What requests and responses have in common.

    `fields` hold each header by its name in lower case, several of one name joined by commas.
    """

    minor: int
    headers: Headers
    fields: dict[bytes, bytes]

    @property
    def persistent(self) -> bool:
        """Whether the sender keeps the connection open after this message."""
        options = self.options
        return b"close" not in options and (self.minor == 1 or b"keep-alive" in options)

    @property
    def options(self) -> list[bytes]:
        """The options of the Connection header, in lower case."""
        text = self.fields.get(b"connection")
        return [part.strip() for part in text.lower().split(b",")] if text else []

    @property
    def upgrades(self) -> bool:
        """Whether the connection shall turn into a WebSocket."""
        return (
            b"upgrade" in self.fields
            and b"upgrade" in self.options
            and self.fields[b"upgrade"].lower() == b"websocket"
        )

    def forwarded(self, *, upgrade: bool) -> list[bytes]:
        """The lines of the headers that go on: all but those between two neighbours."""
        dropped: set[bytes] | frozenset[bytes] = _HOP_BY_HOP
        if named := self.options:
            # What frames a message goes on, whatever the sender says.
            kept = {b"content-length", b"transfer-encoding", b"host"}
            dropped = (_HOP_BY_HOP | set(named)) - kept
        lines = [
            b"%b: %b\r\n" % (name, value)
            for name, value in self.headers
            if name.lower() not in dropped
        ]
        if upgrade:
            lines.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        elif b"te" in self.fields and b"trailers" in self.fields[b"te"].lower():
            lines.append(b"Connection: TE\r\nTE: trailers\r\n")
        return lines


@dataclass(slots=True)
class Request(Head):
    """The head of a request; `path` is the target without its query."""

    method: bytes
    target: bytes

    @property
    def path(self) -> str:
        """The path of the target, as it was sent."""
        path = self.target.partition(b"?")[0]
        if not path.startswith(b"/"):
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        return path.decode("latin-1")

    def body(self) -> Body:
        """How its body ends. Raises MalformedError."""
        if b"transfer-encoding" in self.fields:
            _check_chunked(self, 501)
            return Body(chunked=True)
        return Body(length=_length(self) or 0)

    def render(self) -> bytes:
        """The head as it goes to the upstream."""
        lines = self.forwarded(upgrade=self.upgrades)
        start = b"%b %b HTTP/1.%d\r\n" % (self.method, self.target, self.minor)
        return b"".join((start, *lines, b"\r\n"))


@dataclass(slots=True)
class Response(Head):
    """The head of a response."""

    status: int
    reason: bytes

    def body(self, method: bytes) -> Body:
        """How its body ends. Raises MalformedError."""
        if method == b"HEAD" or self.status < 200 or self.status in {204, 304}:
            return Body(length=0)
        if b"transfer-encoding" in self.fields:
            _check_chunked(self, 502)
            return Body(chunked=True)
        length = _length(self)
        return Body(until_close=True) if length is None else Body(length=length)

    def render(self, *, close: bool) -> bytes:
        """The head as it goes to the client; `close` says that nothing follows after it."""
        lines = self.forwarded(upgrade=self.status == 101)
        if close:
            lines.append(b"Connection: close\r\n")
        start = b"HTTP/1.1 %d %b\r\n" % (self.status, self.reason)
        return b"".join((start, *lines, b"\r\n"))


def parse_request(head: bytes) -> Request:
    """Parse a head up to and with its empty line. Raises MalformedError."""
    start, headers, fields = _parse(head)
    parts = start.split(b" ")
    if len(parts) != 3 or parts[0].translate(None, _TOKEN) or not parts[0]:
        raise MalformedError("the request line is malformed")
    method, target, version = parts
    if version not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise MalformedError("speaks HTTP/1.1 only, so no gRPC over HTTP/2", 505)
    if method == b"CONNECT":
        raise MalformedError("CONNECT is not taken", 405)
    if not _TARGET.fullmatch(target):
        raise MalformedError("the request's target is malformed")
    minor = version[-1] - 48
    if minor == 1 and b"," in fields.get(b"host", b""):
        raise MalformedError("has more than one Host header")
    return Request(minor, headers, fields, method, target)


def parse_response(head: bytes) -> Response:
    """Parse a head up to and with its empty line. Raises MalformedError."""
    start, headers, fields = _parse(head)
    version, _, rest = start.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or len(code) != 3 or not code.isdigit():
        raise MalformedError("the status line is malformed")
    return Response(version[-1] - 48, headers, fields, int(code), reason)


def _parse(head: bytes) -> tuple[bytes, Headers, dict[bytes, bytes]]:
    if _FORBIDDEN.search(head):
        raise MalformedError("the head holds a control character or half of a line end")
    start, *lines = head[:-4].split(b"\r\n")
    headers: Headers = []
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN):
            raise MalformedError("a header is malformed")
        value = value.strip(b" \t")
        headers.append((name, value))
        lower = name.lower()
        fields[lower] = fields[lower] + b", " + value if lower in fields else value
    return start, headers, fields


def _length(head: Head) -> int | None:
    text = head.fields.get(b"content-length")
    if text is None:
        return None
    values = {part.strip() for part in text.split(b",")}
    (value, *more) = values
    if more or not _DIGITS.fullmatch(value):
        raise MalformedError("Content-Length is malformed")
    return int(value)


def _check_chunked(head: Head, status: int) -> None:
    if head.minor == 0 or b"content-length" in head.fields:
        raise MalformedError("Transfer-Encoding stands beside Content-Length, or in HTTP/1.0")
    if head.fields[b"transfer-encoding"].lower() != b"chunked":
        raise MalformedError("has a Transfer-Encoding other than chunked", status)


class Body:
    """A body that goes by: where it ends, and (`sink`) what it holds without its framing."""

    __slots__ = ("_chunked", "_left", "_line", "_trailers", "_until_close", "done", "sink")

    def __init__(
        self, *, length: int = 0, chunked: bool = False, until_close: bool = False
    ) -> None:
        self.sink: Callable[[bytes], None] | None = None
        self._left = length
        self._chunked = chunked
        self._until_close = until_close
        self._line = b""
        self._trailers = -1
        """Bytes of trailers so far; -1 before the last chunk."""
        self.done = not (length or chunked or until_close)

    @property
    def until_close(self) -> bool:
        """Whether it ends with the connection."""
        return self._until_close

    def feed(self, data: bytes, at: int = 0) -> int:
        """Measure `data` from `at`; the place after the last byte that belongs to this body.

        Raises MalformedError.
        """
        if self._chunked:
            return self._feed_chunks(data, at)
        end = len(data) if self._until_close else min(len(data), at + self._left)
        if self.sink is not None and end > at:
            self.sink(data[at:end])
        if not self._until_close:
            self._left -= end - at
            self.done = not self._left
        return end

    def _feed_chunks(self, data: bytes, at: int) -> int:
        # `_left` counts a chunk's bytes and the line end after them.
        while at < len(data) and not self.done:
            if self._left:
                at = self._feed_chunk(data, at)
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            if len(self._line) > (MAX_LINE if self._trailers < 0 else MAX_HEAD):
                raise MalformedError("a line of a chunked body is too long")
            if not end:
                return len(data)
            at = end
            line, self._line = self._line, b""
            self._end_line(line)
        return at

    def _feed_chunk(self, data: bytes, at: int) -> int:
        end = min(len(data), at + self._left)
        payload = min(end, at + max(self._left - 2, 0))
        if self.sink is not None and payload > at:
            self.sink(data[at:payload])
        # The line end may come in two pieces.
        wanted = b"\r\n"[-self._left :] if self._left < 2 else b"\r\n"
        if end > payload and data[payload:end] != wanted[: end - payload]:
            raise MalformedError("a chunk is longer than it says")
        self._left -= end - at
        return end

    def _end_line(self, line: bytes) -> None:
        if self._trailers >= 0:
            self._trailers += len(line)
            if self._trailers > MAX_HEAD or _FORBIDDEN.search(line):
                raise MalformedError("the trailers of a chunked body are malformed or too long")
            self.done = line == b"\r\n"
            return
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise MalformedError("the size of a chunk is malformed")
        length = int(size[1], 16)
        if length:
            self._left = length + 2
        else:
            self._trailers = 0
