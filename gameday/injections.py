"""What is broken during the game day, and how it is mended again.

An injection is data; `inject` breaks and gives back what mends. Everything goes through what a
user could do as well: the demo's own switches, the state of its simulated GPUs, signals to
processes, files.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from examples.demo.gpu.state import leaking
from gameday.environment import Environment

__all__ = [
    "Away",
    "Down",
    "Fault",
    "FullDisk",
    "Gpu",
    "Grow",
    "Hang",
    "Injection",
    "Mend",
    "Restart",
    "Text",
    "Together",
]

Mend = Callable[[], None]


class Injection(Protocol):
    """Something that can be broken."""

    def inject(self, environment: Environment) -> Mend:
        """Break it; what is returned mends it."""
        ...


@dataclass(frozen=True)
class Fault:
    """Switches of one model of the demo, as its server takes them."""

    model: str
    change: Mapping[str, Any]

    def inject(self, environment: Environment) -> Mend:
        """Switch them on; mending switches everything of the model off."""
        environment.change_faults(self.model, self.change)
        return lambda: environment.clear_faults(self.model)


@dataclass(frozen=True)
class Gpu:
    """Lines of the simulated GPUs' state."""

    change: Mapping[str, str | None]

    def inject(self, environment: Environment) -> Mend:
        """Change them; mending sets them back."""
        before = environment.change_gpus(self.change)
        return lambda: _ignore(environment.change_gpus(before))


@dataclass(frozen=True)
class Grow:
    """A number of the simulated GPUs' state that grows from `start` by `per_second` to `most`."""

    key: str
    start: float
    per_second: float
    most: float = 1e15

    def inject(self, environment: Environment) -> Mend:
        """Let it grow from now on."""
        value = leaking(self.start, self.per_second, self.most)
        return Gpu({self.key: value}).inject(environment)


@dataclass(frozen=True)
class Hang:
    """A process that neither ends nor does anything (SIGSTOP)."""

    process: str

    def inject(self, environment: Environment) -> Mend:
        """Stop it; mending lets it go on."""
        environment.signal(self.process, signal.SIGSTOP)
        return lambda: environment.signal(self.process, signal.SIGCONT)


@dataclass(frozen=True)
class Down:
    """A process that is killed and does not come back until it is let."""

    process: str

    def inject(self, environment: Environment) -> Mend:
        """Kill it; mending starts it."""
        environment.hold(self.process)
        return lambda: environment.release(self.process)


@dataclass(frozen=True)
class Restart:
    """A process that is killed and started again at once, `after` seconds from now.

    It works again so many seconds after it answers (`settles`).
    """

    process: str
    after: float = 0.0
    settles: float = 0.0

    def inject(self, environment: Environment) -> Mend:
        """Do it, and come back when it answers; there is nothing to mend."""
        time.sleep(self.after)
        began = time.monotonic()
        environment.hold(self.process)
        environment.release(self.process)
        environment.outage = time.monotonic() - began + self.settles
        return lambda: None


@dataclass(frozen=True)
class Away:
    """A process that is killed and comes back after some seconds, while the rest goes on."""

    process: str
    seconds: float

    def inject(self, environment: Environment) -> Mend:
        """Kill it; mending waits until it is back."""
        environment.hold(self.process)
        timer = threading.Timer(self.seconds, environment.release, [self.process])
        timer.daemon = True
        timer.start()

        def mend() -> None:
            timer.cancel()
            environment.release(self.process)

        return mend


@dataclass(frozen=True)
class FullDisk:
    """A process whose files can't become longer than one of them is now, as on a full disk."""

    process: str
    file: str

    def inject(self, environment: Environment) -> Mend:
        """Limit it; mending lifts the limit."""
        size = (environment.data / self.file).stat().st_size
        environment.limit_files(self.process, size)
        return lambda: environment.limit_files(self.process, None)


@dataclass(frozen=True)
class Text:
    """A file with more in it; `reload` is told to read it again (SIGHUP)."""

    file: str
    more: str
    reload: str = ""

    def inject(self, environment: Environment) -> Mend:
        """Write it; mending writes what was there before, or takes the file away."""
        path = environment.data / self.file
        before = path.read_text(encoding="utf-8") if path.exists() else None
        self._write(environment, path, (before or "") + self.more)
        return lambda: self._write(environment, path, before)

    def _write(self, environment: Environment, path: Path, text: str | None) -> None:
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
        if self.reload:
            environment.signal(self.reload, signal.SIGHUP)


@dataclass(frozen=True)
class Together:
    """Several injections, one after the other; mended in the opposite order."""

    parts: tuple[Injection, ...]

    def inject(self, environment: Environment) -> Mend:
        """Break all; where one of them cannot be broken, the others are mended."""
        mends: list[Mend] = []

        def mend() -> None:
            while mends:
                mends.pop()()

        try:
            for part in self.parts:
                mends += [part.inject(environment)]
        except BaseException:
            mend()
            raise
        return mend


def _ignore(_: object) -> None:
    """For a lambda that should return nothing."""
