"""The loop that reads NVML in tiers; a scrape only shows what the loop last rendered.

One thread makes all readings: every `fast` seconds those that cost little of all GPUs, and in the
time between, GPU by GPU, those that cost more. A second one waits for XID events (xid.py), a
third asks sidecars for pids (sidecars.py), a fourth notices when the first hangs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from contract import catalog, logs
from contract.catalog import Metric
from exporters.expose import Family, Own, series
from exporters.gpu import page
from exporters.gpu.fleet import Fleet, NoDevicesError
from exporters.gpu.gpu import METRICS
from exporters.gpu.nvml import ABSENT, Driver, NvmlError
from exporters.gpu.owners import Owners
from exporters.gpu.page import Part, Status
from exporters.gpu.signals import Tier
from exporters.gpu.xid import Xids

__all__ = ["REASONS", "Intervals", "Reader"]

log = logs.logger()

STALE: Final = 5.0
"""Seconds (or five intervals, if that is longer) after which a reading counts as none: a driver
that hangs must not look like one whose GPUs stand still."""

ERRORS: Final = ("no_permission", "gpu_is_lost", "timeout", "unknown", "other")
"""The errors that are counted by name; all others count as the last."""

REASONS: Final = ("nvml", "no_devices")
"""Why a collection failed, besides bugs."""

MISMATCH: Final = "lib_rm_version_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often things happen, in seconds."""

    fast: float = 1.0
    slow: float = 10.0
    retry: float = 10.0
    """Until NVML is tried again after it failed."""
    hang: float = 300.0
    """Until a process whose driver hangs ends itself; 0: never."""

    @property
    def patience(self) -> float:
        """How old readings may be."""
        return max(STALE, 5 * self.fast)


