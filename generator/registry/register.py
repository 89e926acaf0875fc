"""A new version in models.yaml: what is told of it, its file's hash, its reference profile."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from contract.problems import Problem, ProblemsError
from contract.profile import Profile, ProfileError, write_profile
from contract.reference import Columns, build_reference
from contract.spec import Model
from contract.table import TableError
from contract.version import version_key
from generator.registry.entry import add_entry, quoted, written
from generator.registry.file import Change, Key, ModelsFile, RegistryError, changed
from generator.registry.tree import Edit, Node, remove, set_value

__all__ = [
    "Outcome",
    "Version",
    "artifact_of",
    "entry_edit",
    "find",
    "newest",
    "register",
    "sha256_of",
    "shown_path",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What is told of a new version; the values are as they are to stand in the file."""

    name: str
    version: str
    state: str = "registered"
    task: str | None = None
    framework: str | None = None
    team: str | None = None
    trained_at: str | None = None
    deployed_at: str | None = None
    artifact: Mapping[str, str] | None = None
    metrics: Mapping[str, str] | None = None
    """Measured values by name, as text."""
    source: str | None = None
    profile: str | None = None
    serving_version: str | None = None

    @property
    def key(self) -> Key:
        """What tells versions apart."""
        return (self.name, self.version)

    def fields(self) -> dict[str, str | None]:
        """The keys that are its own in any case, and those that it changes."""
        training = {
            **({"metrics": self.metrics} if self.metrics else {}),
            **({"source": self.source} if self.source else {}),
        }
        own: dict[str, str | None] = {
            "name": written(self.name),
            "version": quoted(self.version),
            "state": self.state,
            "deployed_at": self.deployed_at,
            "trained_at": self.trained_at,
            "artifact": written(self.artifact) if self.artifact else None,
            "training": written(training) if training else None,
        }
        changed = {
            "team": self.team,
            "task": self.task,
            "framework": self.framework,
            "profile": self.profile,
        }
        return own | {key: written(value) for key, value in changed.items() if value}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did or would do, and what is worth knowing of it."""

    change: Change
    said: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """Training data of a new version, and what their columns are."""

    path: Path
    columns: Columns
    bins: int = 10


def find(file: ModelsFile, name: str, version: str) -> Model:
    """A version that is there. Raises RegistryError that suggests near ones."""
    models = [model for model in file.spec.versions if model.name == name]
    if not models:
        names = list(dict.fromkeys(model.name for model in file.spec.versions))
        raise RegistryError(f"{file.path}: no model is called {name}; {_near(name, names)}")
    for model in models:
        if model.version == version:
            return model
    known = [model.version for model in sorted(models, key=lambda m: version_key(m.version))]
    raise RegistryError(f"{file.path}: {name} has no version {version}; {_near(version, known)}")


def _near(text: str, known: Sequence[str]) -> str:
    bare = {one.lower().removeprefix("v"): one for one in known}
    near = difflib.get_close_matches(text.lower().removeprefix("v"), bare, n=1)
    if near:
        return f"did you mean {bare[near[0]]}?"
    shown = ", ".join(known[-SHOWN:])
    return f"there is {shown}" if len(known) == 1 else f"there are {shown}"


SHOWN: Final = 10
"""Names or versions in a message."""


def newest(models: Collection[Model]) -> Model:
    """The newest of some versions, by their order."""
    return max(models, key=lambda model: version_key(model.version))


def artifact_of(file: ModelsFile, path: Path, told: str | None = None) -> dict[str, str]:
    """The artifact of a file here: its path as models.yaml has it (or as it is told), its hash."""
    return {"path": told or shown_path(file, path), "sha256": sha256_of(path)}


def shown_path(file: ModelsFile, path: Path) -> str:
    """A path as models.yaml has it: from its folder on, where it lies below that."""
    root = file.root.resolve()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  # a symlink stays what it is
    inside = absolute.is_relative_to(root)
    return absolute.relative_to(root).as_posix() if inside else absolute.as_posix()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file. Raises RegistryError where it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except IsADirectoryError:
        raise RegistryError(f"{path}: is a folder: name the file that is loaded") from None
    except OSError as error:
        raise RegistryError(f"{path}: cannot be read: {error.strerror}") from None


@contextmanager
def register(
    file: ModelsFile,
    new: Version,
    *,
    like: str | None = None,
    data: Data | None = None,
    dry: bool = False,
) -> Iterator[Outcome]:
    """Add a version; its settings are those of `like`, or of the newest one of that model.

    A profile that is built from `data` is there within the block, and stays where the block ends
    well, unless it is `dry`. Raises RegistryError and ProblemsError.
    """
    _refuse_known(file, new)
    base = _base(file, new.name, like)
    if base is None and new.task is None:
        raise RegistryError(
            f"{file.path}: {new.name} is new, so nothing says what it predicts: add --task"
        )
    notes = []
    if data is None:
        change = _add(file, new, base)
        if base and base.profile and not new.profile:
            notes.append(
                f"profile is still that of {base.version}: {base.profile} (or give --data)"
            )
        yield Outcome(change, *_said(file, new, base, notes))
        return
    profile = _build(new, base, data)
    path = _profile_path(file, new, base)
    notes.append(f"profile {path}: {len(profile.features)} features, {profile.rows} rows")
    with _standing(file.root / path, profile, dry=dry):
        change = _add(file, replace(new, profile=path), base)
        yield Outcome(change, *_said(file, new, base, notes))


def _said(
    file: ModelsFile, new: Version, base: Model | None, notes: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    like = f", like {base.version}" if base else ""
    return f"registered {new.name} {new.version} in {file.path}{like}", tuple(notes)


def _refuse_known(file: ModelsFile, new: Version) -> None:
    node = file.items().get(new.key)
    if node is not None:
        raise RegistryError(
            f"{file.path}:{file.line(node)}: {new.name} {new.version} is registered already: give "
            "it another version, or edit it there"
        )


def _base(file: ModelsFile, name: str, like: str | None) -> Model | None:
    if like is not None:
        return find(file, name, like)
    models = [model for model in file.spec.versions if model.name == name]
    return newest(models) if models else None


def _add(file: ModelsFile, new: Version, base: Model | None) -> Change:
    edit = entry_edit(file, new, base.key if base else None)
    try:
        return changed(file, [edit], touches=[new.key])
    except ProblemsError as error:
        raise ProblemsError([_with_option(problem) for problem in error.problems]) from None


_OPTIONS: Final = {"training.metrics": "--metric NAME=VALUE", "trained_at": "--trained-at TIME"}


def _with_option(problem: Problem) -> Problem:
    """The problem with the option that would have told what is missing."""
    for what, option in _OPTIONS.items():
        if what in f"{problem.path} {problem.message}":
            return replace(problem, suggestion=f"{problem.suggestion} ({option})")
    return problem


def entry_edit(file: ModelsFile, new: Version, base: Key | None) -> Edit:
    """The edit that adds a version, like another one, to a file that need not be read again."""
    items = file.items()
    of_name = [node for (name, _), node in items.items() if name == new.name]
    return add_entry(
        file.text,
        file.versions(),
        new.fields(),
        behind=of_name[-1] if of_name else None,
        like=items[base] if base else None,
        more=_served_as(file.text, items[base], base, new) if base else (),
    )


def _served_as(text: str, like: Node, base: Key, new: Version) -> list[Edit]:
    """What the server calls the new version, where models.yaml says what it calls the old one."""
    serving = like.get("serving")
    told = new.serving_version
    if serving is None or serving.kind != "mapping":
        if told:
            raise RegistryError(f"{' '.join(base)} has no serving: of its own")
        return []
    former = serving.get("version")
    if told is None and former is not None and former.value == base[1]:
        told = new.version
    if told is not None:
        return set_value(text, serving, "version", quoted(told))
    return remove(text, serving, "version") if len(serving.pairs) > 1 else []


def _build(new: Version, base: Model | None, data: Data) -> Profile:
    try:
        return build_reference(
            data.path,
            name=new.name,
            version=new.version,
            task=new.task or (base.task if base else None),
            columns=data.columns,
            bins=data.bins,
        )
    except (ProfileError, TableError) as error:
        raise RegistryError(str(error)) from None


def _profile_path(file: ModelsFile, new: Version, base: Model | None) -> str:
    """Where the profile of a version goes: beside that of the one before."""
    folder = Path(base.profile).parent if base and base.profile else Path("profiles")
    bare = re.sub(r"[^A-Za-z0-9._-]+", "-", new.version)
    path = (folder / f"{new.name}-{bare}.json").as_posix()
    if any(model.profile == path for model in file.spec.versions):
        raise RegistryError(f"{path} is the profile of another version: name yours with --profile")
    return new.profile or path


@contextmanager
def _standing(path: Path, profile: Profile, *, dry: bool) -> Iterator[None]:
    """The profile at its place; what was there comes back where the block fails or is dry."""
    try:
        before = path.read_bytes() if path.exists() else None
        write_profile(profile, path)
    except OSError as error:
        raise RegistryError(f"{path}: cannot be written: {error.strerror}") from None
    keep = False
    try:
        yield
        keep = not dry
    finally:
        if not keep:
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)
