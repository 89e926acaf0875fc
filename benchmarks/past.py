"""A past for a Prometheus that has none: samples of a month, written within a minute.

    write(address, [Past(labels, step=300, seconds=3 * 86_400, value=events)], now=now)

`write` sends them through remote write to a Prometheus whose head holds all of it; `snapshot` then
makes one block of them that another Prometheus begins with. What a Prometheus still has in its head
is written there: to look into a block and the head costs more than to look into the head.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

__all__ = ["FLAGS", "RECEIVES", "Past", "snapshot", "write"]

RECEIVES: Final = ("--web.enable-remote-write-receiver",)
"""What a Prometheus needs that is written to."""
FLAGS: Final = (
    *RECEIVES,
    "--web.enable-admin-api",
    "--storage.tsdb.min-block-duration=90d",
    "--storage.tsdb.max-block-duration=90d",
)
"""What one needs that a snapshot is made of: a head that holds all of it."""

_AT_ONCE: Final = 200_000
"""Samples in one request."""


@dataclass(frozen=True, slots=True)
class Past:
    """One series up to now: every `step` seconds, for so many seconds; its value is of the time."""

    labels: Mapping[str, str]
    step: int
    seconds: int
    value: Callable[[int], float]


def write(
    address: str, pasts: Sequence[Past], *, now: int, begin: int = 0, end: int | None = None
) -> int:
    """Send the samples before `now` (Unix time), a series after another; how many there were.

    Only those from `begin` to before `end`, where they are given.
    """
    between = range(begin, now if end is None else end)
    sent = 0
    with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
        for body, samples in _bodies(pasts, now, between):
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            client.post("/api/v1/write", content=body, headers=headers).raise_for_status()
            sent += samples
    return sent


def snapshot(address: str, data: Path) -> Path:
    """The folder below `data` with a block of all that was written."""
    answer = httpx.post(f"http://{address}/api/v1/admin/tsdb/snapshot", timeout=300)
    name: str = answer.raise_for_status().json()["data"]["name"]
    return data / "snapshots" / name


def _bodies(pasts: Sequence[Past], now: int, between: range) -> Iterator[tuple[bytes, int]]:
    # Many series have the same samples.
    known: dict[tuple[Callable[[int], float], range], bytes] = {}
    body: list[bytes] = []
    samples = 0
    for past in pasts:
        labels = b"".join(
            _field(1, _field(1, name.encode()) + _field(2, value.encode()))
            for name, value in sorted(past.labels.items())
        )
        first = max(now - past.seconds, between.start)
        times = range(-(-first // past.step) * past.step, between.stop, past.step)
        if not times:
            continue
        key = (past.value, times)
        if key not in known:
            known[key] = b"".join(_field(2, _sample(at, past.value(at))) for at in times)
        body.append(_field(1, labels + known[key]))
        samples += len(times)
        if samples >= _AT_ONCE:
            yield _uncompressed(b"".join(body)), samples
            body, samples = [], 0
    yield _uncompressed(b"".join(body)), samples


def _sample(seconds: int, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(seconds * 1000)


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _uncompressed(content: bytes) -> bytes:
    """A block of Snappy that is one literal."""
    return _varint(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content
