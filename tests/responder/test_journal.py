"""The log's file: whole lines, bounded, and what is read back from its end."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from responder.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "log.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path, max_bytes=100, keep=2)
    yield made
    made.close()


def test_the_folder_is_made_and_lines_are_appended(journal: Journal, path: Path) -> None:
    journal.append([b"one\n", b"two\n"])
    journal.append([b"three\n"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert path.stat().st_mode & 0o007 == 0, "not for everybody on the machine"


def test_a_full_file_is_rotated_and_only_some_are_kept(journal: Journal, path: Path) -> None:
    lines = [b"%02d" % number + b"." * 37 + b"\n" for number in range(10)]
    for line in lines:
        journal.append([line])
    files = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert files == {
        "log.jsonl": b"".join(lines[8:]),
        "log.jsonl.1": b"".join(lines[6:8]),
        "log.jsonl.2": b"".join(lines[4:6]),
    }
    assert journal.last(3) == [line.rstrip() for line in lines[7:]]
    assert journal.last(100) == [line.rstrip() for line in lines[4:]]


def test_lines_of_one_call_stay_in_one_file_even_where_they_exceed_it(
    journal: Journal, path: Path
) -> None:
    journal.append([b"small\n"])
    journal.append([b"x" * 80 + b"\n"] * 3)
    journal.append([b"small\n"])
    assert [len(file.read_bytes()) for file in sorted(path.parent.iterdir())] == [6, 243, 6]


@pytest.mark.parametrize("torn", [b'{"half', b"x" * 200_000], ids=["short", "longer than a block"])
def test_a_line_that_a_crash_left_unfinished_is_dropped(
    journal: Journal, path: Path, torn: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(b"one\n" + torn)
    journal.open()
    assert path.read_bytes() == b"one\n"


def test_a_file_that_is_one_unfinished_line_is_emptied(journal: Journal, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"half')
    journal.append([b"one\n"])
    assert path.read_bytes() == b"one\n"


def test_the_last_lines_of_a_long_file_are_found(journal: Journal, path: Path) -> None:
    path.parent.mkdir()
    lines = [b"%06d" % number + b"." * 300 for number in range(2_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    for count in (1, 5, 300, 2_000, 3_000):
        assert journal.last(count) == lines[-count:]
    assert journal.last(0) == []


def test_a_file_that_was_moved_away_is_left_alone(journal: Journal, path: Path) -> None:
    journal.append([b"one\n"])
    path.rename(path.with_name("taken"))
    journal.append([b"two\n"])
    assert path.read_bytes() == b"two\n"


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_whole_lines(path: Path) -> None:
    """The limit on the size of files stands for the disk: write gives a part, then fails."""
    journal = Journal(path)
    journal.append([b"one\n"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        with pytest.raises(OSError, match="too large"):
            journal.append([b"two is too long\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, previous)
    assert path.read_bytes() == b"one\n"
    journal.append([b"two\n"])
    assert path.read_bytes() == b"one\ntwo\n"
    journal.close()


def test_a_pipe_is_written_without_being_rotated_or_synced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    journal = Journal(tmp_path / "pipe", max_bytes=1)
    journal.append([b"one\n"])
    journal.append([b"two\n"])
    assert os.read(reader, 100) == b"one\ntwo\n"
    assert journal.last(5) == []
    os.close(reader)
    journal.close()
