"""NVML through nvidia-ml-py: the only place that imports pynvml, with its errors by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pynvml

from contract import catalog
from contract.catalog import Metric

__all__ = ["ABSENT", "CALLS", "LOST", "NvmlError", "Reading", "close", "open_driver", "read_gpus"]

ABSENT: Final = frozenset({"library_not_found", "driver_not_loaded"})
"""Errors that say there is no driver here, and not that one fails."""

LOST: Final = frozenset({"gpu_is_lost", "gpu_not_found", "reset_required"})
"""Errors of a GPU that will not answer anything else either."""

_NEWER: Final = frozenset({"function_not_found", "argument_version_mismatch", "not_supported"})
"""Errors of a call that this driver does not know, where another may do."""

Handle = Any


class NvmlError(Exception):
    """An error of NVML; `name` is that of its constant: NVML_ERROR_GPU_IS_LOST is gpu_is_lost."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


_NAMES: Final[dict[int, str]] = {
    getattr(pynvml, constant): constant.removeprefix("NVML_ERROR_").lower()
    for constant in dir(pynvml)
    if constant.startswith("NVML_ERROR_")
}


@contextmanager
def _naming_errors() -> Iterator[None]:
    try:
        yield
    except pynvml.NVMLError as error:
        raise NvmlError(_NAMES.get(error.value, "unknown"), str(error)) from None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of NVML and the metrics it gives, in base units."""

    metrics: tuple[Metric, ...]
    read: Callable[[Handle], tuple[float, ...]]


def _utilization(handle: Handle) -> tuple[float, ...]:
    return (pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,)


def _memory(handle: Handle) -> tuple[float, ...]:
    # The second version leaves out of `used` what the driver reserves, as nvidia-smi does.
    second = getattr(pynvml, "nvmlMemory_v2", None)
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, second)
    except pynvml.NVMLError as error:
        if _NAMES.get(error.value) not in _NEWER:
            raise
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return (memory.used, memory.total)


def _temperature(handle: Handle) -> tuple[float, ...]:
    try:
        return (pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),)
    except pynvml.NVMLError as error:
        # Announced to go with CUDA 14; its successor does not exist in older drivers.
        if _NAMES.get(error.value) != "function_not_found":
            raise
        return (pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),)


def _power(handle: Handle) -> tuple[float, ...]:
    return (pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,)


def _energy(handle: Handle) -> tuple[float, ...]:
    return (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,)


CALLS: Final = (
    Call((catalog.GPU_UTILIZATION,), _utilization),
    Call((catalog.GPU_MEMORY_USED, catalog.GPU_MEMORY_TOTAL), _memory),
    Call((catalog.GPU_TEMPERATURE,), _temperature),
    Call((catalog.GPU_POWER,), _power),
    Call((catalog.GPU_ENERGY,), _energy),
)
"""What is read of every GPU. NVML gives percent, bytes, celsius, milliwatts and millijoules."""


@dataclass(slots=True)
class Reading:
    """What one GPU gave. `uuid` is empty where not even that could be read."""

    index: int
    uuid: str = ""
    name: str = ""
    lost: bool = False
    values: dict[Metric, float] = field(default_factory=dict)
    errors: list[tuple[Metric, str]] = field(default_factory=list)


def open_driver() -> str:
    """Load and start NVML; the driver's version. Raises NvmlError."""
    with _naming_errors():
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())


def close() -> None:
    """Stop NVML, whatever state it is in."""
    try:
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return


def read_gpus() -> Sequence[Reading]:
    """Read every GPU that NVML shows. Raises NvmlError where NVML itself fails."""
    with _naming_errors():
        count = pynvml.nvmlDeviceGetCount()
    return [_read_gpu(index) for index in range(count)]


def _read_gpu(index: int) -> Reading:
    reading = Reading(index)
    try:
        with _naming_errors():
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            reading.uuid = str(pynvml.nvmlDeviceGetUUID(handle))
            reading.name = str(pynvml.nvmlDeviceGetName(handle))
    except NvmlError as error:
        reading.lost = True
        reading.errors.append((catalog.GPU_INFO, error.name))
        return reading
    for call in CALLS:
        try:
            with _naming_errors():
                values = call.read(handle)
        except NvmlError as error:
            reading.errors += [(metric, error.name) for metric in call.metrics]
            if error.name in LOST:
                # What it gave before may be as old as the loss.
                reading.lost = True
                reading.values.clear()
                break
        else:
            reading.values.update(zip(call.metrics, values, strict=True))
    return reading
