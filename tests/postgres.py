"""A PostgreSQL of its own for tests: a private cluster on a free loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import eventually, free_port

__all__ = ["Cluster", "cluster"]

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Cluster:
    """A running server; its one user is `tester`, with a password or without."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self.url = f"postgresql://tester@127.0.0.1:{port}/postgres"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server in a temporary folder; as another user where we are root, as it insists on."""
    user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        data = folder / "data"
        if user is not None:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        port = free_port()
        _run(
            user, _program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"
        )
        log = (folder / "log").open("wb")
        server = subprocess.Popen(
            [
                *(str(_program("postgres")), "-D", str(data), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"),
                *("-c", "fsync=off", "-c", "autovacuum_naptime=1s"),
            ],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        log.close()
        try:
            ready = [str(_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
            eventually(
                lambda: subprocess.run(ready, check=False).returncode == 0,
                says=(folder / "log").read_text,
            )
            yield Cluster(port, folder)
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(5)


def _program(name: str) -> Path:
    for folder in _DEBIAN:  # Debian keeps servers of several versions off the PATH
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    assert found, f"{name} is not installed: scripts/system_packages.sh postgresql"
    return Path(found)


def _unprivileged() -> str | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise AssertionError("PostgreSQL does not run as root, and there is no user nobody")


def _run(user: str | None, *command: object) -> None:
    subprocess.run(
        [str(part) for part in command], user=user, check=True, capture_output=True, cwd="/"
    )
