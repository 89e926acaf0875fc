"""Why the clocks are down, as seconds per reason.

Newer drivers count some reasons themselves, in nanoseconds, as field values: those are exact. The
rest is summed up from readings: a reason that a reading finds counts for the time since the
reading before it. ml_gpu_clock_event_exact says which is which.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import Final

from contract import catalog
from contract.catalog import Metric
from exporters.gpu.nvml import UNSUPPORTED, Driver, Handle, NvmlError
from exporters.gpu.signals import Answer, Tier, key, nano

__all__ = ["REASONS", "ClockEventSource"]

REASONS: Final = {
    "gpu_idle": 0x1,
    "applications_clocks_setting": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
    "display_clock_setting": 0x100,
}
"""NVML's reasons and their bits."""

COUNTED: Final = {
    "sw_power_cap": 74,
    "sync_boost": 76,
    "sw_thermal_slowdown": 269,
    "hw_thermal_slowdown": 270,
    "hw_power_brake_slowdown": 271,
}
"""The fields in which a driver counts a reason itself, in nanoseconds."""


class ClockEventSource:
    """Seconds per reason of one GPU."""

    tier = Tier.FAST
    metrics: tuple[Metric, ...] = (
        catalog.GPU_CLOCK_EVENT_SECONDS,
        catalog.GPU_CLOCK_EVENT_EXACT,
    )

    def __init__(
        self,
        driver: Driver,
        handle: Handle,
        *,
        totals: MutableMapping[str, float],
        longest: float,
        every: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`totals` outlive a driver that is opened anew, as a counter has to.

        Two readings further apart than `longest` seconds say nothing of the time between them.
        The driver's own counters are read no more often than `every` seconds: they miss nothing.
        """
        self._driver = driver
        self._handle = handle
        self._totals = totals
        self._longest = longest
        self._every = every
        self._clock = clock
        self._last: float | None = None
        self._reasons: tuple[str, ...] | None = None
        self._counted = dict(COUNTED)
        self._exact: dict[str, float] = {}
        self._exact_read: float | None = None

    def read(self) -> Answer:
        """Read the driver's counters and sum up the rest."""
        if self._reasons is None:
            self._reasons = self._supported()
        answer = Answer()
        now = self._clock()
        if self._exact_read is None or now - self._exact_read >= self._every:
            self._exact, self._exact_read = self._read_exact(answer), now
        # A reason never changes from one to the other: its counter would go back.
        summed = [name for name in self._reasons if name not in self._counted]
        self._sum_up(summed, now)
        seconds = self._exact | {name: self._totals.get(name, 0.0) for name in summed}
        for name in REASONS:
            if name in seconds:
                answer.values[key(catalog.GPU_CLOCK_EVENT_SECONDS, name)] = seconds[name]
                exact = int(name in self._counted)
                answer.values[key(catalog.GPU_CLOCK_EVENT_EXACT, name)] = exact
        return answer

    def _read_exact(self, answer: Answer) -> dict[str, float]:
        """The reasons that the driver counts. What fails for now is among the answer's errors."""
        asked = list(self._counted.items())
        if not asked:
            return {}
        try:
            got = self._driver.fields(self._handle, [(number, 0) for _, number in asked])
        except NvmlError as error:
            if error.name not in UNSUPPORTED:
                raise
            self._counted.clear()
            return {}
        exact = {}
        for (name, _), value in zip(asked, got, strict=True):
            if not isinstance(value, NvmlError):
                exact[name] = nano(value)
            elif value.name in UNSUPPORTED:
                del self._counted[name]
            else:
                answer.errors.append((catalog.GPU_CLOCK_EVENT_SECONDS, value.name))
        return exact

    def _sum_up(self, names: list[str], now: float) -> None:
        """Count the time since the last reading for the reasons that hold now."""
        last = self._last
        mask = self._either("CurrentClocksEventReasons", "CurrentClocksThrottleReasons")
        self._last = now
        if last is None or now - last > self._longest:
            return
        for name in names:
            if mask & REASONS[name]:
                self._totals[name] = self._totals.get(name, 0.0) + now - last

    def _supported(self) -> tuple[str, ...]:
        mask = self._either("SupportedClocksEventReasons", "SupportedClocksThrottleReasons")
        return tuple(name for name, bit in REASONS.items() if mask & bit)

    def _either(self, name: str, older: str) -> int:
        """The newer call, or the one that it took the place of."""
        try:
            return int(self._driver.call(f"nvmlDeviceGet{name}", self._handle))
        except NvmlError as error:
            if error.name != "function_not_found":
                raise
            return int(self._driver.call(f"nvmlDeviceGet{older}", self._handle))
