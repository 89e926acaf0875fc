"""Real processes for tests: start one, wait until it answers, stop it and see how it ended."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx

__all__ = ["ROOT", "Running", "eventually", "free_port", "http", "running"]

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: where processes run unless told otherwise."""

# Below the range that outgoing connections take their ports from, so that none of them takes a
# port between our look at it and the server's bind. Workers of one test run share them out.
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_WORKERS: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS: Final = range(20_000 + _WORKER, 32_000, _WORKERS)
_chosen: Final = random.Random()
_handed_out: Final[set[int]] = set()

T = TypeVar("T")


def free_port() -> int:
    """A loopback port that nobody listens on and that was not handed out before."""
    for _ in range(200):
        port = _chosen.choice(_PORTS)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise AssertionError("no free loopback port found")


def http() -> httpx.Client:
    """A client for loopback that reads no proxy settings; use it as a context manager."""
    return httpx.Client(trust_env=False, timeout=10)


def eventually(
    check: Callable[[], T | None], *, seconds: float = 20, says: str | Callable[[], str] = ""
) -> T:
    """What `check` gives as soon as it is true. Fails with `says` when it never is.

    An AssertionError or httpx.TransportError of `check` counts as not yet.
    """
    last: Exception | None = None
    end = time.monotonic() + seconds
    while True:
        try:
            if found := check():
                return found
        except (AssertionError, httpx.TransportError) as error:
            last = error
        if time.monotonic() > end:
            text = says if isinstance(says, str) else says()
            raise AssertionError(f"not within {seconds:g}s: {text} {last or ''}".rstrip()) from last
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Running:
    """A process that `running` started; its output lies in two files."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    @property
    def output(self) -> str:
        """All that it wrote so far: standard output, then standard error."""
        return self.stdout.read_text(errors="replace") + self.stderr.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        """The last lines of each stream, for the message of a failing test."""
        parts = []
        for name, path in (("stdout", self.stdout), ("stderr", self.stderr)):
            last = path.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {name} of {self.process.args!r}", *last]))
        return "\n".join(parts)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> int:
        """`kill -9` of its whole process group; the exit status."""
        _signal_group(self.process, signal.SIGKILL)
        return self.process.wait(10)

    def stop(self, *, seconds: float = 15) -> int:
        """SIGTERM to the process, SIGKILL to its group if that is not enough; the exit status."""
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()


@contextmanager
def running(
    argv: Sequence[str | Path],
    *,
    ready_url: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    logs: Path | None = None,
    seconds: float = 30,
    exits_with: int | None = None,
) -> Iterator[Running]:
    """Run `argv` in a process group of its own until the block ends.

    `env` is laid over this process's environment. With `ready_url` the block begins once that
    answers 200; it is an error, with the tail of the output, when the process ends before or
    takes longer than `seconds`. Output goes to a temporary folder or, when given, to `logs`.
    `exits_with` is the exit status that SIGTERM must lead to.
    """
    with tempfile.TemporaryDirectory(prefix="running-") as scratch:
        folder = logs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        stdout, stderr = folder / "stdout", folder / "stderr"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        started = Running(process, stdout, stderr)
        try:
            if ready_url is not None:
                _wait_until_ready(started, ready_url, seconds)
            yield started
            status = started.stop()
            if exits_with is not None and status != exits_with:
                raise AssertionError(
                    f"ended with {status}, expected {exits_with}\n{started.tail()}"
                )
        finally:
            # The process may have ended and left children behind.
            _signal_group(process, signal.SIGKILL)
            process.wait(10)


def _wait_until_ready(started: Running, url: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    answer = "no answer"
    with http() as client:
        while True:
            if (status := started.process.poll()) is not None:
                raise AssertionError(f"ended with {status} before {url}\n{started.tail()}")
            try:
                response = client.get(url)
            except httpx.TransportError as error:
                answer = repr(error)
            else:
                if response.status_code == 200:
                    return
                answer = f"{response.status_code} {response.text[:200]}"
            if time.monotonic() > end:
                raise AssertionError(
                    f"not ready within {seconds:g}s: {url}: {answer}\n{started.tail()}"
                )
            time.sleep(0.05)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
