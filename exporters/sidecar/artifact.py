"""Whether models are loaded from what models.yaml declares: by their files, and by their servers.

A hash is compared and shown in /v1/status; it never becomes a label.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract import catalog, logs
from contract.spec import Model, Spec
from exporters.expose import Family, series

__all__ = ["Artifacts"]

log = logs.logger()

EVERY: Final = 30.0
"""Seconds between two looks at the files; one that looks unchanged is not read again."""

Key = tuple[str, str]

_Version = tuple[int, int, int]
"""Of a file: its inode, its size, and when it was changed (ns)."""


@dataclass(slots=True)
class _Seen:
    version: _Version
    sha256: str


@dataclass(frozen=True, slots=True)
class _Declared:
    """What models.yaml says of one model version; no path where only its server knows the file."""

    key: Key
    path: Path | None
    sha256: str


class Artifacts:
    """The artifacts of all models that declare one.

    `reported` gives the hashes of what the processes that serve a model version say they loaded.
    """

    def __init__(
        self,
        spec: Spec,
        models: Sequence[Model],
        reported: Callable[[Key], Sequence[str]] = lambda _: (),
    ) -> None:
        self._seen: dict[Path, _Seen | None] = {}
        self._reported = reported
        self._other: dict[tuple[Key, str], tuple[str, ...]] = {}
        self.follow(spec, models)

    def follow(self, spec: Spec, models: Sequence[Model]) -> None:
        """Take over what models.yaml says now; what is unchanged is not read again."""
        self._declared = [
            _Declared(
                model.key,
                None if model.artifact.path is None else spec.path(model.artifact.path),
                model.artifact.sha256,
            )
            for model in models
            if model.artifact is not None
        ]

    async def watch(self) -> None:
        """Look at the files again and again; in a thread, since they may be large."""
        while True:
            await asyncio.to_thread(self.look)
            self._tell()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Read the files that changed."""
        for path in dict.fromkeys(own.path for own in self._declared if own.path is not None):
            before = self._seen.get(path)
            try:
                version = _version(path)
                if before is None or before.version != version:
                    self._seen[path] = _Seen(version, _sha256(path))
            except OSError as error:
                if before is not None or path not in self._seen:
                    log.error("artifact_unreadable", path=str(path), reason=error.strerror)
                self._seen[path] = None

    def families(self) -> Iterator[Family]:
        """What was found last; what nobody looked at or reported yet is absent."""
        metric = catalog.MODEL_ARTIFACT_MATCHES
        yield Family(
            metric,
            [
                (
                    series(metric, model_name=own.key[0], model_version=own.key[1], source=source),
                    int(set(found) == {own.sha256}),
                )
                for own, source, found in self._found()
            ],
        )

    def _found(self) -> Iterator[tuple[_Declared, str, Sequence[str]]]:
        """What is declared, and the hashes that were found instead, by the file and by servers."""
        for own in self._declared:
            if own.path is not None and own.path in self._seen:
                seen = self._seen[own.path]
                yield own, "file", [] if seen is None else [seen.sha256]
            if reported := self._reported(own.key):
                yield own, "server", reported

    def _tell(self) -> None:
        """Log every artifact that is another one than was declared, once."""
        other = {}
        for own, source, found in self._found():
            if set(found) == {own.sha256}:
                continue
            other[own.key, source] = told = tuple(found)
            if self._other.get((own.key, source)) != told:
                name, version = own.key
                log.error(
                    "artifact_differs",
                    model=name,
                    version=version,
                    source=source,
                    declared=own.sha256,
                    found=list(told),
                )
        self._other = other


def _version(path: Path) -> _Version:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
