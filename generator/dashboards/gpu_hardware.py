"""The hardware of GPUs: do they work, what holds them back, are links and memory well?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from generator.dashboards.field import Unit, by_name, dashed
from generator.dashboards.panel import Query, Tile, time_series
from generator.dashboards.tables import Column, Link, table
from generator.queries import gpu

__all__ = [
    "ANSWERS",
    "DEVICE_COLUMNS",
    "GPU",
    "NOT_GIVEN",
    "NO_GPU",
    "health",
    "limits",
    "links",
    "reading",
    "work",
]

NO_GPU: Final = "No data: no GPU exporter shows a GPU here"
NOT_GIVEN: Final = "No data: these GPUs or their driver do not give it"
NO_GPM: Final = (
    "No data: profiling figures (GPM) need Hopper or later, and a driver that gives them"
)
ANSWERS: Final = {"0": ("lost", "red"), "1": ("yes", "green")}
GPU: Final = "GPU {{gpu_id}} of {{instance}}"
OF_GPU: Final = Link(
    "Show this GPU alone",
    "/d/ml-gpu?${datasource:queryparam}&${__url_time_range}"
    '&var-machine=${__data.fields["Machine"]}&var-gpu=${__data.fields["UUID"]}',
)
DEVICE_COLUMNS: Final = (
    Column(source="instance", title="Machine"),
    Column(source="gpu_id", title="GPU", width=60),
    Column(source="gpu_uuid", title="UUID", link=OF_GPU),
)


def work() -> tuple[Tile, ...]:
    """How busy the GPUs are, and on what."""
    return (
        time_series(
            "How busy are they?",
            "Share of the last 5 minutes in which a kernel ran, of the 6 busiest GPUs. One small "
            "kernel after the other also gives 100%: see beside it how much of the GPU they use.",
            Query(gpu.utilization(), GPU),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
            width=8,
        ),
        time_series(
            "How much of each GPU is used?",
            "Mean over the chosen GPUs: multiprocessors with work, warps on them of the most they "
            "hold, memory bandwidth, and tensor cores.",
            Query(gpu.mean(catalog.GPU_SM_ACTIVE), "multiprocessors"),
            Query(gpu.mean(catalog.GPU_SM_OCCUPANCY), "occupancy"),
            Query(gpu.mean(catalog.GPU_DRAM_ACTIVE), "memory bandwidth"),
            Query(gpu.mean(catalog.GPU_TENSOR_ACTIVE), "tensor cores"),
            unit=Unit.RATIO,
            no_data=NO_GPM,
            top=1,
            width=8,
        ),
        time_series(
            "On what do they work?",
            "Mean over the chosen GPUs: arithmetic units of each precision, and, on every GPU, "
            "reading or writing of memory and the video units.",
            Query(gpu.mean(catalog.GPU_FP16_ACTIVE), "FP16"),
            Query(gpu.mean(catalog.GPU_FP32_ACTIVE), "FP32"),
            Query(gpu.mean(catalog.GPU_FP64_ACTIVE), "FP64"),
            Query(gpu.mean(catalog.GPU_MEMORY_UTILIZATION), "memory is read or written"),
            Query(gpu.mean(catalog.GPU_ENCODER_UTILIZATION), "encoder"),
            Query(gpu.mean(catalog.GPU_DECODER_UTILIZATION), "decoder"),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
            width=8,
        ),
    )


def limits() -> tuple[Tile, ...]:
    """Heat, power, clocks, and what holds them down."""
    return (
        time_series(
            "How far from slowing down?",
            "Degrees (celsius) until a GPU lowers its own clocks, for the 6 closest to it. GpuHot "
            "alerts below its threshold.",
            Query(gpu.margin(), GPU),
            unit=Unit.CELSIUS,
            no_data=NOT_GIVEN,
            width=8,
        ),
        time_series(
            "How hot, and how much power?",
            "Means over the chosen GPUs: temperature of GPU and memory in celsius, power and its "
            "limit in watts (right axis).",
            Query(gpu.mean(catalog.GPU_TEMPERATURE), "GPU"),
            Query(gpu.mean(catalog.GPU_MEMORY_TEMPERATURE), "memory"),
            Query(gpu.mean(catalog.GPU_POWER), "power"),
            Query(gpu.mean(catalog.GPU_POWER_LIMIT), "power limit"),
            unit=Unit.CELSIUS,
            no_data=NOT_GIVEN,
            overrides=[
                dashed("^power limit$", "red"),
                *(
                    by_name(name, unit=Unit.WATTS.value, **{"custom.axisPlacement": "right"})
                    for name in ("power", "power limit")
                ),
            ],
            width=8,
        ),
        time_series(
            "How fast are the clocks?",
            "Mean clock of the chosen GPUs' multiprocessors and memory, and the highest they have "
            "(dashed).",
            Query(gpu.mean(catalog.GPU_SM_CLOCK), "multiprocessors"),
            Query(gpu.mean(catalog.GPU_SM_CLOCK_LIMIT), "multiprocessors at most"),
            Query(gpu.mean(catalog.GPU_MEMORY_CLOCK), "memory"),
            Query(gpu.mean(catalog.GPU_MEMORY_CLOCK_LIMIT), "memory at most"),
            unit=Unit.HERTZ,
            no_data=NOT_GIVEN,
            overrides=[dashed("at most$", "text")],
            width=8,
        ),
        time_series(
            "What holds the clocks down?",
            "Share of time for which each reason held, on the GPU where it held longest. gpu_idle "
            "is no trouble, sw_power_cap is the power limit, the rest is heat or the power supply.",
            Query(gpu.reasons(), "{{reason}}"),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
        ),
        time_series(
            "Which GPUs are held back?",
            "Share of the last 5 minutes for which power or temperature held the clocks down, for "
            "the 6 GPUs with the most.",
            Query(gpu.throttled(), GPU),
            unit=Unit.RATIO,
            no_data=NOT_GIVEN,
            top=1,
        ),
    )


def links() -> tuple[Tile, ...]:
    """PCIe and NVLink."""
    return (
        time_series(
            "How much goes over PCIe?",
            "Bytes a second between the chosen GPUs and their machines, as samples of 20 ms.",
            Query(gpu.pcie(catalog.GPU_PCIE_RECEIVE), "to the GPUs"),
            Query(gpu.pcie(catalog.GPU_PCIE_TRANSMIT), "from the GPUs"),
            unit=Unit.BYTES_PER_SECOND,
            no_data=NOT_GIVEN,
            width=8,
        ),
        time_series(
            "How much goes over NVLink?",
            "Bytes of data a second between the chosen GPUs and their peers.",
            Query(gpu.nvlink(catalog.GPU_NVLINK_RECEIVE), "received"),
            Query(gpu.nvlink(catalog.GPU_NVLINK_TRANSMIT), "sent"),
            unit=Unit.BYTES_PER_SECOND,
            no_data="No data: these GPUs have no NVLink, or their driver does not count it",
            width=8,
        ),
        time_series(
            "Do the links make errors?",
            "Packets a second that PCIe had to send again, and errors on NVLink. A few are normal; "
            "a rate that stays points to a bad slot, riser or bridge.",
            Query(gpu.link_errors(catalog.GPU_PCIE_REPLAYS), "PCIe replays"),
            Query(gpu.link_errors(catalog.GPU_NVLINK_ERRORS), "NVLink errors"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data=NOT_GIVEN,
            width=8,
        ),
    )


def health() -> tuple[Tile, ...]:
    """Errors of driver and memory."""
    return (
        time_series(
            "Which XID errors came?",
            "Errors of the driver a second, by code. 13, 31 and 43 are faults of an application; "
            "GpuXid alerts on those that call for a reset.",
            Query(gpu.xid_errors(), "XID {{xid}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No XID error came in this time",
            width=8,
        ),
        time_series(
            "Are memory errors counted?",
            "Errors a second of the GPUs' memory. Corrected ones did no harm; an uncorrected one "
            "ended a process or spoiled a result.",
            Query(gpu.ecc_errors(), "{{error}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="No data: these GPUs have no error correction, or it is off",
            width=8,
        ),
        time_series(
            "Rows and pages out of use",
            "Memory rows replaced by spare ones (corrected, uncorrected) or pages retired "
            "(single_bit, double_bit). Growth says that a GPU's memory ages.",
            Query(gpu.out_of_use(), "{{cause}}"),
            unit=Unit.COUNT,
            no_data=NOT_GIVEN,
            width=8,
        ),
    )


def reading() -> tuple[Tile, ...]:
    """Which GPUs these are, and how they are read."""
    return (
        table(
            "Which GPUs are these?",
            "Name and driver of each GPU that answers.",
            Query(gpu.identity()),
            columns=[
                *DEVICE_COLUMNS,
                Column(source="gpu_name", title="Name"),
                Column(source="driver_version", title="Driver"),
                Column(source="A", title="Answers", states=ANSWERS, width=80),
            ],
            sort="Machine",
            no_data=NO_GPU,
            width=12,
            height=7,
        ),
        time_series(
            "How long does the reading take?",
            "Share of a second spent in each NVML call, for the 6 that take the most. It is the "
            "driver's work and grows with the number of GPUs.",
            Query(gpu.call_seconds(), "{{call}}"),
            unit=Unit.SECONDS,
            no_data=NO_GPU,
            stacked=True,
            width=6,
            height=7,
        ),
        time_series(
            "What could not be read?",
            "Values a second that NVML refused, by its error. What a GPU does not support at all "
            "is not asked for again and again.",
            Query(gpu.read_errors(), "{{error}}"),
            unit=Unit.EVENTS_PER_SECOND,
            no_data="Everything could be read",
            width=6,
            height=7,
        ),
    )
