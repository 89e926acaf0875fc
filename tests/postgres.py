"""A PostgreSQL of its own for tests: a private cluster on a free loopback port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import eventually, free_port

__all__ = ["Cluster", "cluster"]

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Cluster:
    """A server that can be stopped and started; its one user is `tester`, with any password."""

    def __init__(self, port: int, folder: Path, user: str | None) -> None:
        self.port = port
        self.folder = folder
        self.url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        self._user = user
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(str(_program("postgres")), "-D", str(self.folder / "data")),
                    *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1"),
                    *("-c", f"unix_socket_directories={self.folder}"),
                    *("-c", "fsync=off", "-c", "autovacuum_naptime=1s"),
                ],
                user=self._user,
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        ready = [str(_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        eventually(
            lambda: subprocess.run(ready, check=False).returncode == 0,
            says=(self.folder / "log").read_text,
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends connections, SIGTERM waits for them."""
        if self._server is None:
            return
        self._server.send_signal(how)
        try:
            self._server.wait(15)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(5)
        self._server = None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a server in a temporary folder; as another user where we are root, as it insists on."""
    user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        data = folder / "data"
        _run(
            user, _program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"
        )
        made = Cluster(free_port(), folder, user)
        try:
            made.start()
            yield made
        finally:
            made.stop()


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
