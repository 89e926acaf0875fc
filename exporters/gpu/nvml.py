"""NVML through nvidia-ml-py: every call by its name, timed, with its errors by name."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pynvml

__all__ = [
    "ABSENT",
    "LOST",
    "UNSUPPORTED",
    "Device",
    "Driver",
    "Handle",
    "NvmlError",
    "Versions",
    "handle_address",
]

ABSENT: Final = frozenset({"library_not_found", "driver_not_loaded"})
"""Errors that say there is no driver here, and not that one fails."""

LOST: Final = frozenset({"gpu_is_lost", "gpu_not_found", "reset_required"})
"""Errors of a GPU that will not answer anything else either."""

UNSUPPORTED: Final = frozenset(
    {
        "not_supported",
        "function_not_found",
        "argument_version_mismatch",
        "deprecated",
        "invalid_argument",
    }
)
"""Errors of a call that this GPU or driver does not know and will not learn."""

GONE: Final = frozenset({"uninitialized", "driver_not_loaded", "lib_rm_version_mismatch"})
"""Errors of a single call that say that the whole driver is gone."""

SIMULATED: Final = "-simulated"
"""How the version of the demo's driver ends."""

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
} | {pynvml.NVML_SUCCESS: "success"}


def error_name(status: int) -> str:
    """What a status of NVML is called here."""
    return _NAMES.get(status, "unknown")


@dataclass(frozen=True, slots=True)
class Versions:
    """The driver's, its NVML's, and that of the newest CUDA it can run; "" where unknown."""

    driver: str
    nvml: str = ""
    cuda: str = ""

    @property
    def simulated(self) -> bool:
        """Whether this is the demo's driver."""
        return self.driver.endswith(SIMULATED)


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU that NVML shows: its index, what it is called, and what to ask it by."""

    index: int
    uuid: str
    name: str
    handle: Handle


class Driver:
    """NVML in this process. It may be opened again after it was closed."""

    def __init__(self) -> None:
        self.versions: Versions | None = None
        self._costs: dict[str, list[float]] = {}

    @property
    def costs(self) -> dict[str, tuple[int, float]]:
        """By call: how often it was made, and the seconds spent in it."""
        return {name: (int(cost[0]), cost[1]) for name, cost in list(self._costs.items())}

    def call(self, name: str, *arguments: Any) -> Any:
        """What NVML's function of that name gives. Raises NvmlError."""
        function: Callable[..., Any] | None = getattr(pynvml, name, None)
        if function is None:
            raise NvmlError("function_not_found", f"nvidia-ml-py here has no {name}")
        cost = self._costs.get(name) or self._costs.setdefault(name, [0, 0.0])
        began = time.perf_counter()
        try:
            return function(*arguments)
        except pynvml.NVMLError as error:
            raise NvmlError(error_name(error.value), str(error)) from None
        except pynvml.NVMLLibraryMismatchError as error:
            # What nvidia-ml-py says where the driver lacks the newest version of a function.
            raise NvmlError("function_not_found", str(error)) from None
        finally:
            cost[0] += 1
            cost[1] += time.perf_counter() - began

    def wait(self, name: str, *arguments: Any) -> Any:
        """The same for a call that waits for something: its time is no cost. Raises NvmlError."""
        try:
            return getattr(pynvml, name)(*arguments)
        except pynvml.NVMLError as error:
            raise NvmlError(error_name(error.value), str(error)) from None

    def open(self) -> None:
        """Load and start NVML. Raises NvmlError."""
        self.call("nvmlInit")
        try:
            driver = _text(self.call("nvmlSystemGetDriverVersion"))
            nvml = self._version("nvmlSystemGetNVMLVersion")
            cuda = self._version("nvmlSystemGetCudaDriverVersion")
        except NvmlError:
            self.close()
            raise
        if cuda.isdecimal():
            cuda = f"{int(cuda) // 1000}.{int(cuda) % 1000 // 10}"
        self.versions = Versions(driver, nvml, cuda)

    def close(self) -> None:
        """Stop NVML, whatever state it is in."""
        self.versions = None
        try:
            self.call("nvmlShutdown")
        except NvmlError:
            return

    def count(self) -> int:
        """How many GPUs NVML shows. Raises NvmlError."""
        return int(self.call("nvmlDeviceGetCount"))

    def device(self, index: int) -> Device:
        """The GPU of that index. Raises NvmlError."""
        handle = self.call("nvmlDeviceGetHandleByIndex", index)
        uuid = _text(self.call("nvmlDeviceGetUUID", handle))
        return Device(index, uuid, _text(self.call("nvmlDeviceGetName", handle)), handle)

    def fields(self, handle: Handle, ids: Sequence[tuple[int, int]]) -> list[float | NvmlError]:
        """Field values of (field, scope), each its value or its own error. Raises NvmlError."""
        values = self.call("nvmlDeviceGetFieldValues", handle, ids)
        return [_field_value(value) for value in values]

    def _version(self, name: str) -> str:
        try:
            return _text(self.call(name))
        except NvmlError as error:
            if error.name not in UNSUPPORTED:
                raise
            return ""


def handle_address(handle: Handle) -> int:
    """What tells handles apart: events come with one of their own."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


_MEMBERS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Which member of a field's union holds the value, by NVML's value type."""


def _field_value(field: Any) -> float | NvmlError:
    if field.nvmlReturn != pynvml.NVML_SUCCESS:
        name = error_name(field.nvmlReturn)
        return NvmlError(name, f"field {field.fieldId}: {name}")
    if field.valueType >= len(_MEMBERS):
        return NvmlError("unknown", f"field {field.fieldId}: value of type {field.valueType}")
    if field.valueType == len(_MEMBERS) - 1:
        # Bindings before 13 have no member for the shortest type; little-endian, so this holds it.
        return float(field.value.uiVal & 0xFFFF)
    value: float = getattr(field.value, _MEMBERS[field.valueType])
    return value
