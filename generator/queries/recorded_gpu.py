"""The normalised series of GPUs, by device and by model, and the expressions that record them.

A device is an exporter's address and a GPU of it. `gpu:…` series have one value a device (or one a
model on it), `model:…` series add up what a model has on all of them.
"""

from __future__ import annotations

import json
from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric, Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import recorded
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import (
    DAY,
    FIVE_MINUTES,
    HALF_HOUR,
    HOUR,
    ONE_MINUTE,
    TEN_MINUTES,
    window,
)

__all__ = [
    "DEVICE",
    "EXPECTED",
    "GPU_RECORDED",
    "HOLDER",
    "JOULES_PER_1000_REQUESTS",
    "MEMORY_FULL",
    "MEMORY_GROWTH",
    "MEMORY_RATIO",
    "MODEL_GPUS",
    "MODEL_MEMORY",
    "MODEL_ON_GPU",
    "MODEL_POWER",
    "MODEL_SHARE",
    "MODEL_SM",
    "MODEL_SM_ON_GPU",
    "NO_MODEL",
    "OTHER",
    "POWER",
    "THROTTLED",
    "THROTTLING",
    "UTILIZATION",
    "UTILIZATION_1H",
]

DEVICE: Final = ("instance", "gpu_id", "gpu_uuid")
"""What tells one GPU from all others; `instance` is the exporter that reads it."""

NO_MODEL: Final = "none"
"""The model of alerts that are about none: a label that is missing Alertmanager takes for equal."""
OTHER: Final = "other"
"""What the exporter calls the processes of no known model."""

THROTTLING: Final = (
    "sw_power_cap",
    "hw_slowdown",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
)
"""The reasons that hold a working GPU back; the others are its idling or somebody's setting."""

_DEVICES: Final = Group("gpu-devices")
_HOURS: Final = Group("gpu-hours", Duration.parse("2m"))
_MODELS: Final = Group("gpu-models", slowly=ONE_MINUTE)

_BY_DEVICE: Final = f"by ({', '.join(DEVICE)})"
_ON_DEVICE: Final = f"on ({', '.join(DEVICE)})"
_BY_MODEL: Final = f"by ({', '.join(MODEL)})"
_ON_MODEL: Final = f"on ({', '.join(MODEL)})"
_BY_BOTH: Final = f"by ({', '.join((*DEVICE, *MODEL))})"
_ON_BOTH: Final = f"on ({', '.join((*DEVICE, *MODEL))})"
_KNOWN: Final = f'model_name!="{OTHER}"'


def _mean(metric: Metric, spec: Spec, over: Duration, by: str = _BY_DEVICE) -> str:
    return f"max {by} (avg_over_time({metric}[{window(spec, over)}]))"


# Whose GPU it is


def _model_on_gpu(spec: Spec) -> str:
    now = f"group {_BY_BOTH} ({catalog.GPU_MODEL_MEMORY}{{{_KNOWN}}} > 0)"
    before = f"last_over_time(gpu:ml_gpu_model_info[{window(spec, FIVE_MINUTES)}])"
    # A lost GPU has no processes to look at; while it stays lost, this rule reads its own past.
    return f"{now}\nor\n({before} and {_ON_DEVICE} {catalog.GPU_UP} == 0)"


MODEL_ON_GPU: Final = Recorded(
    name="gpu:ml_gpu_model_info",
    labels=(*DEVICE, *MODEL),
    help="Always 1; a model that holds memory of the GPU, or did when the GPU was lost.",
    group=_DEVICES,
    expression=_model_on_gpu,
)


def _holder(spec: Spec) -> str:
    team = _constant("team", spec.defaults.team)
    nobody = f"group {_BY_DEVICE} ({catalog.GPU_UP})"
    for label, value in (
        ("model_name", NO_MODEL),
        ("model_version", NO_MODEL),
        ("team", spec.defaults.team),
    ):
        nobody = f"label_replace({nobody}, {_constant(label, value)})"
    return (
        f"{MODEL_ON_GPU} * {_ON_MODEL} group_left (team) {recorded.OWNER}\n"
        f"or {_ON_BOTH}\nlabel_replace({MODEL_ON_GPU}, {team})\n"
        f"or {_ON_DEVICE}\n{nobody}"
    )


