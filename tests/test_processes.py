"""The tests' own tools: processes and golden files."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.golden_files import Golden
from tests.processes import eventually, free_port, http, running

SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def test_a_process_is_ready_when_its_url_answers_and_is_gone_after_the_block(
    free_port: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port}/"
    with running([*SERVER, str(free_port)], ready_url=url, cwd=tmp_path) as server, http() as web:
        assert web.get(url).status_code == 200
    assert server.process.returncode == -signal.SIGTERM


def test_a_process_that_ends_before_it_is_ready_fails_with_its_output() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such disk')"]
    with (
        pytest.raises(AssertionError, match=r"(?s)ended with 1 before .*no such disk"),
        running(argv, ready_url=f"http://127.0.0.1:{free_port()}/"),
    ):
        pass


def test_another_exit_status_than_the_expected_fails(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = "import pathlib,signal,sys,time; signal.signal(15, lambda *_: sys.exit(3)); "
    code += f"pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    with (
        pytest.raises(AssertionError, match="ended with 3, expected 0"),
        running([sys.executable, "-c", code], exits_with=0),
    ):
        eventually(started.exists)


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = "import pathlib,signal,time; signal.signal(15, signal.SIG_IGN); "
    code += f"pathlib.Path({str(started)!r}).touch(); time.sleep(60)"
    with running([sys.executable, "-c", code]) as stubborn:
        eventually(started.exists)
        assert stubborn.stop(seconds=0.2) == -signal.SIGKILL


def test_ports_are_handed_out_once() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_a_golden_file_that_differs_fails_with_a_diff_and_how_to_update(tmp_path: Path) -> None:
    golden = Golden("tests/test_x.py::test_y", update=False, folder=tmp_path)
    (tmp_path / "page.md").write_text("one\ntwo\n")
    golden("page.md", "one\ntwo\n")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)-two\n\+three\n.*--update-golden"):
        golden("page.md", "one\nthree\n")
    with pytest.raises(pytest.fail.Exception, match="no such file yet"):
        golden("other.md", "one\n")


def test_update_golden_writes_what_the_test_gave(tmp_path: Path) -> None:
    Golden("tests/test_x.py::test_y", update=True, folder=tmp_path)("deep/page.md", "one\n")
    assert (tmp_path / "deep/page.md").read_text() == "one\n"
