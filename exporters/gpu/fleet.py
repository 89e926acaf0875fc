"""The GPUs of this machine: which there are, which were there before, and reading them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contract import catalog, logs
from exporters.gpu.gpu import Count, Gpu
from exporters.gpu.nvml import Device, Driver, NvmlError, handle_address
from exporters.gpu.owners import Owners
from exporters.gpu.signals import Tier
from exporters.gpu.xid import Waiting, Xids

__all__ = ["Fleet", "NoDevicesError"]

log = logs.logger()

AGAIN: Final = 10
"""A GPU that is lost is looked for at every so many fast readings."""


class NoDevicesError(Exception):
    """NVML answers, and shows no GPU at all."""


class Fleet:
    """Every GPU that was seen since the start, by uuid. A lost one stays, and is down."""

    def __init__(
        self, driver: Driver, xids: Xids, owners: Owners, *, longest: float, every: float
    ) -> None:
        """`longest` and `every` are those of the clock events, in seconds."""
        self._driver = driver
        self._xids = xids
        self._owners = owners
        self._longest = longest
        self._every = every
        self._gpus: dict[str, Gpu] = {}
        self._totals: dict[str, dict[str, float]] = {}
        self._devices: int | None = None
        self._waiting: Waiting | None = None
        self._handles: frozenset[tuple[str, int]] = frozenset()
        self._ups: tuple[tuple[str, bool], ...] = ()
        self._readings = 0
        self._lost: set[str] = set()
        self.nameless: tuple[int, ...] = ()
        """Indices that NVML counts and whose GPU it does not name."""

    @property
    def gpus(self) -> Sequence[Gpu]:
        """All of them, by index."""
        return sorted(self._gpus.values(), key=lambda gpu: (gpu.index, gpu.uuid))

    @property
    def announcing(self) -> frozenset[str]:
        """The uuids of those that announce XID errors."""
        return self._waiting.supported if self._waiting else frozenset()

    def changed(self) -> bool:
        """Whether GPUs came or went since this was last asked."""
        before, self._ups = self._ups, tuple((gpu.uuid, gpu.up) for gpu in self.gpus)
        return before != self._ups

    def read_fast(self, count: Count) -> int:
        """Read the fast tier of all; how many NVML shows. Raises NvmlError where it fails."""
        devices = self._driver.count()
        self._readings += 1
        known = devices == self._devices and not self.nameless
        lost = any(gpu.device is None for gpu in self._gpus.values())
        if not known or (lost and self._readings % AGAIN == 0):
            self._discover(devices, count)
        for gpu in self.gpus:
            if gpu.device is not None:
                was_up = gpu.up
                gpu.read(Tier.FAST, count)
                self._tell(gpu, was_up=was_up)
        return devices

    def read_slow(self, uuid: str, count: Count) -> None:
        """Read the slow tier of one. Raises NvmlError where the driver is gone."""
        gpu = self._gpus[uuid]
        if gpu.device is not None:
            gpu.read(Tier.SLOW, count)
            self._tell(gpu, was_up=True)

    def close(self) -> None:
        """Let go of everything that belongs to the opened driver."""
        if self._waiting is not None:
            self._waiting.close()
        self._waiting, self._handles, self._devices, self.nameless = None, frozenset(), None, ()
        for gpu in self._gpus.values():
            gpu.disconnect()

    def _discover(self, devices: int, count: Count) -> None:
        """Look at what stands at every index, and connect what is new there."""
        found: list[Device] = []
        silent: list[int] = []
        for index in range(devices):
            try:
                found.append(self._driver.device(index))
            except NvmlError as error:
                silent.append(index)
                count(catalog.GPU_INFO, error.name)
        here = {device.uuid for device in found}
        for gpu in self._gpus.values():
            if gpu.device is not None and gpu.uuid not in here:
                gpu.disconnect()
                self._tell(gpu, was_up=True)
        for device in found:
            self._connect(device)
        # An index that fails is that of a GPU that was known by it, unless there is none.
        down = {gpu.index for gpu in self._gpus.values() if gpu.device is None}
        self.nameless = tuple(index for index in silent if index not in down)
        self._devices = devices
        self._wait_for(found)

    def _connect(self, device: Device) -> None:
        gpu = self._gpus.setdefault(device.uuid, Gpu(device.index, device.uuid, device.name))
        before = gpu.device
        if before is not None and handle_address(before.handle) == handle_address(device.handle):
            return
        gpu.connect(
            self._driver,
            device,
            owners=self._owners,
            totals=self._totals.setdefault(device.uuid, {}),
            longest=self._longest,
            every=self._every,
        )

    def _wait_for(self, found: Sequence[Device]) -> None:
        """Wait for the events of these GPUs; a set that has them all already stays."""
        handles = frozenset((device.uuid, handle_address(device.handle)) for device in found)
        if self._waiting is not None and handles <= self._handles:
            return
        if self._waiting is not None:
            self._waiting.close()
        self._waiting = Waiting(self._driver, self._xids, found)
        self._handles = handles

    def _tell(self, gpu: Gpu, *, was_up: bool) -> None:
        if gpu.up and not was_up and gpu.uuid in self._lost:
            self._lost.discard(gpu.uuid)
            log.info("gpu_answers_again", gpu=str(gpu.index), uuid=gpu.uuid)
        elif was_up and not gpu.up:
            self._lost.add(gpu.uuid)
            log.error("gpu_lost", gpu=str(gpu.index), uuid=gpu.uuid)