def _constant(label: str, value: str) -> str:
    """The arguments of label_replace that set a label to a value, whatever characters it has."""
    text = json.dumps(value.replace("$", "$$"), ensure_ascii=False)
    return f'"{label}", {text}, "", ""'


HOLDER: Final = Recorded(
    name="gpu:ml_gpu_holder_info",
    labels=(*DEVICE, *MODEL, "team"),
    help="Always 1; whom an alert about the GPU concerns: each model on it with its team, or model "
    "none and the team of defaults.",
    group=_DEVICES,
    expression=_holder,
)


def _expected(spec: Spec) -> str:
    seen = f"max by (instance) (max_over_time({catalog.GPU_DEVICES}[{window(spec, DAY)}]))"
    # Of a machine that is gone, with its exporter, nothing is expected.
    return (
        f"max by (instance) ({catalog.GPU_EXPECTED_DEVICES})\n"
        f"or\n{seen} and on (instance) {catalog.GPU_NVML_UP}"
    )


EXPECTED: Final = Recorded(
    name="gpu:ml_gpu_expected_devices:max1d",
    labels=("instance",),
    help="GPUs that a machine should have: what models.yaml says, or else as many as it had within "
    "a day.",
    group=_HOURS,
    expression=_expected,
)

# Each device

MEMORY_RATIO: Final = Recorded(
    name="gpu:ml_gpu_memory_used:ratio",
    labels=DEVICE,
    help="Share of the GPU's memory that is not free.",
    group=_DEVICES,
    expression=lambda _: (
        f"1 - max {_BY_DEVICE} ({catalog.GPU_MEMORY_FREE})\n"
        f"/ (max {_BY_DEVICE} ({catalog.GPU_MEMORY_TOTAL}) > 0)"
    ),
    unit=Unit.RATIO,
)


def _growth(spec: Spec) -> str:
    slow, fast = (
        f"max {_BY_DEVICE} (deriv({catalog.GPU_MEMORY_USED}[{window(spec, over)}]))"
        for over in (HALF_HOUR, TEN_MINUTES)
    )
    # The lower of the two: a model that was just loaded grew, but does not grow.
    return f"{fast} < {slow}\nor\n{slow}"


MEMORY_GROWTH: Final = Recorded(
    name="gpu:ml_gpu_memory_used_bytes:deriv30m",
    labels=DEVICE,
    help="Bytes a second by which the memory in use grows: the lower of the slopes over 30 and "
    "over 10 minutes.",
    group=_DEVICES,
    expression=_growth,
)
MEMORY_FULL: Final = Recorded(
    name="gpu:ml_gpu_memory_full:seconds",
    labels=DEVICE,
    help="Time until the memory is full at that pace; absent where it does not grow or has more "
    "than 30 days.",
    group=_DEVICES,
    expression=lambda _: (
        f"max {_BY_DEVICE} ({catalog.GPU_MEMORY_FREE}) / ({MEMORY_GROWTH} > 0)\n<= 30 * 86400"
    ),
    unit=Unit.SECONDS,
)
UTILIZATION: Final = Recorded(
    name="gpu:ml_gpu_utilization_ratio:mean5m",
    labels=DEVICE,
    help="Share of the last five minutes in which a kernel ran.",
    group=_DEVICES,
    expression=lambda spec: _mean(catalog.GPU_UTILIZATION, spec, FIVE_MINUTES),
    unit=Unit.RATIO,
)
UTILIZATION_1H: Final = Recorded(
    name="gpu:ml_gpu_utilization_ratio:mean1h",
    labels=DEVICE,
    help="Share of the last hour in which a kernel ran.",
    group=_HOURS,
    expression=lambda spec: _mean(catalog.GPU_UTILIZATION, spec, HOUR),
    unit=Unit.RATIO,
)
POWER: Final = Recorded(
    name="gpu:ml_gpu_power_watts:mean5m",
    labels=DEVICE,
    help="Mean power over five minutes: from the energy counter, and where there is none from the "
    "readings.",
    group=_DEVICES,
    expression=lambda spec: (
        f"max {_BY_DEVICE} (rate({catalog.GPU_ENERGY}[{window(spec, FIVE_MINUTES)}]))\n"
        f"or\n{_mean(catalog.GPU_POWER, spec, FIVE_MINUTES)}"
    ),
    unit=Unit.WATTS,
)
THROTTLED: Final = Recorded(
    name="gpu:ml_gpu_throttled:ratio_rate5m",
    labels=DEVICE,
    help="Share of the last five minutes for which power or temperature held the clocks down; the "
    "longest of the reasons, because they overlap.",
    group=_DEVICES,
    expression=lambda spec: (
        f"max {_BY_DEVICE} (rate({catalog.GPU_CLOCK_EVENT_SECONDS}"
        f'{{reason=~"{"|".join(THROTTLING)}"}}[{window(spec, FIVE_MINUTES)}]))'
    ),
    unit=Unit.RATIO,
)

