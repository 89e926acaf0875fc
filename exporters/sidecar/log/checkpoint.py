"""Counts as bytes, so that a restarted sidecar goes on where its counters were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np

from exporters.sidecar.counts import Counts, Histogram

__all__ = ["pack", "restored", "unpack"]

Key = tuple[str, str, str]
"""Model, version, and the fingerprint of what is counted."""


def pack(all_counts: Iterable[tuple[Key, Counts]]) -> bytes:
    """The counts of several versions."""
    return msgspec.msgpack.encode(
        [
            (*key, {item.name: _plain(getattr(counts, item.name)) for item in fields(counts)})
            for key, counts in all_counts
        ]
    )


def unpack(packed: bytes) -> dict[Key, dict[str, Any]]:
    """What `pack` wrote, for `restored`."""
    found: list[tuple[str, str, str, dict[str, Any]]] = msgspec.msgpack.decode(packed)
    return {(model, version, print_): own for model, version, print_, own in found}


def restored(zero: Counts, packed: dict[str, Any]) -> Counts | None:
    """Counts shaped as `zero`, with the numbers of `packed`; None where those do not fit.

    What an older sidecar did not count is not in `packed`, and starts at 0.
    """
    try:
        for item in fields(zero):
            if item.name not in packed:
                continue
            setattr(zero, item.name, _like(getattr(zero, item.name), packed[item.name]))
    except (KeyError, TypeError, ValueError):
        return None
    return zero


def _plain(value: Any) -> Any:
    if isinstance(value, Histogram):
        return [value.counts.tolist(), value.total]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def _like(zero: Any, plain: Any) -> Any:
    if isinstance(zero, Histogram):
        return Histogram(_like(zero.counts, plain[0]), float(plain[1]))
    if isinstance(zero, np.ndarray):
        array = np.array(plain, zero.dtype)
        if not array.size and not zero.size:  # nested lists forget the shape of nothing
            return zero
        if array.shape != zero.shape:
            raise ValueError("counts of another shape")
        return array
    if isinstance(zero, list):
        return [_like(part, own) for part, own in zip(zero, plain, strict=True)]
    return type(zero)(plain)
