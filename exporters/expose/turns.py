"""Long work in slices: whoever else waits for the event loop has a turn every millisecond."""

from __future__ import annotations

import asyncio
import time
from typing import Final

__all__ = ["SLICE", "breathe"]

SLICE: Final = 0.001
"""Seconds of work after which whatever else waits has its turn."""


class _Slice:
    """The slice that runs now; there is one for all parts of a scrape, which follow each other."""

    ends = 0.0


async def breathe() -> None:
    """Let others have their turn if this slice is over. To be awaited every 100 µs or so."""
    if time.perf_counter() > _Slice.ends:
        await asyncio.sleep(0)
        _Slice.ends = time.perf_counter() + SLICE