# Each model

MODEL_SM_ON_GPU: Final = Recorded(
    name="gpu:ml_gpu_model_sm_utilization_ratio:mean5m",
    labels=(*DEVICE, *MODEL),
    help="Use of one GPU's multiprocessors by one model over five minutes; the processes of no "
    "known model are model other.",
    group=_MODELS,
    expression=lambda spec: _mean(
        catalog.GPU_MODEL_SM_UTILIZATION, spec, FIVE_MINUTES, by=_BY_BOTH
    ),
    unit=Unit.RATIO,
)


def _share(of: str) -> str:
    return f"{of} / {_ON_DEVICE} group_left () (sum {_BY_DEVICE} ({of}) > 0)"


MODEL_SHARE: Final = Recorded(
    name="gpu:ml_gpu_model_share:ratio",
    labels=(*DEVICE, *MODEL),
    help="The part of one GPU that is a model's: of the multiprocessors' use, and where that is "
    "unknown or nothing runs, of the memory held.",
    group=_MODELS,
    expression=lambda _: (
        f"{_share(str(MODEL_SM_ON_GPU))}\nor {_ON_DEVICE}\n"
        f"{_share(f'max {_BY_BOTH} ({catalog.GPU_MODEL_MEMORY})')}"
    ),
    unit=Unit.RATIO,
)
MODEL_GPUS: Final = Recorded(
    name="model:ml_gpu:count",
    labels=MODEL,
    help="GPUs on which the model holds memory.",
    group=_MODELS,
    expression=lambda _: f"count {_BY_MODEL} ({MODEL_ON_GPU})",
)
MODEL_MEMORY: Final = Recorded(
    name="model:ml_gpu_memory_bytes:sum",
    labels=MODEL,
    help="GPU memory that the model holds on all GPUs.",
    group=_MODELS,
    expression=lambda _: f"sum {_BY_MODEL} ({catalog.GPU_MODEL_MEMORY}{{{_KNOWN}}})",
    unit=Unit.BYTES,
)
MODEL_SM: Final = Recorded(
    name="model:ml_gpu_sm_utilization_ratio:sum_mean5m",
    labels=MODEL,
    help="Multiprocessors that the model uses, in GPUs: 1.5 is one GPU and a half.",
    group=_MODELS,
    expression=lambda _: f"sum {_BY_MODEL} ({MODEL_SM_ON_GPU}{{{_KNOWN}}})",
)
MODEL_POWER: Final = Recorded(
    name="model:ml_gpu_power_watts:mean5m",
    labels=MODEL,
    help="The model's part of the power of its GPUs.",
    group=_MODELS,
    expression=lambda _: (
        f"sum {_BY_MODEL} (\n  {MODEL_SHARE}{{{_KNOWN}}} * {_ON_DEVICE} group_left () {POWER}\n)"
    ),
    unit=Unit.WATTS,
)
JOULES_PER_1000_REQUESTS: Final = Recorded(
    name="model:ml_gpu_energy_joules:per_1000_requests_5m",
    labels=MODEL,
    help="GPU energy for a thousand requests; absent without requests.",
    group=_MODELS,
    expression=lambda _: f"1000 * {MODEL_POWER} / {_ON_MODEL} ({recorded.REQUESTS} > 0)",
    unit=Unit.JOULES,
)


GPU_RECORDED: Final = (
    MODEL_ON_GPU,
    HOLDER,
    EXPECTED,
    MEMORY_RATIO,
    MEMORY_GROWTH,
    MEMORY_FULL,
    UTILIZATION,
    UTILIZATION_1H,
    POWER,
    THROTTLED,
    MODEL_SM_ON_GPU,
    MODEL_SHARE,
    MODEL_GPUS,
    MODEL_MEMORY,
    MODEL_SM,
    MODEL_POWER,
    JOULES_PER_1000_REQUESTS,
)
"""All of them, in the order in which they are evaluated."""
