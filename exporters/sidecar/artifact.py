"""Whether the files that models are loaded from are those that models.yaml declares."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
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

_Version = tuple[int, int, int]
"""Of a file: its inode, its size, and when it was changed (ns)."""


@dataclass(slots=True)
class _Seen:
    version: _Version
    sha256: str


class Artifacts:
    """The artifacts of all models that declare one."""

    def __init__(self, spec: Spec, models: Sequence[Model]) -> None:
        self._seen: dict[Path, _Seen | None] = {}
        self.follow(spec, models)

    def follow(self, spec: Spec, models: Sequence[Model]) -> None:
        """Take over what models.yaml says now; what is unchanged is not read again."""
        self._declared = [
            (model.key, spec.path(model.artifact.path), model.artifact.sha256)
            for model in models
            if model.artifact is not None
        ]

    async def watch(self) -> None:
        """Look at the files again and again; in a thread, since they may be large."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """Read the files that changed."""
        for path in dict.fromkeys(path for _, path, _ in self._declared):
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
        """What was found last; a file that was not looked at yet is absent."""
        metric = catalog.MODEL_ARTIFACT_MATCHES
        yield Family(
            metric,
            [
                (
                    series(metric, model_name=name, model_version=version),
                    int((seen := self._seen[path]) is not None and seen.sha256 == declared),
                )
                for (name, version), path, declared in self._declared
                if path in self._seen
            ],
        )


def _version(path: Path) -> _Version:
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
