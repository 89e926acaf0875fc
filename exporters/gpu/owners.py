"""Which model a process belongs to, by what models.yaml says under a model's `gpu:`.

A process belongs to a model when it, or the nearest of its parents that anybody claims, is the
one that the model names: servers start workers, and those hold the memory. Where several models
claim the same process, as in a server that holds many of them, nobody can say how much is whose:
it belongs to the model `shared`. What nobody claims belongs to `other`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from contract import logs
from contract.spec import Model, Spec
from exporters.gpu.proc import Process, read_lineage, read_process
from exporters.gpu.sidecars import Sidecars

__all__ = ["OTHER", "SHARED", "Owner", "Owners"]

log = logs.logger()

Owner = tuple[str, str]
"""A model's name and version."""

OTHER: Final[Owner] = ("other", "")
SHARED: Final[Owner] = ("shared", "")

SLACK: Final = 2.0
"""Seconds by which a process may be younger than its pid file: clocks of /proc tick coarsely."""


class Owners:
    """The models of a spec that say which processes are theirs."""

    def __init__(self, spec: Spec | None) -> None:
        bound = [m for m in spec.models if m.gpu is not None] if spec is not None else []
        self._spec = spec
        self._models = bound
        self._commands = {
            model.key: re.compile(model.gpu.command)
            for model in bound
            if model.gpu is not None and model.gpu.command
        }
        self._sidecars = Sidecars([m for m in bound if m.gpu is not None and m.gpu.sidecar])
        self._lock = threading.Lock()
        self._errors = {
            (*model.key, model.gpu.source): 0 for model in bound if model.gpu is not None
        }
        self._told: set[tuple[str, str]] = set()

    @property
    def known(self) -> tuple[Owner, ...]:
        """Every owner there can be."""
        shared = (SHARED,) if len(self._models) > 1 else ()
        return (*(model.key for model in self._models), *shared, OTHER)

    @property
    def errors(self) -> Mapping[tuple[str, str, str], int]:
        """How often a model's processes could not be looked up: (name, version, source)."""
        with self._lock:
            errors = dict(self._errors)
        for model, failed in self._sidecars.errors.items():
            errors[*model, "sidecar"] += failed
        return errors

    def start(self) -> None:
        """Ask sidecars in the background from now on."""
        self._sidecars.start()

    def stop(self) -> None:
        """Stop asking."""
        self._sidecars.stop()

    def resolve(self, pids: Iterable[int]) -> dict[int, Owner]:
        """The owner of each process."""
        named = self._named()
        return (
            {pid: self._owner(pid, named) for pid in pids}
            if self._models
            else dict.fromkeys(pids, OTHER)
        )

    def _owner(self, pid: int, named: Mapping[int, set[Owner]]) -> Owner:
        for process in read_lineage(pid):
            claims = named.get(process.pid, set()) | set(self._claims(process))
            if claims:
                return claims.pop() if len(claims) == 1 else SHARED
        return OTHER

    def _named(self) -> dict[int, set[Owner]]:
        """The processes that pid files and sidecars name, each with the models that they are of."""
        named: dict[int, set[Owner]] = {}
        for model in self._models:
            if model.gpu is not None and model.gpu.pid_file:
                pid = self._read_pid_file(model, model.gpu.pid_file)
                if pid is not None:
                    named.setdefault(pid, set()).add(model.key)
        for owner, pids in self._sidecars.pids.items():
            for pid in pids:
                named.setdefault(pid, set()).add(owner)
        return named

    def _claims(self, process: Process) -> Iterator[Owner]:
        """The models that know a process by its command line, container or pod."""
        for model in self._models:
            gpu, command = model.gpu, self._commands.get(model.key)
            if gpu is None:
                continue
            container, pod = gpu.container, gpu.pod
            if (
                (command and command.search(process.command))
                or (container and any(c.startswith(container) for c in process.containers))
                or (pod and pod == process.pod)
            ):
                yield model.key

    def _read_pid_file(self, model: Model, path: str) -> int | None:
        """The process that a pid file names, unless it ended and another got its number."""
        assert self._spec is not None
        file = self._spec.path(path)
        try:
            pid, written = int(file.read_text()), file.stat().st_mtime
        except (OSError, ValueError) as error:
            self._fail(model, file, str(error))
            return None
        process = read_process(pid)
        if process is not None and process.started > written + SLACK:
            self._fail(model, file, f"process {pid} is younger than the file")
            return None
        self._told.discard(model.key)
        return pid

    def _fail(self, model: Model, file: Path, reason: str) -> None:
        with self._lock:
            self._errors[*model.key, "pid_file"] += 1
        if model.key not in self._told:
            self._told.add(model.key)
            log.warning("pid_file_unusable", model=model.name, file=str(file), reason=reason)
