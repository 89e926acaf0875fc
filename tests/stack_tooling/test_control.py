"""`down` and `status` see a running stack from another terminal, also one that was killed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.control import NOT_RUNNING, down, status
from stack.plan import Process
from stack.record import Entry, Record, find_process, read_record, write_record
from stack.supervisor import Supervisor

GONE = Entry(name="stack", pid=os.getpid(), created=1.0)
"""This very pid, but created at another time: a supervisor that is no more."""


@pytest.fixture
def orphans(tmp_path: Path) -> Iterator[tuple[Entry, ...]]:
    """Two processes whose supervisor is gone, as the record in tmp_path has them."""
    processes = [Process(name=name, command="exec sleep 1000") for name in ("drift", "traffic")]
    supervisor = Supervisor(processes, env=os.environ, logs=tmp_path / "logs", show={})
    *_, entries = supervisor.start()
    write_record(tmp_path, Record(supervisor=GONE, processes=entries, ready=True))
    yield entries
    supervisor.stop()


def test_down_stops_what_a_killed_supervisor_left(
    tmp_path: Path, orphans: tuple[Entry, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert down(tmp_path) == 0
    assert capsys.readouterr().out == "Everything has stopped.\n"
    assert [find_process(entry) for entry in orphans] == [None, None]
    assert read_record(tmp_path) is None


def test_down_leaves_a_process_alone_that_only_has_the_pid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(tmp_path, Record(supervisor=GONE, processes=(GONE,)))
    assert down(tmp_path) == 0
    assert "Nothing is running" in capsys.readouterr().out
    assert read_record(tmp_path) is None


def test_status_shows_which_process_is_missing(
    tmp_path: Path, orphans: tuple[Entry, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path) == NOT_RUNNING
    states = dict(re.findall(r"^(\w+) +(up|down) ", capsys.readouterr().out, re.MULTILINE))
    assert states == {"stack": "down", "drift": "up", "traffic": "up"}


def test_status_without_a_stack_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path) == NOT_RUNNING
    assert "make up" in capsys.readouterr().out
