"""`make down` and `make status`: the running stack from another terminal."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import psutil

from stack.display import render_table
from stack.probe import answers
from stack.record import Entry, find_process, living, read_record, remove_record, wait_gone
from stack.supervisor import STOP_SECONDS

__all__ = ["NOT_RUNNING", "down", "status"]

NOT_RUNNING: Final = 3
"""The exit status of `status` when anything is missing, as init scripts have it."""


def down(data: Path) -> int:
    """Stop the stack of this data folder; nothing to stop is no error.

    The supervisor stops its processes. Where it was killed before, they are stopped one by one.
    """
    record = read_record(data)
    supervisor = find_process(record.supervisor) if record else None
    if record is None or (supervisor is None and not living(record.processes)):
        remove_record(data)
        print(f"Nothing is running in {data}.")
        return 0
    if supervisor is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor.terminate()
        wait_gone([supervisor], STOP_SECONDS + 10)
    left = living((record.supervisor, *record.processes))
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    stubborn = wait_gone(left, STOP_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    immortal = wait_gone(stubborn, 5)
    if immortal:
        pids = ", ".join(str(process.pid) for process in immortal)
        print(f"Could not be stopped: pid {pids}", file=sys.stderr)
        return 1
    remove_record(data)
    print("Everything has stopped.")
    return 0


def status(data: Path) -> int:
    """Print every process of the stack; 0 when all are up and answer, else NOT_RUNNING."""
    record = read_record(data)
    if record is None:
        print(f"Nothing is running in {data}; make up starts the stack.")
        return NOT_RUNNING
    if not record.processes and find_process(record.supervisor):
        print(f"Starting (pid {record.supervisor.pid}).")
        return NOT_RUNNING
    rows = [_row(entry) for entry in (record.supervisor, *record.processes)]
    print(render_table(("PROCESS", "STATE", "HEALTH", "PID", "ADDRESS"), rows))
    good = all(row[1] == "up" and row[2] in ("ok", "-") for row in rows)
    return 0 if good else NOT_RUNNING


def _row(entry: Entry) -> tuple[str, str, str, str, str]:
    up = find_process(entry) is not None
    health = "-"
    if entry.health:
        health = "ok" if up and answers(entry.health) else "failing"
    return (
        entry.name,
        "up" if up else "down",
        health,
        str(entry.pid) if up else "-",
        f"http://{entry.address}" if entry.address else "-",
    )
