"""The MIG instances of a GPU, each with its own memory.

NVML shows a MIG device per compute instance. Memory belongs to the GPU instance around it: compute
instances that share one give the same figures, which are kept once, under its id.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract import catalog
from contract.catalog import Metric
from exporters.gpu.nvml import UNSUPPORTED, Driver, Handle, NvmlError
from exporters.gpu.signals import Answer, Tier, key

__all__ = ["MigSource"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One MIG device: its ids (small numbers, given anew at every repartitioning) and name."""

    gpu_instance: str
    compute_instance: str
    uuid: str
    name: str


class MigSource:
    """The MIG devices of one GPU."""

    tier = Tier.SLOW
    metrics: tuple[Metric, ...] = (
        catalog.GPU_INSTANCE_INFO,
        catalog.GPU_INSTANCE_MEMORY_USED,
        catalog.GPU_INSTANCE_MEMORY_FREE,
        catalog.GPU_INSTANCE_MEMORY_TOTAL,
    )

    def __init__(self, driver: Driver, handle: Handle) -> None:
        self._driver = driver
        self._handle = handle

    def read(self) -> Answer:
        """Look at every place for a MIG device; most are empty. Raises NvmlError without MIG."""
        current, _ = self._driver.call("nvmlDeviceGetMigMode", self._handle)
        if not current:
            return Answer()
        answer = Answer()
        for place in range(self._driver.call("nvmlDeviceGetMaxMigDeviceCount", self._handle)):
            try:
                handle = self._driver.call(
                    "nvmlDeviceGetMigDeviceHandleByIndex", self._handle, place
                )
            except NvmlError as error:
                if error.name == "not_found" or error.name in UNSUPPORTED:
                    continue
                raise
            try:
                self._read_instance(handle, answer)
            except NvmlError as error:
                answer.errors.append((catalog.GPU_INSTANCE_INFO, error.name))
        return answer

    def _read_instance(self, handle: Handle, answer: Answer) -> None:
        call = self._driver.call
        instance = Instance(
            str(call("nvmlDeviceGetGpuInstanceId", handle)),
            str(call("nvmlDeviceGetComputeInstanceId", handle)),
            str(call("nvmlDeviceGetUUID", handle)),
            str(call("nvmlDeviceGetName", handle)),
        )
        labels = (instance.compute_instance, instance.uuid, instance.name)
        answer.values[key(catalog.GPU_INSTANCE_INFO, instance.gpu_instance, *labels)] = 1
        used = key(catalog.GPU_INSTANCE_MEMORY_USED, instance.gpu_instance)
        if used in answer.values:
            return
        try:
            memory = call("nvmlDeviceGetMemoryInfo", handle)
        except NvmlError as error:
            answer.errors += [(metric, error.name) for metric in self.metrics[1:]]
            return
        answer.values[used] = memory.used
        free = key(catalog.GPU_INSTANCE_MEMORY_FREE, instance.gpu_instance)
        total = key(catalog.GPU_INSTANCE_MEMORY_TOTAL, instance.gpu_instance)
        answer.values[free], answer.values[total] = memory.free, memory.total
