"""What is read of every GPU, as data: metric, call of NVML, conversion to base units, tier.

Units on NVML's side are those of nvml.h: percent, bytes, celsius, milliwatts, millijoules,
megahertz, kilobytes a second, kibibytes (NVLink). What needs more than one call and a conversion
has a module of its own: clock events, XID, GPM, MIG, processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final, Protocol

from contract import catalog
from contract.catalog import GPU, Metric

__all__ = [
    "ALL_LINKS",
    "ASKS",
    "FIELDS",
    "Answer",
    "Ask",
    "Field",
    "Key",
    "Source",
    "Tier",
    "Value",
    "key",
]


class Tier(StrEnum):
    """How often something is read."""

    FAST = "fast"
    SLOW = "slow"


Key = tuple[Metric, tuple[str, ...]]
"""A metric of one GPU, and the values of the labels it has besides the GPU's."""


@cache
def key(metric: Metric, *labels: str) -> Key:
    """The key of a series. Raises ValueError where the labels are not the metric's."""
    if len(metric.labels) != len(GPU) + len(labels):
        raise ValueError(f"{metric}: {labels} are not its labels besides those of the GPU")
    return metric, labels


@dataclass(slots=True)
class Answer:
    """What was read at once: values by key, and the metrics that failed, each with its error."""

    values: dict[Key, float] = field(default_factory=dict)
    errors: list[tuple[Metric, str]] = field(default_factory=list)
    pending: bool = False
    """Whether there is nothing yet because this was the first reading."""


class Source(Protocol):
    """Something that is read of one GPU, once in a tier."""

    @property
    def tier(self) -> Tier:
        """How often it is read."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What it can give."""

    def read(self) -> Answer:
        """Read it. Raises NvmlError where nothing at all could be read."""


# Conversions: what NVML gives → base units; None where it says that it does not know


def same(raw: Any) -> float:
    """Already in base units, or a plain number."""
    return float(raw) if isinstance(raw, float) else int(raw)


def percent(raw: float) -> float:
    """Percent → ratio."""
    return raw / 100


def milli(raw: float) -> float:
    """Milliwatts → watts, millijoules → joules."""
    return raw / 1000


def kilo(raw: float) -> float:
    """NVML's "KB/s" → bytes a second."""
    return raw * 1000


def kibi(raw: float) -> float:
    """Kibibytes → bytes."""
    return raw * 1024


def mega(raw: float) -> float:
    """Megahertz → hertz."""
    return raw * 1_000_000


def nano(raw: float) -> float:
    """Nanoseconds → seconds."""
    return raw / 1_000_000_000


def first_percent(raw: Any) -> float:
    """(percent, sampling period) → ratio."""
    return percent(raw[0])


def member(name: str, convert: Callable[[Any], float] = same) -> Callable[[Any], float]:
    """A member of the struct that NVML gives."""
    return lambda raw: convert(getattr(raw, name))


def item(index: int) -> Callable[[Any], float]:
    """One of the numbers that NVML gives together."""
    return lambda raw: same(raw[index])


def count(raw: Any) -> float:
    """How many NVML lists."""
    return len(raw)


def is_mode(mode: int) -> Callable[[Any], float]:
    """1 where NVML names this mode, else 0."""
    return lambda raw: int(raw == mode)


def known_state(raw: int) -> float | None:
    """Performance states are 0 to 15; 32 says that it is not known."""
    return raw if raw <= 15 else None


