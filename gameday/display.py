"""What a person sees while the game day runs: lines of what happened, and below what goes on."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Mapping
from typing import Final, TextIO

__all__ = ["Display"]

_EVERY: Final = 1.0
_UP_AND_CLEAR: Final = "\x1b[{}F\x1b[0J"


class Display:
    """Lines that stay and, on a terminal, a block below them that is drawn anew every second."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._began = time.monotonic()
        self._block: list[str] = []
        self._drawn = 0.0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line that stays, with the time since the start."""
        with self._lock:
            self._clear()
            self._stream.write(f"{self._clock()}  {text}\n")
            self._draw()

    def show(self, status: Mapping[str, str], head: str) -> None:
        """What goes on now; only a terminal shows it."""
        if not self._terminal or time.monotonic() < self._drawn + _EVERY:
            return
        with self._lock:
            self._clear()
            wide = max((len(name) for name in status), default=0)
            lines = [f"{self._clock()}  {head}"]
            lines += [f"       {name.ljust(wide)}  {text}" for name, text in sorted(status.items())]
            columns = shutil.get_terminal_size().columns
            self._block = [line[: columns - 1] for line in lines]
            self._draw()
            self._drawn = time.monotonic()

    def close(self) -> None:
        """Take the block away."""
        with self._lock:
            self._clear()
            self._block = []
            self._stream.flush()

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"{minutes:2d}:{seconds:02d}"

    def _clear(self) -> None:
        if self._block:
            self._stream.write(_UP_AND_CLEAR.format(len(self._block)))

    def _draw(self) -> None:
        for line in self._block:
            self._stream.write(f"{line}\n")
        self._stream.flush()
