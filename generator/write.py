"""The only place that writes: rendered files are staged beside their target, then take its place.

Folders named `generated` belong to the generator. Each is replaced as a whole by one rename, so
that a crash leaves the old one or the new one, and what is no longer rendered goes. Other files are
replaced one by one. What is the same stays untouched.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

__all__ = ["Change", "compare", "replace", "stage"]

_STAGE: Final = ".generator-stage"
_OLD: Final = ".generator-old"
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """What rendering does to one path below the output folder."""

    path: str
    how: Literal["added", "changed", "removed"]


def compare(out: Path, files: Mapping[str, str]) -> list[Change]:
    """What `replace` would change, by path."""
    changes = []
    for path, text in files.items():
        target = out / path
        if not target.is_file():
            changes.append(Change(path, "added"))
        elif target.read_bytes() != text.encode():
            changes.append(Change(path, "changed"))
    for folder in _folders(files):
        present = (p.relative_to(out).as_posix() for p in (out / folder).rglob("*") if p.is_file())
        changes += [Change(path, "removed") for path in present if path not in files]
    return sorted(changes)


@contextmanager
def stage(out: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """A folder inside `out` with all of `files`, for as long as the context lasts.

    Two renders into one folder wait for each other; what a killed one left is cleared away.
    """
    out.mkdir(parents=True, exist_ok=True)
    staged = out / _STAGE
    with _locked(out):
        try:
            _clear(out)
            for path, text in files.items():
                target = staged / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text.encode())
            yield staged
        finally:
            _clear(out)


def replace(out: Path, staged: Path, files: Mapping[str, str]) -> list[Change]:
    """Let the staged files take the place of those in `out`; says what changed."""
    changes = compare(out, files)
    folders = _folders(files)
    for folder in folders:
        if any(PurePosixPath(change.path).is_relative_to(folder) for change in changes):
            _replace_folder(staged / folder, out / folder, out / _OLD)
    for change in changes:
        if not any(PurePosixPath(change.path).is_relative_to(folder) for folder in folders):
            target = out / change.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (staged / change.path).replace(target)
    return changes


def _folders(files: Mapping[str, str]) -> list[PurePosixPath]:
    """The folders called `generated` that the files lie in."""
    parents = (parent for path in files for parent in PurePosixPath(path).parents)
    return sorted({parent for parent in parents if parent.name == "generated"})


def _replace_folder(new: Path, target: Path, old: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        # No exchange on this system: for a moment there is neither, and after a crash in it the
        # next render writes the new one.
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if renameat2(*paths, ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _clear(out: Path) -> None:
    for name in (_STAGE, _OLD):
        if (out / name).exists():
            shutil.rmtree(out / name)
