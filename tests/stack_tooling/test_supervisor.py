"""Processes are started, awaited, watched and stopped together; nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from itertools import islice
from pathlib import Path

import psutil
import pytest

from stack.plan import Process
from stack.probe import answers
from stack.record import Record, find_process, read_record, wait_gone, write_record
from stack.supervisor import StackError, Supervisor
from tests.processes import eventually

PYTHON = f'exec "{sys.executable}"'


def server(name: str = "web") -> Process:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return Process(
        name=name,
        command=f"{PYTHON} -m http.server --bind 127.0.0.1 {port}",
        address=f"127.0.0.1:{port}",
        health=f"http://127.0.0.1:{port}/",
    )


def supervise(tmp_path: Path, *processes: Process) -> Supervisor:
    env = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    return Supervisor(processes, env=env, logs=tmp_path / "logs", show={})


def test_all_answer_and_none_is_left_after_stop(tmp_path: Path) -> None:
    grandchild = Process(name="shell", command="sleep 1000 & sleep 1000")
    supervisor = supervise(tmp_path, server("one"), server("two"), grandchild)
    *_, entries = supervisor.start()
    try:
        supervisor.verify_alive()
        tree = psutil.Process(entries[2].pid).children(recursive=True)
        assert len(tree) == 2
    finally:
        assert supervisor.stop() == []
    assert [find_process(entry) for entry in entries] == [None, None, None]
    assert wait_gone(tree, timeout=5) == []


def test_what_starts_last_starts_after_the_rest_answers(tmp_path: Path) -> None:
    late = Process(name="traffic", command="sleep 1000", last=True)
    supervisor = supervise(tmp_path, late, server())
    try:
        groups = [[entry.name for entry in entries] for entries in supervisor.start()]
    finally:
        supervisor.stop()
    assert groups == [["web"], ["web", "traffic"]]


def test_a_process_that_dies_is_named_with_its_last_lines(tmp_path: Path) -> None:
    dying = Process(name="drift", command="echo reading profiles; echo no profile >&2; exit 7")
    supervisor = supervise(tmp_path, server(), dying)
    try:
        groups = supervisor.start()
        next(groups)
        assert supervisor.children[1].wait(10)
        with pytest.raises(StackError) as caught:
            next(groups)
    finally:
        supervisor.stop()
    assert str(caught.value) == (
        "drift ended (exit status 7). Its last lines:\n    reading profiles\n    no profile"
    )
    assert (tmp_path / "logs" / "drift.log").read_text() == "reading profiles\nno profile\n"


def test_what_ends_later_is_named_and_started_again_while_the_rest_runs_on(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, server("one"), server("two"))
    *_, (first, other) = supervisor.start()
    try:
        os.kill(first.pid, signal.SIGKILL)
        events = supervisor.watch()
        assert next(events).startswith("one ended (signal SIGKILL). Its last lines:\n")
        assert next(events) == "one was started again."
        again, same = supervisor.entries
        assert (again.name, same) == ("one", other)
        assert again.pid != first.pid
        eventually(lambda: answers(again.health), says="the new one answers")
    finally:
        supervisor.stop()
    assert [find_process(entry) for entry in (again, same)] == [None, None]


def test_what_keeps_ending_is_started_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.supervisor.RESTART_SECONDS", 0.01)
    supervisor = supervise(tmp_path, Process(name="brief", command="echo started; exit 7"))
    list(supervisor.start())
    try:
        news = list(islice(supervisor.watch(), 6))
    finally:
        supervisor.stop()
    pauses = [line.rpartition(" in ")[2] for line in news if " in " in line]
    assert pauses == ["0.01s.", "0.02s.", "0.04s."]
    # The fourth may have been stopped before it wrote.
    assert (tmp_path / "logs" / "brief.log").read_text().startswith("started\n" * 3)


def test_what_is_held_stays_dead_until_it_is_released(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, server("one"), Process(name="two", command="sleep 1000"))
    *_, (first, _) = supervisor.start()
    try:
        supervisor.hold("one")
        os.kill(supervisor.child("two").entry.pid, signal.SIGKILL)
        events = supervisor.watch()
        # While another one dies and is started again, the held one is left alone.
        assert next(events).startswith("two ended")
        assert next(events) == "two was started again."
        assert find_process(first) is None
        supervisor.release("one")
        assert next(events) == "one was started again."
        eventually(lambda: answers(first.health), says="it answers at the same address")
    finally:
        supervisor.stop()
    with pytest.raises(KeyError):
        supervisor.hold("three")


def test_a_process_that_ignores_sigterm_is_killed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stack.supervisor.STOP_SECONDS", 0.5)
    deaf = Process(name="deaf", command="trap '' TERM; echo ready; while :; do sleep 0.1; done")
    supervisor = supervise(tmp_path, deaf)
    *_, entries = supervisor.start()
    while not supervisor.children[0].lines:
        time.sleep(0.01)
    assert supervisor.stop() == ["deaf"]
    assert find_process(entries[0]) is None


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, server())
    *_, entries = supervisor.start()
    supervisor.stop()
    record = Record(supervisor=entries[0], processes=entries, ready=True)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_a_pid_that_is_another_process_now_is_not_ours(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path, Process(name="sleep", command="sleep 1000"))
    *_, (entry,) = supervisor.start()
    try:
        assert find_process(entry) is not None
        earlier = type(entry)(name="sleep", pid=entry.pid, created=entry.created - 10)
        assert find_process(earlier) is None
    finally:
        supervisor.stop()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"supervisor": {}}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert read_record(tmp_path) is None
