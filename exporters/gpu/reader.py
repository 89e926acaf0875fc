"""The loop that reads NVML into a snapshot; a scrape only shows the last one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from contract import catalog, logs
from contract.catalog import Metric
from exporters.expose import Family, Own, series
from exporters.gpu import nvml
from exporters.gpu.nvml import NvmlError, Reading

__all__ = ["Gpu", "Reader", "Snapshot", "families"]

log = logs.logger()

STALE: Final = 5.0
"""Seconds (or five intervals, if that is longer) after which a snapshot counts as none: a driver
that hangs must not look like one whose GPUs stand still."""

ERRORS: Final = ("not_supported", "no_permission", "gpu_is_lost", "timeout", "unknown", "other")
"""The errors that are counted by name; all others count as the last."""

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: what it is, whether it answered, and what it gave."""

    id: str
    uuid: str
    name: str = UNKNOWN
    up: bool = False
    values: Mapping[Metric, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What NVML gave at one time; `devices` is how many GPUs it shows, None without NVML."""

    nvml_up: bool = False
    driver: str = ""
    devices: int | None = None
    gpus: tuple[Gpu, ...] = ()

    def lost(self) -> Snapshot:
        """The same GPUs, none of which answers."""
        return Snapshot(gpus=tuple(Gpu(gpu.id, gpu.uuid, gpu.name) for gpu in self.gpus))


class Reader:
    """Reads NVML every `interval` seconds; where it fails, again after `retry` seconds."""

    def __init__(self, own: Own, *, interval: float, retry: float) -> None:
        self._own = own
        self._interval = interval
        self._retry = retry
        self._snapshot = Snapshot()
        self._taken: float | None = None
        self._driver = ""
        self._tried = False
        self._worked = False
        self._told: str | None = None
        self._lock = threading.Lock()
        self._errors = {
            (metric, error): 0
            for metric in (catalog.GPU_INFO, *(m for call in nvml.CALLS for m in call.metrics))
            for error in ERRORS
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nvml", daemon=True)

    def start(self) -> None:
        """Read in the background from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a call that hangs is left behind."""
        self._stop.set()
        self._thread.join(1)

    def ready(self) -> str:
        """Why there is nothing to show yet, or an empty text."""
        return "" if self._tried else "NVML has not been read yet"

    def families(self) -> Iterator[Family]:
        """What a scrape shows. Never calls NVML."""
        with self._lock:
            snapshot, taken, errors = self._snapshot, self._taken, dict(self._errors)
        if taken is not None:
            patience = max(STALE, 5 * self._interval)
            hangs = snapshot.nvml_up and time.monotonic() - taken > patience
            yield from families(snapshot.lost() if hangs else snapshot)
        yield Family(
            catalog.GPU_READ_ERRORS,
            [
                (series(catalog.GPU_READ_ERRORS, metric=metric.name, error=error), count)
                for (metric, error), count in errors.items()
            ],
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            pause = self._interval if self._try() else self._retry
            self._tried = True
            self._stop.wait(max(0.01, began + pause - time.monotonic()))
        nvml.close()

    def _try(self) -> bool:
        """One reading; whether NVML answered."""
        try:
            with self._own.collecting():
                self._read()
        except NvmlError:
            return False
        except Exception:  # the thread must outlive a bug; `collect` counts it
            log.exception("reading_failed")
            return False
        return self._snapshot.nvml_up

    def _read(self) -> None:
        """Take a snapshot. Raises NvmlError where a driver is there and fails."""
        try:
            if not self._driver:
                self._driver = nvml.open_driver()
            readings = nvml.read_gpus()
        except NvmlError as error:
            self._driver = ""
            nvml.close()
            self._keep(self._snapshot.lost())
            self._tell(error)
            # A machine without a driver is no failure; one whose driver went away is.
            if self._worked or error.name not in nvml.ABSENT:
                raise
            return
        self._worked = True
        snapshot = Snapshot(
            nvml_up=True,
            driver=self._driver,
            devices=len(readings),
            gpus=self._known(readings),
        )
        before = {gpu.uuid: gpu.up for gpu in self._snapshot.gpus}
        self._keep(snapshot, readings)
        self._tell(None)
        for gpu in snapshot.gpus:
            if gpu.up and before.get(gpu.uuid) is False:
                log.info("gpu_answers_again", gpu=gpu.id, uuid=gpu.uuid)
            elif not gpu.up and before.get(gpu.uuid, True):
                log.error("gpu_lost", gpu=gpu.id, uuid=gpu.uuid)

    def _known(self, readings: Sequence[Reading]) -> tuple[Gpu, ...]:
        """The GPUs of these readings, and those seen before that are not among them."""
        gpus = {
            reading.uuid: Gpu(
                str(reading.index),
                reading.uuid,
                reading.name,
                not reading.lost,
                reading.values,
            )
            for reading in readings
            if reading.uuid
        }
        for gpu in self._snapshot.gpus:
            if gpu.uuid != UNKNOWN:
                gpus.setdefault(gpu.uuid, Gpu(gpu.id, gpu.uuid, gpu.name))
        named = {gpu.id for gpu in gpus.values()}
        nameless = [
            Gpu(str(reading.index), UNKNOWN)
            for reading in readings
            if not reading.uuid and str(reading.index) not in named
        ]
        return (*sorted(gpus.values(), key=lambda gpu: (int(gpu.id), gpu.uuid)), *nameless)

    def _keep(self, snapshot: Snapshot, readings: Sequence[Reading] = ()) -> None:
        with self._lock:
            self._snapshot, self._taken = snapshot, time.monotonic()
            for reading in readings:
                for metric, error in reading.errors:
                    self._errors[metric, error if error in ERRORS else ERRORS[-1]] += 1

    def _tell(self, error: NvmlError | None) -> None:
        """Log whether NVML answers, at the start and when that changes."""
        state = error.name if error else ""
        if state == self._told:
            return
        self._told = state
        if error is None:
            log.info("nvml_answers", driver=self._driver, gpus=self._snapshot.devices)
        else:
            log.warning(
                "nvml_unavailable",
                reason=str(error),
                error=error.name,
                retry_seconds=self._retry,
            )


def families(snapshot: Snapshot) -> Iterator[Family]:
    """A snapshot as metrics: what could not be read is absent."""
    yield Family(catalog.GPU_NVML_UP, [(series(catalog.GPU_NVML_UP), int(snapshot.nvml_up))])
    if snapshot.devices is not None:
        yield Family(catalog.GPU_DEVICES, [(series(catalog.GPU_DEVICES), snapshot.devices)])
    yield Family(
        catalog.GPU_INFO,
        [
            (
                series(
                    catalog.GPU_INFO,
                    gpu_id=gpu.id,
                    gpu_uuid=gpu.uuid,
                    gpu_name=gpu.name,
                    driver_version=snapshot.driver,
                ),
                1,
            )
            for gpu in snapshot.gpus
            if gpu.up
        ],
    )
    yield Family(
        catalog.GPU_UP,
        [
            (series(catalog.GPU_UP, gpu_id=gpu.id, gpu_uuid=gpu.uuid), int(gpu.up))
            for gpu in snapshot.gpus
        ],
    )
    for call in nvml.CALLS:
        for metric in call.metrics:
            yield Family(
                metric,
                [
                    (series(metric, gpu_id=gpu.id, gpu_uuid=gpu.uuid), gpu.values[metric])
                    for gpu in snapshot.gpus
                    if metric in gpu.values
                ],
            )
