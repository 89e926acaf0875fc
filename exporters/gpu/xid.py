"""XID errors, counted by code as the driver announces them.

A thread of its own waits on NVML's event set: an XID is an event, and what is not waited for is
not told again. The counters outlive a driver that is opened anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from contract import logs
from contract.xid import OTHER, RESET_CODES
from exporters.gpu.nvml import Device, Driver, NvmlError, handle_address

__all__ = ["Waiting", "Xids"]

log = logs.logger()

HIGHEST: Final = 200
"""Codes above are no XID that anybody has documented; they count as other."""

XID: Final = 0x8
WAIT: Final = 1.0
"""Seconds that one call waits for an event; closing takes no longer."""


class Xids:
    """How often each code came on each GPU, and when it last did (Unix time)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, int]] = {}
        self._last: dict[str, dict[str, float]] = {}

    def watch(self, uuid: str) -> None:
        """This GPU tells its errors: the codes to fear exist from now on."""
        with self._lock:
            self._counts.setdefault(uuid, {str(code): 0 for code in RESET_CODES})

    def add(self, uuid: str, code: int, moment: float) -> None:
        """Count an error."""
        name = str(code) if 0 < code <= HIGHEST else OTHER
        with self._lock:
            counts = self._counts.setdefault(uuid, {str(code): 0 for code in RESET_CODES})
            counts[name] = counts.get(name, 0) + 1
            self._last.setdefault(uuid, {})[name] = moment

    def snapshot(self) -> tuple[Mapping[str, Mapping[str, int]], Mapping[str, Mapping[str, float]]]:
        """Copies of the counts and the times, by uuid and code."""
        with self._lock:
            return (
                {uuid: dict(counts) for uuid, counts in self._counts.items()},
                {uuid: dict(times) for uuid, times in self._last.items()},
            )


class Waiting:
    """The thread that waits for events of the GPUs of one opened driver."""

    def __init__(self, driver: Driver, xids: Xids, devices: Sequence[Device]) -> None:
        self._driver = driver
        self._xids = xids
        self._uuids = {handle_address(device.handle): device.uuid for device in devices}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._set: Any = None
        self.supported = frozenset(self._register(devices))
        if self.supported:
            self._thread = threading.Thread(target=self._run, name="xid", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop waiting. A call that hangs is left behind with its event set."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * WAIT)
            if self._thread.is_alive():
                return
        if self._set is not None:
            try:
                self._driver.call("nvmlEventSetFree", self._set)
            except NvmlError:
                return

    def _register(self, devices: Iterable[Device]) -> Iterable[str]:
        """The uuids of the GPUs that announce XID errors."""
        supported: list[str] = []
        try:
            self._set = self._driver.call("nvmlEventSetCreate")
        except NvmlError:
            return supported
        for device in devices:
            try:
                known = self._driver.call("nvmlDeviceGetSupportedEventTypes", device.handle)
                if known & XID:
                    self._driver.call("nvmlDeviceRegisterEvents", device.handle, XID, self._set)
                    supported.append(device.uuid)
                    self._xids.watch(device.uuid)
            except NvmlError as error:
                log.info("xid_not_announced", gpu=device.index, error=error.name)
        return supported

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                event = self._driver.wait("nvmlEventSetWait_v2", self._set, round(WAIT * 1000))
            except NvmlError as error:
                # Not to be woken by a failing driver over and over; a lost GPU's event may follow.
                if error.name != "timeout":
                    self._stop.wait(WAIT)
                continue
            if event.eventType & XID:
                self._add(event)

    def _add(self, event: Any) -> None:
        uuid = self._uuids.get(handle_address(event.device), "")
        if uuid:
            code = int(event.eventData)
            self._xids.add(uuid, code, time.time())
            log.error("xid", uuid=uuid, xid=code)
