"""Runs the processes, waits until they answer, keeps their logs, stops them all together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from stack.plan import Process
from stack.probe import answers
from stack.record import Entry

__all__ = ["Child", "StackError", "Supervisor"]

LAST_LINES: Final = 20
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 15.0
RESTART_SECONDS: Final = 2.0
SETTLED_SECONDS: Final = 60.0
"""After this long a process counts as having started well; also the longest pause."""

Show = Callable[[str, str], None]


class StackError(Exception):
    """A process that died or never answered, with its last lines."""


class Child:
    """One running process: its output goes to a log file, and its last lines are remembered."""

    def __init__(
        self,
        process: Process,
        *,
        env: Mapping[str, str],
        log: Path,
        show: Show | None,
        again: bool = False,
    ) -> None:
        """Start it. `again` keeps what it wrote to `log` before it ended."""
        self.process = process
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        # A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which then
        # stops everybody in its own way, grandchildren included.
        self._popen = subprocess.Popen(
            ["/bin/sh", "-c", process.command],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.entry = Entry(
            name=process.name,
            pid=self._popen.pid,
            created=_created(self._popen.pid),
            address=process.address,
            health=process.health,
        )
        self._started = time.monotonic()
        self._reader = threading.Thread(
            target=self._read, args=(log, "ab" if again else "wb", show), daemon=True
        )
        self._reader.start()

    def _read(self, log: Path, mode: str, show: Show | None) -> None:
        assert self._popen.stdout is not None
        with log.open(mode, buffering=0) as file, self._popen.stdout as output:
            for raw in output:
                file.write(raw)
                line = raw.decode("utf-8", "replace").rstrip("\n")
                self.lines.append(line)
                if show is not None:
                    show(self.process.name, line)

    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._popen.poll()

    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    def death(self) -> str:
        """How it ended, with its last lines; empty while it runs."""
        code = self.returncode()
        if code is None:
            return ""
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"{self.process.name} ended ({how}). Its last lines:\n{self.last_words()}"

    def signal(self, number: int) -> None:
        """Send a signal to the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def wait(self, timeout: float) -> bool:
        """Whether it ended within `timeout` seconds; its output is complete then."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(1.0)
        return True

    def last_words(self) -> str:
        """Its last lines, indented, for an error message."""
        self._reader.join(0.5)
        return "\n".join(f"    {line}" for line in self.lines) or "    (it printed nothing)"


def _created(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


class Supervisor:
    """Starts, watches and stops the processes of one run."""

    def __init__(
        self,
        processes: Sequence[Process],
        *,
        env: Mapping[str, str],
        logs: Path,
        show: Mapping[str, Show],
    ) -> None:
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self._held: set[str] = set()
        self._due: dict[str, float] = {}
        self._processes = processes
        self._env = env
        self._logs = logs
        self._show = show

    def start(self) -> Iterator[tuple[Entry, ...]]:
        """Start everything; ends once all of it answers, or once `stopping` is set.

        Yields:
            All processes so far, each time some were started and before they answer.

        Raises:
            StackError: a process died or did not answer in time.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        for last in (False, True):
            group = [self._start(process) for process in self._processes if process.last == last]
            self.children += group
            yield self.entries
            self._await(group)
            if self.stopping.is_set():
                return

    def _start(self, process: Process, *, again: bool = False) -> Child:
        return Child(
            process,
            env=self._env,
            log=self._logs / f"{process.name}.log",
            show=self._show.get(process.name),
            again=again,
        )

    def _await(self, group: Sequence[Child]) -> None:
        deadline = time.monotonic() + START_SECONDS
        waiting = [child for child in group if child.process.health]
        while waiting and not self.stopping.is_set():
            self.verify_alive()
            waiting = [child for child in waiting if not answers(child.process.health)]
            if waiting and time.monotonic() > deadline:
                raise StackError(
                    "\n".join(
                        f"{child.process.name} did not answer {child.process.health} within "
                        f"{START_SECONDS:g}s. Its last lines:\n{child.last_words()}"
                        for child in waiting
                    )
                )
            self.stopping.wait(0.2)

    def verify_alive(self) -> None:
        """Raise a StackError for the first process that has ended."""
        for child in self.children:
            if death := child.death():
                raise StackError(death)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The processes as they are now."""
        return tuple(child.entry for child in self.children)

    def watch(self) -> Iterator[str]:
        """Start again what ends, until `stopping` is set; yields what happened, as it happens.

        The rest runs on meanwhile: that something is down is what the stack is there to tell. The
        pause before a start doubles with every quick death.
        """
        pauses: dict[str, float] = {}
        due = self._due
        while not self.stopping.wait(0.5):
            for index, child in enumerate(self.children):
                name = child.process.name
                if child.returncode() is None or name in self._held:
                    continue
                if name not in due:
                    before = 0.0 if child.age() > SETTLED_SECONDS else pauses.get(name, 0.0)
                    pauses[name] = min(max(2 * before, RESTART_SECONDS), SETTLED_SECONDS)
                    due[name] = time.monotonic() + pauses[name]
                    yield f"{child.death()}\nThe rest runs on; {name} starts in {pauses[name]:g}s."
                elif time.monotonic() >= due[name]:
                    del due[name]
                    child.signal(signal.SIGKILL)  # what it may have left in its session
                    self.children[index] = self._start(child.process, again=True)
                    yield f"{name} was started again."

    def child(self, name: str) -> Child:
        """The process of that name as it is now; KeyError where there is none."""
        for child in self.children:
            if child.process.name == name:
                return child
        raise KeyError(name)

    def hold(self, name: str) -> None:
        """Kill one process, and leave it dead until `release`; safe beside `watch`."""
        child = self.child(name)
        self._held.add(name)
        child.signal(signal.SIGKILL)
        child.wait(STOP_SECONDS)

    def release(self, name: str) -> None:
        """Let `watch` start at once what `hold` has killed."""
        self._due[name] = time.monotonic()
        self._held.discard(name)

    def stop(self) -> list[str]:
        """Stop everything; returns the names of what had to be killed."""
        for child in reversed(self.children):
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        killed = [
            child.process.name
            for child in self.children
            if not child.wait(max(0.0, deadline - time.monotonic()))
        ]
        # Also where the process itself has ended: what it started in its session must not stay.
        for child in self.children:
            child.signal(signal.SIGKILL)
            child.wait(5.0)
        return killed
