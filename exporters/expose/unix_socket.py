"""A Unix socket to answer on: whose it is, what is left of an earlier process, and its end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["listening_at"]


@contextmanager
def listening_at(path: Path) -> Iterator[socket.socket]:
    """A socket that the user and the group of this process may connect to, removed at the end.

    One that a dead process left behind is replaced. Raises OSError, or ValueError where another
    process answers or where something else is at `path`.
    """
    _make_way(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        own = path.stat().st_ino
        try:
            path.chmod(0o660)  # before it listens: nobody connects under the rights of the umask
            listener.listen(2048)
            yield listener
        finally:
            with suppress(OSError):
                if path.stat().st_ino == own:  # else it is another's by now
                    path.unlink()


def _make_way(path: Path) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_socket():
        raise ValueError("something is there that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ValueError("another process answers there")