class Reader:
    """Reads NVML until it is stopped. `give_up` is called where only a new process can help."""

    def __init__(
        self,
        own: Own,
        *,
        intervals: Intervals,
        owners: Owners,
        expected: int | None = None,
        give_up: Callable[[str], None],
    ) -> None:
        self._own = own
        self._intervals = intervals
        self._owners = owners
        self._expected = expected
        self._give_up = give_up
        self._driver = Driver()
        self._xids = Xids()
        self._fleet = Fleet(
            self._driver,
            self._xids,
            owners,
            longest=3 * intervals.fast,
            every=intervals.slow,
        )
        self._lock = threading.Lock()
        self._parts: dict[str, Part] = {}
        self._hung: Part = ()
        self._status: Status | None = None
        self._read_at: dict[Tier, float] = {}
        self._errors = {
            (metric, error): 0 for metric in (catalog.GPU_INFO, *METRICS) for error in ERRORS
        }
        self._errors_changed = True
        self._error_text: Part = ()
        self._tried = self._worked = False
        self._told: str | None = None
        self._busy: float | None = None
        self._due = dict.fromkeys(Tier, 0.0)
        self._queue: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="nvml", daemon=True),
            threading.Thread(target=self._watch, name="watch", daemon=True),
        ]

    def start(self) -> None:
        """Read in the background from now on."""
        self._owners.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; a call that hangs is left behind."""
        self._stop.set()
        self._owners.stop()
        self._threads[0].join(2.5)

    def ready(self) -> str:
        """Why there is nothing to show yet, or an empty text."""
        return "" if self._tried else "NVML has not been read yet"

    # What a scrape shows

    def families(self) -> Iterator[Family]:
        """What a scrape shows. Never calls NVML."""
        with self._lock:
            parts, hung, read_at = list(self._parts.values()), self._hung, dict(self._read_at)
        if self.hangs_for:
            parts = [hung]
        return page.in_order([*parts, *self._live(read_at)])

    @property
    def hangs_for(self) -> float:
        """Seconds that the loop has waited for NVML, if that is longer than a reading takes."""
        busy = self._busy
        waited = 0.0 if busy is None else time.monotonic() - busy
        return waited if waited > self._intervals.patience else 0.0

    def _live(self, read_at: dict[Tier, float]) -> Iterator[Part]:
        """What is counted rather than read."""
        now = time.monotonic()
        ages = [(_AGES[tier], now - moment) for tier, moment in read_at.items()]
        yield (Family(catalog.GPU_READING_AGE, ages),)
        yield self._error_part()
        yield page.xid_families(self._xids, self._fleet.gpus)
        yield page.call_families(self._driver.costs)
        lines = [
            (
                series(
                    catalog.GPU_PROCESS_SOURCE_ERRORS,
                    model_name=name,
                    model_version=version,
                    source=source,
                ),
                failed,
            )
            for (name, version, source), failed in self._owners.errors.items()
        ]
        yield (Family(catalog.GPU_PROCESS_SOURCE_ERRORS, lines),)

    def _error_part(self) -> Part:
        with self._lock:
            changed, self._errors_changed = self._errors_changed, False
            errors = dict(self._errors) if changed else {}
        if changed:
            self._error_text = page.error_families(errors)
        return self._error_text

    def _count(self, metric: Metric, error: str) -> None:
        with self._lock:
            self._errors[metric, error if error in ERRORS else ERRORS[-1]] += 1
            self._errors_changed = True

    # The loop

    def _run(self) -> None:
        while not self._stop.is_set():
            self._busy = now = time.monotonic()
            if now >= self._due[Tier.FAST]:
                answered = self._try_fast()
                pause = self._intervals.fast if answered else self._intervals.retry
                # Not to make up for readings that took too long.
                self._due[Tier.FAST] = max(now + pause, time.monotonic() + pause / 10)
                self._tried = True
            elif self._driver.versions and (self._queue or now >= self._due[Tier.SLOW]):
                self._try_slow()
            else:
                self._busy = None
                slow = self._due[Tier.SLOW] if self._driver.versions else now + 60
                self._stop.wait(max(0.0, min(self._due[Tier.FAST], slow) - time.monotonic()))
        self._busy = None
        self._close()

    def _try_fast(self) -> bool:
        """One fast reading; whether NVML answered."""
        try:
            with self._own.collecting():
                self._read_fast()
        except NvmlError:
            self._own.error("nvml")
            return False
        except NoDevicesError:
            self._own.error("no_devices")
            return True
        except Exception:  # the thread must outlive a bug; `collect` counts it
            log.exception("reading_failed")
            return False
        return self._driver.versions is not None

    def _read_fast(self) -> None:
        """Read all GPUs. Raises NvmlError where a driver is there and fails."""
        try:
            if not self._driver.versions:
                self._driver.open()
                self._due[Tier.SLOW], self._queue = 0.0, []
            devices = self._fleet.read_fast(self._count)
        except NvmlError as error:
            self._close()
            self._publish_status(None)
            self._fail(error)
            return
        self._worked = True
        self._keep("fast", page.tier_families(Tier.FAST, self._fleet.gpus), Tier.FAST)
        self._publish_status(devices)
        self._tell(None, devices)
        if devices == 0 and self._expected != 0:
            raise NoDevicesError("NVML works and shows no GPU")

    def _fail(self, error: NvmlError) -> None:
        self._tell(error)
        if error.name == MISMATCH and self._worked:
            # The library that is mapped into this process is that of the driver before.
            self._give_up("the driver was replaced by one of another version")
        # A machine without a driver is no failure; one whose driver went away is.
        if self._worked or self._expected or error.name not in ABSENT:
            raise error

    def _try_slow(self) -> None:
        """Read the slow tier of the next GPU; after the last one, show what was read."""
        if not self._queue:
            self._due[Tier.SLOW] = time.monotonic() + self._intervals.slow
            self._queue = [gpu.uuid for gpu in self._fleet.gpus if gpu.up]
        try:
            if self._queue:
                self._fleet.read_slow(self._queue.pop(0), self._count)
            if not self._queue:
                self._publish_slow(Tier.SLOW)
        except NvmlError:
            # The driver is gone; the fast reading finds that out and closes it.
            self._due[Tier.FAST], self._queue = 0.0, []
        except Exception:
            self._own.error("collect")
            log.exception("reading_failed")
            self._queue = []

    def _close(self) -> None:
        self._fleet.close()
        self._driver.close()

    def _keep(self, name: str, part: Part, tier: Tier | None = None) -> None:
        with self._lock:
            self._parts[name] = part
            if tier is not None:
                self._read_at[tier] = time.monotonic()

    def _publish_status(self, devices: int | None) -> None:
        """Show what there is, where that is not what was there at the last reading."""
        gpus = self._fleet.gpus
        status = Status(self._driver.versions, devices, self._fleet.nameless)
        changed = self._fleet.changed()
        if status == self._status and not changed:
            return
        self._status = status
        part = page.status_families(status, gpus, expected=self._expected)
        hung = page.status_families(status, gpus, expected=self._expected, hangs=True)
        with self._lock:
            self._hung = hung
            if devices is None:
                self._parts.clear()
            self._parts["status"] = part
        if devices is not None:
            # What a lost GPU gave must not stay until the next slow reading.
            self._publish_slow()

    def _publish_slow(self, tier: Tier | None = None) -> None:
        gpus = self._fleet.gpus
        support = page.support_families(gpus, self._fleet.announcing)
        self._keep("slow", page.tier_families(Tier.SLOW, gpus) + support, tier)

    def _watch(self) -> None:
        """End the process where the driver hangs: only its supervisor can try again then."""
        if not self._intervals.hang:
            return
        while not self._stop.wait(self._intervals.hang / 10):
            if self.hangs_for > self._intervals.hang:
                self._give_up(f"the driver has not answered for {self._intervals.hang:g}s")
                return

    def _tell(self, error: NvmlError | None, devices: int = 0) -> None:
        """Log whether NVML answers, at the start and when that changes."""
        state = error.name if error else ""
        if state == self._told:
            return
        self._told = state
        if error is None and self._driver.versions is not None:
            log.info("nvml_answers", driver=self._driver.versions.driver, gpus=devices)
        elif error is not None:
            log.warning(
                "nvml_unavailable",
                reason=str(error),
                error=error.name,
                retry_seconds=self._intervals.retry,
            )


_AGES: Final = {tier: series(catalog.GPU_READING_AGE, tier=tier.value) for tier in Tier}
