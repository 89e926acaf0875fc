"""What every exporter tells of itself: which build it is, its last collection, its errors."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from contract import catalog
from exporters.expose.text import Family, series

__all__ = ["Own", "own_version"]


_MEMORY: Final = catalog.EXPORTER_MEMORY
_CPU: Final = catalog.EXPORTER_CPU


class Own:
    """What every exporter tells of itself: which build it is, its last collection, its errors."""

    def __init__(self, exporter: str, *, reasons: Sequence[str] = ()) -> None:
        """`reasons` are the error reasons that exist at 0 from the start; `collect` always does."""
        self.exporter = exporter
        self._info = series(
            catalog.EXPORTER_BUILD_INFO,
            exporter=exporter,
            version=own_version(),
            python_version=platform.python_version(),
        )
        self._last: tuple[bool, float, float] | None = None
        self.spec_ok: bool | None = None
        """Whether the newest models.yaml is in force; None where an exporter follows none."""
        self.restart_needed: bool | None = None
        """Whether models.yaml has something that only a restart takes over; None where all of it is
        followed."""
        self._errors = dict.fromkeys(("collect", *reasons), 0)

    def error(self, reason: str) -> None:
        """Count an error. Raises KeyError for a reason that was not declared."""
        self._errors[reason] += 1

    def errors(self, reason: str) -> int:
        """How many errors of a reason were counted."""
        return self._errors[reason]

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Time a collection; one that raises is counted as an error and raises on."""
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self._errors["collect"] += 1
            self._last = (False, time.perf_counter() - started, time.time())
            raise
        self._last = (True, time.perf_counter() - started, time.time())

    def families(self) -> Iterator[Family]:
        """The exporter's own metrics at this moment."""
        name = self.exporter
        yield Family(catalog.EXPORTER_BUILD_INFO, [(self._info, 1)])
        if self._last is not None:
            for metric, value in zip(
                (
                    catalog.EXPORTER_COLLECTION_SUCCESS,
                    catalog.EXPORTER_COLLECTION_DURATION,
                    catalog.EXPORTER_COLLECTION_TIMESTAMP,
                ),
                self._last,
                strict=True,
            ):
                yield Family(metric, [(series(metric, exporter=name), float(value))])
        for metric, state in (
            (catalog.EXPORTER_SPEC_OK, self.spec_ok),
            (catalog.EXPORTER_RESTART_NEEDED, self.restart_needed),
        ):
            if state is not None:
                yield Family(metric, [(series(metric, exporter=name), int(state))])
        for metric, number in ((_MEMORY, read_memory()), (_CPU, time.process_time())):
            if number is not None:
                yield Family(metric, [(series(metric, exporter=name), number)])
        yield Family(
            catalog.EXPORTER_ERRORS,
            [
                (series(catalog.EXPORTER_ERRORS, exporter=name, reason=reason), count)
                for reason, count in self._errors.items()
            ],
        )


def read_memory() -> int | None:
    """Bytes of this process in memory; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def own_version() -> str:
    """The version of this distribution, or `unknown` where it runs without being installed."""
    try:
        return version("ml-observability")
    except PackageNotFoundError:
        return "unknown"
