"""One GPU of the opened driver: its sources, what they last gave, and what it cannot give."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Final

from contract import catalog
from contract.catalog import Metric
from exporters.expose import Series, series
from exporters.gpu.clock_events import ClockEventSource
from exporters.gpu.gpm import GpmSource
from exporters.gpu.mig import MigSource
from exporters.gpu.nvml import GONE, LOST, UNSUPPORTED, Device, Driver, NvmlError
from exporters.gpu.owners import Owners
from exporters.gpu.processes import ProcessSource
from exporters.gpu.signals import ASKS, FIELDS, Key, Source, Tier
from exporters.gpu.sources import AskSource, FieldSource, LinkSource, MarginSource

__all__ = ["METRICS", "Gpu"]

AGAIN: Final = 300.0
"""Seconds until something that was not supported is tried again: MIG or ECC may be switched on."""

Count = Callable[[Metric, str], None]
"""Counts a value that could not be read: metric, error."""


class Gpu:
    """A GPU that was seen. Without sources it is only remembered, and down."""

    def __init__(self, index: int, uuid: str, name: str) -> None:
        self.index = index
        self.uuid = uuid
        self.name = name
        self.up = False
        self.values: dict[Tier, dict[Key, float]] = {tier: {} for tier in Tier}
        self.given: dict[Metric, bool] = {}
        self.device: Device | None = None
        self._sources: dict[Tier, list[Source]] = {tier: [] for tier in Tier}
        self._resting: list[tuple[float, Source]] = []
        self._lines: dict[Key, Series] = {}

    def connect(
        self,
        driver: Driver,
        device: Device,
        *,
        owners: Owners,
        totals: MutableMapping[str, float],
        longest: float,
        every: float,
    ) -> None:
        """Read it from now on by this handle; whatever was read by an older one is forgotten."""
        self.disconnect()
        self.device, self.index, self.name = device, device.index, device.name
        self._lines = {}
        handle = device.handle
        sources: list[Source] = [AskSource(driver, handle, ask) for ask in ASKS]
        sources += [FieldSource(driver, handle, tier, fields) for tier, fields in FIELDS.items()]
        sources += [
            MarginSource(driver, handle),
            ClockEventSource(driver, handle, totals=totals, longest=longest, every=every),
            LinkSource(driver, handle),
            GpmSource(driver, handle),
            MigSource(driver, handle),
            ProcessSource(driver, handle, owners),
        ]
        for source in sources:
            self._sources[source.tier].append(source)

    def disconnect(self) -> None:
        """It is down: what it gave is as old as its loss, and its handle may be another's."""
        self.up = False
        self.device = None
        self.values = {tier: {} for tier in Tier}
        self.given = {}
        everything = [s for each in self._sources.values() for s in each]
        for source in (*everything, *(source for _, source in self._resting)):
            if isinstance(source, GpmSource):
                source.close()
        self._sources = {tier: [] for tier in Tier}
        self._resting = []

    def read(self, tier: Tier, count: Count) -> None:
        """Read a tier. Raises NvmlError where the driver itself is gone.

        A GPU that is lost is disconnected; everything else that fails is left out and counted.
        """
        self._wake()
        values: dict[Key, float] = {}
        for source in list(self._sources[tier]):
            try:
                answer = source.read()
            except NvmlError as error:
                self._give(source.metrics)
                if error.name in GONE:
                    raise
                if error.name in LOST:
                    _count(count, source.metrics, error.name)
                    self.disconnect()
                    return
                if error.name in UNSUPPORTED:
                    self._sources[tier].remove(source)
                    self._resting.append((time.monotonic() + AGAIN, source))
                else:
                    _count(count, source.metrics, error.name)
                continue
            values |= answer.values
            for metric, name in answer.errors:
                count(metric, name)
            if not answer.pending:
                self._give(source.metrics)
        self.values[tier] = values
        for metric, _ in values:
            self.given[metric] = True
        self.up = True

    def _give(self, metrics: Iterable[Metric]) -> None:
        for metric in metrics:
            self.given.setdefault(metric, False)

    def line(self, key: Key) -> Series:
        """The series of a value, made once."""
        found = self._lines.get(key)
        if found is None:
            metric, labels = key
            names = metric.labels[2:]
            found = self._lines[key] = series(
                metric,
                gpu_id=str(self.index),
                gpu_uuid=self.uuid,
                **dict(zip(names, labels, strict=True)),
            )
        return found

    def _wake(self) -> None:
        now = time.monotonic()
        for due, source in list(self._resting):
            if now >= due:
                self._resting.remove((due, source))
                self._sources[source.tier].append(source)


def _count(count: Count, metrics: Iterable[Metric], error: str) -> None:
    for metric in metrics:
        count(metric, error)


def _every_metric() -> tuple[Metric, ...]:
    """What a GPU can give, in the catalog's order."""
    asked = [value.metric for ask in ASKS for value in ask.values]
    asked += [field.value.metric for fields in FIELDS.values() for field in fields]
    for source in (MarginSource, ClockEventSource, LinkSource, GpmSource, MigSource, ProcessSource):
        asked += source.metrics
    asked.append(catalog.GPU_XID_ERRORS)
    return tuple(metric for metric in catalog.METRICS if metric in set(asked))


METRICS: Final = _every_metric()
"""Everything that a GPU may give or not."""
