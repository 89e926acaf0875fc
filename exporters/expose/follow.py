"""Following models.yaml while a process runs: a good new one is taken over, a broken one is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

from contract import logs
from contract.problems import ProblemsError
from contract.profile import ProfileError
from exporters.expose.own import Own

__all__ = ["LOOK", "Follower"]

log = logs.logger()

LOOK: Final = 1.0
"""Seconds between two looks at models.yaml."""

READ_AGAIN: Final = 10.0
"""Seconds until a models.yaml that was refused is read again, changed or not."""

T = TypeVar("T")


class Follower(Generic[T]):
    """Reads models.yaml again when it, or a file that it names, was written to, or on request.

    `read` reads all of it (ProblemsError and ProfileError say what is wrong); `files` are those
    whose change matters. A refused one counts as an error of the reason `spec`, once, and makes
    `own.spec_ok` false until one is good.
    """

    def __init__(
        self,
        read: Callable[[], T],
        files: Callable[[T], Iterable[Path]],
        *,
        own: Own,
        errors: tuple[type[Exception], ...] = (ProblemsError, ProfileError),
    ) -> None:
        """Read models.yaml for the first time; `newest` is what it says. Raises as `read` does."""
        self._read = read
        self._files = files
        self._own = own
        self._errors = errors
        self._requested = threading.Event()
        self._refused = ""
        self._read_again = 0.0
        self.newest = read()
        self._stamps = self._stamp()
        own.spec_ok = True

    def request(self) -> None:
        """Read models.yaml at the next look, changed or not; safe in a signal handler."""
        self._requested.set()

    def look(self) -> bool:
        """Whether `newest` is a new reading: models.yaml, or a file it names, is another now."""
        stamps = self._stamp()
        again = self._refused and time.monotonic() >= self._read_again
        if stamps == self._stamps and not self._requested.is_set() and not again:
            return False
        self._requested.clear()
        self._stamps = stamps
        try:
            newest = self._read()
        except self._errors as error:
            self._refuse(str(error))
            return False
        self._refused = ""
        self._own.spec_ok = True
        self.newest = newest
        self._stamps = self._stamp()
        return True

    def _stamp(self) -> list[tuple[str, int, int]]:
        found = []
        for path in self._files(self.newest):
            try:
                status = path.stat()
            except OSError:
                found.append((str(path), 0, 0))
                continue
            found.append((str(path), status.st_mtime_ns, status.st_ino))
        return found

    def _refuse(self, problems: str) -> None:
        # What is wrong may be a file that is about to come, so it is read again after a while.
        self._read_again = time.monotonic() + READ_AGAIN
        self._own.spec_ok = False
        if problems != self._refused:
            self._own.error("spec")
            log.error("models_refused", problems=problems)
        self._refused = problems
