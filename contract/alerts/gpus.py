"""The alerts of GPUs. A GPU serves several models, so its thresholds are not theirs."""

from __future__ import annotations

import math
from typing import Final

from contract.alerts.alert import Alert, Display
from contract.quantity import Duration
from contract.spec import Severity

__all__ = ["GPU_ALERTS", "NEARLY_FULL"]

NEARLY_FULL: Final = 0.8
"""Share of a GPU's memory below which its growth is nobody's business yet."""


def _of_gpus(
    name: str,
    severity: Severity,
    hold: Duration,
    display: Display,
    default: float,
    summary: str,
    description: str,
    never_from: float = math.inf,
    never_to: float = -math.inf,
) -> Alert:
    return Alert(
        name,
        (severity,),
        hold,
        summary,
        description,
        display=display,
        set_by=f"gpu.alerts.{name}.threshold",
        default=default,
        never_from=never_from,
        never_to=never_to,
    )


GPU_ALERTS: Final = (
    _of_gpus(
        "GpuLost",
        "critical",
        Duration.parse("1m"),
        "none",
        1,
        "{gpu} is lost{holder}",
        "{gpu} was there and no longer answers. Whatever runs on it fails or hangs until the GPU "
        "is reset or the machine restarted.",
    ),
    _of_gpus(
        "GpusMissing",
        "critical",
        Duration.parse("5m"),
        "number",
        0,
        "{instance} misses GPUs: {value}",
        "Of the GPUs that {instance} should have (gpu.expected of models.yaml, or else as many as "
        "it had within a day), its exporter has not seen {value} since it started.",
    ),
    _of_gpus(
        "GpuXid",
        "critical",
        Duration(0),
        "duration",
        3600,
        "{gpu} reported XID {codes}{holder}",
        "The driver reported an error that calls for a reset of {gpu} or a restart of its machine: "
        "XID {codes}, the last {value} ago. Until then its results can't be relied on.",
    ),
    _of_gpus(
        "GpuEccUncorrectable",
        "error",
        Duration(0),
        "number",
        0,
        "{gpu} has uncorrectable memory errors{holder}",
        "Since its driver was loaded, {gpu} had uncorrectable memory errors, or a faulty row that "
        "it could not replace ({value}). What was computed with that memory may be wrong.",
    ),
    _of_gpus(
        "GpuMemoryFilling",
        "warning",
        Duration.parse("10m"),
        "duration",
        3600,
        "{gpu} is out of memory in {value}{holder}",
        f"The memory of {{gpu}} is more than {NEARLY_FULL:.0%} full and grows; at the pace of the "
        "last half hour nothing is left in {value}. Then allocations fail, and with them requests.",
    ),
    _of_gpus(
        "GpuHot",
        "warning",
        Duration.parse("5m"),
        "number",
        5,
        "{gpu} is {value} °C from slowing down{holder}",
        "{gpu} is {value} °C below the temperature at which it lowers its clocks; the alert asks "
        "for {threshold} °C.",
    ),
    _of_gpus(
        "GpuThrottledAndSlow",
        "warning",
        Duration.parse("5m"),
        "percent",
        0.1,
        "{model} is slow and its GPU is throttled",
        "{model} breaks its promise on latency while {gpu}, which it runs on, was held back by "
        "power or temperature for {value} of the last 5 minutes.",
        never_from=1.0,
    ),
    _of_gpus(
        "GpuIdleButHeld",
        "info",
        Duration.parse("30m"),
        "percent",
        0.01,
        "{gpu} is idle{holder}",
        "{model} holds memory of {gpu}, which over the last hour was busy for {value} of the time.",
        never_to=0.0,
    ),
)
