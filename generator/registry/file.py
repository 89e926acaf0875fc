"""models.yaml as a file that is edited: locked, checked, and replaced as a whole or not at all."""

from __future__ import annotations

import difflib
import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contract.document import read_document
from contract.problems import Problem, ProblemsError
from contract.read import read_spec
from contract.spec import Spec
from generator.registry.tree import Edit, Node, apply, parse_tree

__all__ = ["Change", "Key", "ModelsFile", "RegistryError", "changed", "opened"]

Key = tuple[str, str]
"""A model's name and version."""


class RegistryError(Exception):
    """What cannot be done, and what can instead."""


@dataclass(slots=True)
class ModelsFile:
    """What models.yaml says now. `text` has its line breaks and byte order mark."""

    path: Path
    text: str
    spec: Spec

    def versions(self) -> Node:
        """The list of all versions, and where everything of it stands."""
        found = parse_tree(self.text).get("models")
        if found is None:
            raise RegistryError(f"{self.path}: models comes from an anchor: write it out first")
        return found

    def items(self) -> dict[Key, Node]:
        """Each version by itself."""
        data, _ = read_document(self.path, text=self.text.removeprefix("\ufeff"))
        keys = [(str(one["name"]), str(one["version"])) for one in data["models"]]
        return dict(zip(keys, self.versions().items, strict=True))

    def line(self, node: Node) -> int:
        """The line that something stands on, from 1."""
        return self.text.count("\n", 0, node.start) + 1

    @property
    def root(self) -> Path:
        """The folder that paths in the file start at."""
        return self.path.parent


@dataclass(frozen=True, slots=True)
class Change:
    """What models.yaml would say."""

    file: ModelsFile
    text: str
    spec: Spec

    @property
    def diff(self) -> str:
        """A unified diff from what it says now; empty where nothing changes."""
        name = str(self.file.path)
        lines = difflib.unified_diff(
            self.file.text.splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            f"a/{name.lstrip('/')}",
            f"b/{name.lstrip('/')}",
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> None:
        """Let it take the place of the file: a reader sees the old one or the new one."""
        if self.text != self.file.text:
            _replace(self.file.path.resolve(), self.text.encode())


@contextmanager
def opened(path: Path) -> Iterator[ModelsFile]:
    """The file, which nobody else edits with these commands until the block ends.

    Raises ProblemsError where it is wrong already.
    """
    with _locked(path):
        try:
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            read_document(path)  # says what is wrong with it
            raise
        yield ModelsFile(path, text, read_spec(path, text=text.removeprefix("\ufeff")))


def changed(file: ModelsFile, edits: Sequence[Edit], *, touches: Collection[Key]) -> Change:
    """The file with these edits, read as everything reads it.

    Raises ProblemsError where it would be wrong, and RegistryError where it would say anything else
    of what is not among `touches`, (name, version): behind an alias, one thing stands for several.
    """
    text = apply(file.text, edits)
    before, after = (_data(file.path, one) for one in (file.text, text))
    for key in before.keys() | after.keys():
        if key not in touches and before.get(key) != after.get(key):
            what = " ".join(key) if isinstance(key, tuple) else key
            raise RegistryError(
                f"{file.path}: this would change {what} as well, since they share an anchor (&…): "
                "give each its own text first"
            )
    try:
        spec = read_spec(file.path, text=text.removeprefix("\ufeff"))
    except ProblemsError as error:
        raise ProblemsError([_would_be(problem) for problem in error.problems]) from None
    return Change(file, text, spec)


def _would_be(problem: Problem) -> Problem:
    return replace(problem, message=f"would be wrong: {problem.message}")


def _data(path: Path, text: str) -> dict[Any, Any]:
    """What the file says, with each version of a model by itself."""
    data, _ = read_document(path, text=text.removeprefix("\ufeff"))
    models = data.pop("models")
    rest: dict[Any, Any] = data
    return rest | {(str(one["name"]), str(one["version"])): one for one in models}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other edits waiting. The folder is locked, since the file itself will be another one."""
    try:
        descriptor = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError:
        read_document(path)  # says that it can't be read
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file, with its permissions and owner, then rename over it."""
    staged = path.with_name(f".{path.name}.new")
    before = path.stat()
    try:
        with staged.open("wb") as file:
            os.fchmod(file.fileno(), before.st_mode & 0o7777)
            # Who may write into a folder need not be allowed to give files away.
            with suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