@dataclass(frozen=True, slots=True)
class Value:
    """One series that a call gives."""

    metric: Metric
    convert: Callable[[Any], float | None] = same
    labels: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """What the series is kept under."""
        return key(self.metric, *self.labels)


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of NVML about a GPU, what it gives, and what to ask where that is not known."""

    tier: Tier
    call: str
    values: tuple[Value, ...]
    arguments: tuple[Any, ...] = ()
    instead: Ask | None = None


FAST, SLOW = Tier.FAST, Tier.SLOW

# Constants of nvml.h. Those of versions and fields are not in every nvidia-ml-py.
MEMORY_V2: Final = 0x02000028
SENSOR_GPU: Final = 0
CLOCK_SM, CLOCK_MEMORY = 1, 2
SHUTDOWN, SLOWDOWN = 0, 1
SENT, RECEIVED = 0, 1
CORRECTED, UNCORRECTED = 0, 1
VOLATILE, AGGREGATE = 0, 1
SINGLE_BIT, DOUBLE_BIT = 0, 1
COMPUTE_MODES: Final = ("default", "exclusive_thread", "prohibited", "exclusive_process")

_USED = Value(catalog.GPU_MEMORY_USED, member("used"))
_FREE = Value(catalog.GPU_MEMORY_FREE, member("free"))
_TOTAL = Value(catalog.GPU_MEMORY_TOTAL, member("total"))
_RESERVED = Value(catalog.GPU_MEMORY_RESERVED, member("reserved"))
_CELSIUS = Value(catalog.GPU_TEMPERATURE)


def _ask(tier: Tier, call: str, metric: Metric, convert: Any = same, *arguments: Any) -> Ask:
    return Ask(tier, call, (Value(metric, convert),), arguments)


def _ecc(metric: Metric, lifetime: int) -> tuple[Ask, ...]:
    return tuple(
        Ask(SLOW, "nvmlDeviceGetTotalEccErrors", (Value(metric, same, (name,)),), (error, lifetime))
        for name, error in (("corrected", CORRECTED), ("uncorrected", UNCORRECTED))
    )


ASKS: Final = (
    Ask(
        FAST,
        "nvmlDeviceGetUtilizationRates",
        (
            Value(catalog.GPU_UTILIZATION, member("gpu", percent)),
            Value(catalog.GPU_MEMORY_UTILIZATION, member("memory", percent)),
        ),
    ),
    # The second version leaves out of `used` what the driver reserves, as nvidia-smi does.
    Ask(
        FAST,
        "nvmlDeviceGetMemoryInfo",
        (_USED, _FREE, _TOTAL, _RESERVED),
        (MEMORY_V2,),
        instead=Ask(FAST, "nvmlDeviceGetMemoryInfo", (_USED, _FREE, _TOTAL)),
    ),
    # Announced to go with CUDA 14; its successor does not exist in older drivers.
    Ask(
        FAST,
        "nvmlDeviceGetTemperature",
        (_CELSIUS,),
        (SENSOR_GPU,),
        instead=Ask(FAST, "nvmlDeviceGetTemperatureV", (_CELSIUS,), (SENSOR_GPU,)),
    ),
    _ask(FAST, "nvmlDeviceGetPowerUsage", catalog.GPU_POWER, milli),
    _ask(FAST, "nvmlDeviceGetTotalEnergyConsumption", catalog.GPU_ENERGY, milli),
    _ask(FAST, "nvmlDeviceGetClockInfo", catalog.GPU_SM_CLOCK, mega, CLOCK_SM),
    _ask(SLOW, "nvmlDeviceGetClockInfo", catalog.GPU_MEMORY_CLOCK, mega, CLOCK_MEMORY),
    _ask(SLOW, "nvmlDeviceGetPerformanceState", catalog.GPU_PERFORMANCE_STATE, known_state),
    _ask(SLOW, "nvmlDeviceGetEncoderUtilization", catalog.GPU_ENCODER_UTILIZATION, first_percent),
    _ask(SLOW, "nvmlDeviceGetDecoderUtilization", catalog.GPU_DECODER_UTILIZATION, first_percent),
    Ask(
        SLOW,
        "nvmlDeviceGetBAR1MemoryInfo",
        (
            Value(catalog.GPU_BAR1_USED, member("bar1Used")),
            Value(catalog.GPU_BAR1_TOTAL, member("bar1Total")),
        ),
    ),
    _ask(
        SLOW,
        "nvmlDeviceGetTemperatureThreshold",
        catalog.GPU_SLOWDOWN_TEMPERATURE,
        same,
        SLOWDOWN,
    ),
    _ask(
        SLOW,
        "nvmlDeviceGetTemperatureThreshold",
        catalog.GPU_SHUTDOWN_TEMPERATURE,
        same,
        SHUTDOWN,
    ),
    _ask(SLOW, "nvmlDeviceGetEnforcedPowerLimit", catalog.GPU_POWER_LIMIT, milli),
    _ask(SLOW, "nvmlDeviceGetMaxClockInfo", catalog.GPU_SM_CLOCK_LIMIT, mega, CLOCK_SM),
    _ask(SLOW, "nvmlDeviceGetMaxClockInfo", catalog.GPU_MEMORY_CLOCK_LIMIT, mega, CLOCK_MEMORY),
    _ask(SLOW, "nvmlDeviceGetPersistenceMode", catalog.GPU_PERSISTENCE_MODE),
    Ask(
        SLOW,
        "nvmlDeviceGetComputeMode",
        tuple(
            Value(catalog.GPU_COMPUTE_MODE, is_mode(mode), (name,))
            for mode, name in enumerate(COMPUTE_MODES)
        ),
    ),
    # Each of the two waits 20 ms in the driver.
    _ask(SLOW, "nvmlDeviceGetPcieThroughput", catalog.GPU_PCIE_TRANSMIT, kilo, SENT),
    _ask(SLOW, "nvmlDeviceGetPcieThroughput", catalog.GPU_PCIE_RECEIVE, kilo, RECEIVED),
    _ask(SLOW, "nvmlDeviceGetPcieReplayCounter", catalog.GPU_PCIE_REPLAYS),
    _ask(SLOW, "nvmlDeviceGetEccMode", catalog.GPU_ECC_ENABLED, item(0)),
    *_ecc(catalog.GPU_ECC_ERRORS, VOLATILE),
    *_ecc(catalog.GPU_ECC_LIFETIME_ERRORS, AGGREGATE),
    *(
        Ask(
            SLOW,
            "nvmlDeviceGetRetiredPages",
            (Value(catalog.GPU_RETIRED_PAGES, count, (name,)),),
            (cause,),
        )
        for name, cause in (("single_bit", SINGLE_BIT), ("double_bit", DOUBLE_BIT))
    ),
    _ask(SLOW, "nvmlDeviceGetRetiredPagesPendingStatus", catalog.GPU_RETIRED_PAGES_PENDING),
    Ask(
        SLOW,
        "nvmlDeviceGetRemappedRows",
        (
            Value(catalog.GPU_REMAPPED_ROWS, item(0), ("corrected",)),
            Value(catalog.GPU_REMAPPED_ROWS, item(1), ("uncorrected",)),
            Value(catalog.GPU_ROW_REMAP_PENDING, item(2)),
            Value(catalog.GPU_ROW_REMAP_FAILED, item(3)),
        ),
    ),
    _ask(SLOW, "nvmlDeviceGetMigMode", catalog.GPU_MIG_ENABLED, item(0)),
)
"""Every GPU is asked these, one after the other, in the tier of each."""

ALL_LINKS: Final = 0xFFFFFFFF
"""The scope of a field of NVLink that gives the sum over all links."""


@dataclass(frozen=True, slots=True)
class Field:
    """A series that NVML gives as field values; of several ids the first that is known."""

    value: Value
    ids: tuple[int, ...]
    scope: int = 0


FIELDS: Final[Mapping[Tier, tuple[Field, ...]]] = {
    SLOW: (
        Field(Value(catalog.GPU_MEMORY_TEMPERATURE), (82,)),
        Field(Value(catalog.GPU_NVLINK_TRANSMIT, kibi), (138,), ALL_LINKS),
        Field(Value(catalog.GPU_NVLINK_RECEIVE, kibi), (139,), ALL_LINKS),
        *(
            Field(Value(catalog.GPU_NVLINK_ERRORS, same, (name,)), (number,))
            for name, number in (("crc_flit", 38), ("crc_data", 45), ("replay", 52))
        ),
        Field(Value(catalog.GPU_NVLINK_ERRORS, same, ("recovery",)), (59,)),
    ),
}
"""What comes as field values: all of a tier in one call."""
