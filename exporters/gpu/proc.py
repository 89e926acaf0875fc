"""What /proc says of a process: its parent, start, command line and control group."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Process", "read_lineage", "read_process"]

PROC: Final = Path("/proc")
TICKS: Final = os.sysconf("SC_CLK_TCK")
DEEPEST: Final = 64
"""More parents than any process has; a chain that changes while it is read may not end."""

_CONTAINER: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_POD: Final = re.compile(r"pod([0-9a-f]{8}[-_](?:[0-9a-f]{4}[-_]){3}[0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `started` is Unix time, `command` its arguments with spaces between them."""

    pid: int
    parent: int
    started: float
    command: str
    cgroup: str

    @property
    def containers(self) -> frozenset[str]:
        """The ids of its containers, as Docker, containerd, CRI-O and Podman write them."""
        return frozenset(_CONTAINER.findall(self.cgroup))

    @property
    def pod(self) -> str:
        """The uid of its Kubernetes pod; empty outside of one."""
        found = _POD.search(self.cgroup)
        return found[1].replace("_", "-") if found else ""


def read_process(pid: int) -> Process | None:
    """A process, or None where there is none of that pid (any more)."""
    folder = PROC / str(pid)
    try:
        stat = (folder / "stat").read_text(errors="replace")
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        cgroup = (folder / "cgroup").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the name in brackets, which may hold anything.
    fields = stat.rpartition(")")[2].split()
    return Process(
        pid, int(fields[1]), _boot_time() + int(fields[19]) / TICKS, command.rstrip(), cgroup
    )


def read_lineage(pid: int) -> Iterator[Process]:
    """A process, its parent, and so on; nothing where it has ended."""
    for _ in range(DEEPEST):
        process = read_process(pid) if pid > 0 else None
        if process is None:
            return
        yield process
        pid = process.parent


def _boot_time() -> float:
    for line in (PROC / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0
