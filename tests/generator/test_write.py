from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from generator import write
from generator.write import Change, compare, replace, stage
from tests.processes import ROOT


def render_into(out: Path, files: dict[str, str]) -> list[Change]:
    with stage(out, files) as staged:
        return replace(out, staged, files)


def snapshot(out: Path) -> dict[str, tuple[int, bytes]]:
    paths = [path for path in out.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(out)): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths
    }


def test_what_is_new_changed_and_gone_is_named(tmp_path: Path) -> None:
    render_into(tmp_path, {"a/generated/kept": "1", "a/generated/old/gone": "2", "docs/x.md": "3"})
    changes = render_into(
        tmp_path, {"a/generated/kept": "1", "a/generated/new": "4", "docs/x.md": "5"}
    )
    assert changes == [
        Change("a/generated/new", "added"),
        Change("a/generated/old/gone", "removed"),
        Change("docs/x.md", "changed"),
    ]
    assert {path: text for path, (_, text) in snapshot(tmp_path).items()} == {
        "a/generated/kept": b"1",
        "a/generated/new": b"4",
        "docs/x.md": b"5",
    }


def test_files_beside_generated_folders_stay(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "by-hand").write_text("mine")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("mine, too")
    render_into(tmp_path, {"a/generated/x": "1", "docs/x.md": "2"})
    assert (tmp_path / "a" / "by-hand").read_text() == "mine"
    assert (tmp_path / "docs" / "guide.md").read_text() == "mine, too"


def test_a_folder_of_which_nothing_is_rendered_stays(tmp_path: Path) -> None:
    render_into(tmp_path, {"a/generated/x": "1", "b/generated/y": "2"})
    assert render_into(tmp_path, {"b/generated/y": "3"}) == [Change("b/generated/y", "changed")]
    assert (tmp_path / "a" / "generated" / "x").read_text() == "1"


def test_what_is_the_same_is_not_touched(tmp_path: Path) -> None:
    files = {"a/generated/x": "1", "b/generated/y": "2", "docs/x.md": "3"}
    render_into(tmp_path, files)
    before, folder = snapshot(tmp_path), (tmp_path / "a" / "generated").stat()
    assert render_into(tmp_path, files) == []
    assert snapshot(tmp_path) == before
    assert (tmp_path / "a" / "generated").stat() == folder


def test_when_verification_fails_all_is_as_it_was(tmp_path: Path) -> None:
    render_into(tmp_path, {"a/generated/x": "1"})
    before = snapshot(tmp_path)

    def refuse() -> None:
        with stage(tmp_path, {"a/generated/x": "2"}) as staged:
            assert (staged / "a" / "generated" / "x").read_text() == "2"
            raise RuntimeError("promtool refuses it")

    with pytest.raises(RuntimeError):
        refuse()
    assert snapshot(tmp_path) == before


def test_a_killed_render_leaves_the_old_files_and_the_next_one_clears_up(tmp_path: Path) -> None:
    render_into(tmp_path, {"a/generated/x": "1"})
    program = f"""
import os, signal
from pathlib import Path
from generator.write import stage
with stage(Path({str(tmp_path)!r}), {{"a/generated/x": "2"}}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "a" / "generated" / "x").read_text() == "1"
    render_into(tmp_path, {"a/generated/x": "3"})
    assert list(snapshot(tmp_path)) == ["a/generated/x"]


def test_a_reader_never_finds_the_folder_missing(tmp_path: Path) -> None:
    render_into(tmp_path, {"a/generated/x": "0"})
    done = threading.Event()
    missing: list[OSError] = []

    def read() -> None:
        while not done.is_set():
            try:
                (tmp_path / "a" / "generated" / "x").read_text()
            except OSError as error:
                missing.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(200):
            render_into(tmp_path, {"a/generated/x": str(number % 2)})
    finally:
        done.set()
        reader.join()
    assert missing == []


def test_where_folders_cannot_be_exchanged_they_are_still_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_exchange", lambda *_: False)
    render_into(tmp_path, {"a/generated/x": "1"})
    render_into(tmp_path, {"a/generated/x": "2"})
    assert {path: text for path, (_, text) in snapshot(tmp_path).items()} == {"a/generated/x": b"2"}


def test_a_container_of_another_user_can_read_everything(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        render_into(tmp_path, {"a/generated/sub/x": "1"})
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {
        "a": 0o755,
        "a/generated": 0o755,
        "a/generated/sub": 0o755,
        "a/generated/sub/x": 0o644,
    }


def test_comparing_writes_nothing(tmp_path: Path) -> None:
    assert compare(tmp_path / "none", {"a/generated/x": "1"}) == [Change("a/generated/x", "added")]
    assert not (tmp_path / "none").exists()
