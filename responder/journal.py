"""The log of notifications: a file of lines that survives being killed, bounded by rotation.

A call of `append` is done once its lines are on the disk; when it fails, none of them is in the
file. So Alertmanager can be told to try again, and no line is ever half there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract import logs

__all__ = ["Journal", "write_all"]

log = logs.logger()

_BLOCK: Final = 64 * 1024


class Journal:
    """Lines in `path`; full files are kept as `path.1` (newest) to `path.<keep>`.

    Opened at the first use and again after every failure, so that a disk that comes back is used
    again. One process at a time: it holds a lock on the file. Safe to use from several threads.
    """

    def __init__(self, path: Path, *, max_bytes: int = 16 * 2**20, keep: int = 4) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = threading.Lock()
        self._file: int | None = None

    def open(self) -> None:
        """Open the file now. Raises OSError, as `append` does, where that is not possible."""
        with self._lock:
            self._opened()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines (each with its newline) to the disk: all, or none and an OSError."""
        data = b"".join(lines)
        with self._lock:
            file = self._opened()
            try:
                file = self._rotated(file, len(data))
                _write(file, data)
            except OSError:
                self._close()
                raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def last(self, count: int) -> list[bytes]:
        """The last `count` lines in the order of the file, also from rotated files."""
        found: list[bytes] = []
        with self._lock:
            for path in (self.path, *(self._kept(number) for number in range(1, self._keep + 1))):
                if len(found) >= count or not path.is_file():
                    break
                found = [*_last_lines(path, count - len(found)), *found]
        return found

    def _kept(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _opened(self) -> int:
        if self._file is not None and _is_still(self.path, self._file):
            return self._file
        self._close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if _is_regular(file):
                _lock(file, self.path)
                _drop_torn_line(file, self.path)
                _sync_folder(self.path.parent)
        except OSError:
            os.close(file)
            raise
        self._file = file
        return file

    def _rotated(self, file: int, coming: int) -> int:
        """The file to write to: a new one where `coming` bytes would make this one too long."""
        size = os.fstat(file).st_size
        if not _is_regular(file) or size == 0 or size + coming <= self._max_bytes:
            return file
        for number in range(self._keep, 1, -1):
            if (older := self._kept(number - 1)).exists():
                older.replace(self._kept(number))
        self.path.replace(self._kept(1))
        return self._opened()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def write_all(file: int, data: bytes) -> None:
    """Write all of `data`, unbuffered: what failed is not tried again behind one's back."""
    while data:
        data = data[os.write(file, data) :]


def _write(file: int, data: bytes) -> None:
    """Write and sync; what was written of a part is taken back, so that lines stay whole."""
    regular = _is_regular(file)
    before = os.fstat(file).st_size
    try:
        write_all(file, data)
        if regular:
            os.fsync(file)
    except OSError:
        if regular:
            os.ftruncate(file, before)
        raise


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another process writes this log", str(path)) from None


def _drop_torn_line(file: int, path: Path) -> None:
    """Cut off a line that a crash left unfinished; it was not answered, so it comes again."""
    size = os.fstat(file).st_size
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        torn = os.pread(file, 200, end).decode(errors="replace")
        log.warning("torn_line_dropped", path=str(path), bytes=size - end, text=torn)
        os.ftruncate(file, end)


def _last_lines(path: Path, count: int) -> list[bytes]:
    """The last lines of a file, read from its end; an unfinished one is left out."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        data = b""
        while start > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK, start)
            start -= step
            file.seek(start)
            data = file.read(step) + data
    *lines, _ = data.split(b"\n")
    if start > 0:
        del lines[0]
    return lines[-count:]


def _is_regular(file: int) -> bool:
    """Whether it can be synced, locked, cut and rotated; a pipe or a device cannot."""
    return stat.S_ISREG(os.fstat(file).st_mode)


def _is_still(path: Path, file: int) -> bool:
    """Whether the path still leads to the open file, and not to one that somebody put there."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    """Without this a new file's name may be lost in a power cut, and the file with it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
