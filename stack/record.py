"""The running stack as other terminals see it: data/stack.json.

A pid alone proves nothing, since the system gives it to somebody else after a crash or a reboot;
a pid and the time its process was created do.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

__all__ = ["Entry", "Record", "find_process", "read_record", "write_record"]

RECORD = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One process of a running stack; `address` and `health` are empty where it has none."""

    name: str
    pid: int
    created: float
    address: str = ""
    health: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The supervisor, its processes, and whether all of them have answered once."""

    supervisor: Entry
    processes: tuple[Entry, ...] = ()
    ready: bool = False


def find_process(entry: Entry) -> psutil.Process | None:
    """The live process that the entry means; None when it is gone or the pid is another's now."""
    try:
        process = psutil.Process(entry.pid)
        # Clock ticks: the two readings of one creation time may differ in the last digit.
        if abs(process.create_time() - entry.created) > 0.05:
            return None
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def read_record(data: Path) -> Record | None:
    """What `write_record` left, or None where nothing (or nothing readable) is."""
    try:
        raw = json.loads((data / RECORD).read_text(encoding="utf-8"))
        return Record(
            supervisor=Entry(**raw["supervisor"]),
            processes=tuple(Entry(**entry) for entry in raw["processes"]),
            ready=raw["ready"],
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_record(data: Path, record: Record) -> None:
    """Replace the record in one step, so that a reader never sees half of it."""
    data.mkdir(parents=True, exist_ok=True)
    staged = data / f".{RECORD}.{os.getpid()}"
    staged.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    staged.replace(data / RECORD)


def remove_record(data: Path) -> None:
    """Forget the stack; nothing happens where there is no record."""
    (data / RECORD).unlink(missing_ok=True)


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until the processes have ended; returns those that have not within `timeout` seconds.

    A zombie has ended: in a container whose first process reaps nothing it stays one for ever.
    """
    deadline = time.monotonic() + timeout
    left = list(processes)
    while left := [process for process in left if not _has_ended(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def living(entries: Iterable[Entry]) -> list[psutil.Process]:
    """The processes of the entries that are still there."""
    return [process for entry in entries if (process := find_process(entry)) is not None]
