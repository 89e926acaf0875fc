"""What the forwarding process tells the sidecar of an exchange, and how it gets there.

Frames on a stream socket: four bytes of length, then msgpack. Numbers that must be right even when
the sidecar does not read (requests in progress, failures) stand in memory that both share.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

import msgspec

__all__ = ["FAILURES", "Exchange", "Frames", "Shared", "encode_frame"]

FAILURES: Final = ("connect", "timeout", "closed", "malformed")
"""Why the upstream gave no whole answer: it could not be reached, at all or in time; it closed the
connection before the answer was whole; what it answered is not HTTP."""

_COUNTS: Final = (
    "requests",
    "inferences",
    "refused",
    "dropped",
    "errors",
    "connections",
    *FAILURES,
)


class Exchange(msgspec.Struct, array_like=True):
    """One inference that is over. Bodies are as sent, without chunks.

    `status` is 0 where no answer began; `seconds` is None where nobody measured them. `request`
    and `response` are None where the body was longer than what is kept of one, and empty where
    there is none. The headers are those that the reading needs, by name in lower case.
    """

    kind: str
    model: str
    version: str | None
    path: str
    status: int
    seconds: float | None
    finished: float
    failed: bool
    request: bytes | None
    response: bytes | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Exchange)


def encode_frame(exchange: Exchange) -> bytes:
    """One frame."""
    body = _ENCODER.encode(exchange)
    return len(body).to_bytes(4, "big") + body


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Exchange]:
        """The exchanges that are now whole. Raises msgspec.DecodeError."""
        self._buffer += data
        at, size = 0, len(self._buffer)
        while size - at >= 4:
            end = at + 4 + int.from_bytes(self._buffer[at : at + 4], "big")
            if end > size:
                break
            yield _DECODER.decode(self._buffer[at + 4 : end])
            at = end
        del self._buffer[:at]


class Shared:
    """Numbers that one process writes and the other reads: 64 bits each, so never half written."""

    def __init__(self, file: int, models: int) -> None:
        """`file` is the descriptor of a file of `size(models)` bytes."""
        self._memory = mmap.mmap(file, self.size(models))
        self._numbers = memoryview(self._memory).cast("q")
        self._places = {name: place for place, name in enumerate(_COUNTS)}
        self._models = models

    @staticmethod
    def size(models: int) -> int:
        """Bytes for this many models."""
        return 8 * (len(_COUNTS) + models)

    def add(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self._numbers[self._places[name]] += number

    def count(self, name: str) -> int:
        """A count."""
        return self._numbers[self._places[name]]

    def progress(self, place: int, number: int) -> None:
        """Add to the requests in progress of a model."""
        self._numbers[len(_COUNTS) + place] += number

    def in_progress(self) -> list[int]:
        """The requests in progress, by model."""
        return self._numbers[len(_COUNTS) :].tolist()

    def forget_progress(self) -> None:
        """Nothing is in progress, since whoever counted it is gone."""
        self._numbers[self._places["connections"]] = 0
        for place in range(self._models):
            self._numbers[len(_COUNTS) + place] = 0
