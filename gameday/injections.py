"""What is broken during the game day, and how it is mended again.

An injection is data; `inject` breaks and gives back what mends. Everything goes through what a
user could do as well: the demo's own switches, the state of its simulated GPUs, signals to
processes, files.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from examples.demo.gpu.state import leaking
from gameday.environment import Environment

__all__ = [
    "Down",
    "Fault",
    "Gpu",
    "Hang",
    "Injection",
    "Leak",
    "Mend",
    "Restart",
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
class Leak:
    """Memory of one GPU that grows from `start` by `per_second` bytes, up to `most`."""

    gpu: int
    start: float
    per_second: float
    most: float

    def inject(self, environment: Environment) -> Mend:
        """Let it grow from now on."""
        value = leaking(self.start, self.per_second, self.most)
        return Gpu({f"gpu.{self.gpu}.memory_used": value}).inject(environment)


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
    """A process that is killed and started again at once, `after` seconds from now."""

    process: str
    after: float = 0.0

    def inject(self, environment: Environment) -> Mend:
        """Do it, and come back when it answers; there is nothing to mend."""
        time.sleep(self.after)
        environment.hold(self.process)
        environment.release(self.process)
        return lambda: None


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
