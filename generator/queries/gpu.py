"""What the GPU dashboard asks, by device and by model: is anything wrong, and why?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric
from contract.spec import Severity
from generator.queries import recorded_gpu as recorded
from generator.queries.recorded import Recorded
from generator.queries.recorded_gpu import DEVICE, OTHER, THROTTLING
from generator.queries.selection import ALERTS, ALERTS_SINCE, FIRING, RATE_INTERVAL

__all__ = [
    "age",
    "alert_annotations",
    "alerts",
    "answering",
    "answers",
    "call_seconds",
    "clock_of_limit",
    "closest_to_full",
    "driver",
    "ecc_errors",
    "expected",
    "firing",
    "gpus_variable",
    "identity",
    "instance_ratio",
    "joules",
    "least_margin",
    "link_errors",
    "lost",
    "machines_variable",
    "margin",
    "mean",
    "memory_by_model",
    "memory_full",
    "memory_ratio",
    "memory_total",
    "memory_used",
    "model_gpus",
    "model_memory",
    "model_power",
    "model_sm",
    "nvlink",
    "of_device",
    "out_of_use",
    "pcie",
    "power_by_model",
    "power_of_limit",
    "read_errors",
    "reasons",
    "simulated",
    "sm_by_model",
    "throttled",
    "top_joules",
    "uncorrectable",
    "utilization",
    "xid_errors",
    "xids",
]

_DEVICES: Final = 'instance=~"$machine", gpu_uuid=~"$gpu"'
_MACHINES: Final = 'instance=~"$machine"'
_OF_GPUS: Final = 'alertname=~"Gpus?[A-Z].+"'
_BY_DEVICE: Final = f"by ({', '.join(DEVICE)})"
_ON_DEVICE: Final = f"on ({', '.join(DEVICE)})"
_BY_MODEL: Final = f"by ({', '.join(MODEL)})"
_ON_MODEL: Final = f"on ({', '.join(MODEL)})"
_TOP: Final = 6
"""Lines in one graph: more can't be told apart."""

Series = Recorded | Metric


def machines_variable() -> str:
    """The exporters that read GPUs."""
    return f"label_values({catalog.GPU_UP}, instance)"


def gpus_variable() -> str:
    """The GPUs of the chosen machines."""
    return f"label_values({catalog.GPU_UP}{{{_MACHINES}}}, gpu_uuid)"


def _chosen(series: Series | str, matchers: str = "", at: str = "") -> str:
    return f"{series}{{{', '.join(filter(None, (_DEVICES, matchers)))}}}{at}"


def _machine(series: Series) -> str:
    return f"{series}{{{_MACHINES}}}"


def _rate(series: Metric, by: str, matchers: str = "") -> str:
    return f"sum by ({by}) (rate({_chosen(series, matchers)}[{RATE_INTERVAL}]))"


# Is anything wrong?


def simulated() -> str:
    """1 where any of the GPUs is a simulation, 0 where all are real."""
    return f"max({_machine(catalog.GPU_SIMULATED)})"


def firing(severity: Severity) -> str:
    """How many alerts about the chosen GPUs fire; 0 where none does."""
    matchers = f'{_OF_GPUS}, {FIRING}, severity="{severity}"'
    return f"count({_chosen(ALERTS, matchers)}) or vector(0)"


def answering() -> str:
    """GPUs that answer."""
    return f"sum({_chosen(catalog.GPU_UP)})"


def lost() -> str:
    """GPUs that did since the exporters started, and are lost; 0 where none is."""
    return f"count({_chosen(catalog.GPU_UP)} == 0) or vector(0)"


def expected() -> str:
    """GPUs that the machines should have, where models.yaml says so."""
    return f"sum({_machine(catalog.GPU_EXPECTED_DEVICES)})"


def closest_to_full() -> str:
    """Time until the memory of the first of them is full."""
    return f"min({_chosen(recorded.MEMORY_FULL)})"


def least_margin() -> str:
    """Degrees that the hottest of them has left until it slows down."""
    return f"min({_chosen(catalog.GPU_TEMPERATURE_MARGIN)})"


def age() -> str:
    """Time since the oldest reading."""
    return f"max({_machine(catalog.GPU_READING_AGE)})"


def alerts() -> str:
    """Alerts about the chosen GPUs, as the time (Unix, ms) since when the reason of each holds."""
    now = _chosen(ALERTS, _OF_GPUS)
    return f"{now} * ignoring (alertstate) group_left () {ALERTS_SINCE} * 1000"


def alert_annotations() -> str:
    """Alerts about GPUs that fire, as marks on the graphs."""
    return _chosen(ALERTS, f"{_OF_GPUS}, {FIRING}")


# One value for each GPU: rows of the table, and lines of few


def of_device(series: Series) -> str:
    """A series with the labels of the device alone."""
    return f"max {_BY_DEVICE} ({_chosen(series)})"


def answers() -> str:
    """1 where the GPU answers, else 0."""
    return of_device(catalog.GPU_UP)


def power_of_limit() -> str:
    """Power as a share of its limit."""
    return f"{of_device(recorded.POWER)} / ({of_device(catalog.GPU_POWER_LIMIT)} > 0)"


def clock_of_limit() -> str:
    """The clock of the multiprocessors as a share of the highest."""
    return f"{of_device(catalog.GPU_SM_CLOCK)} / ({of_device(catalog.GPU_SM_CLOCK_LIMIT)} > 0)"


def xids() -> str:
    """XID errors of any code since the exporter started."""
    return f"sum {_BY_DEVICE} ({_chosen(catalog.GPU_XID_ERRORS)})"


def uncorrectable() -> str:
    """Uncorrectable memory errors since the driver was loaded."""
    errors = _chosen(catalog.GPU_ECC_ERRORS, 'error="uncorrected"')
    return f"max {_BY_DEVICE} ({errors})"


def _top(series: Series, *, lowest: bool = False) -> str:
    """The lines of the few GPUs with the highest (lowest) values of the whole time range."""
    choose, over = ("bottomk", "min") if lowest else ("topk", "max")
    at = f"{over}_over_time({_chosen(series)}[$__range] @ end())"
    return f"{of_device(series)} and {_ON_DEVICE} {choose}({_TOP}, {at})"


def memory_used() -> str:
    """Memory in use of the few GPUs with the most."""
    return _top(catalog.GPU_MEMORY_USED)


def memory_total() -> str:
    """The memory of the largest GPU."""
    return f"max({_chosen(catalog.GPU_MEMORY_TOTAL)})"


def memory_ratio() -> str:
    """Share of the memory that is not free."""
    return _top(recorded.MEMORY_RATIO)


def memory_full() -> str:
    """Time until memory is full, of the GPUs closest to it."""
    return _top(recorded.MEMORY_FULL, lowest=True)


def instance_ratio() -> str:
    """Share of a MIG instance's memory in use, of the few fullest."""
    by = f"by ({', '.join((*DEVICE, 'gpu_instance'))})"
    used, total = (
        f"max {by} ({_chosen(metric)})"
        for metric in (catalog.GPU_INSTANCE_MEMORY_USED, catalog.GPU_INSTANCE_MEMORY_TOTAL)
    )
    most = f"max {by} ({_over_range(catalog.GPU_INSTANCE_MEMORY_USED, 'max')})"
    on = f"on ({', '.join((*DEVICE, 'gpu_instance'))})"
    return f"{used} / ({total} > 0) and {on} topk({_TOP}, {most})"


def utilization() -> str:
    """Share of time in which a kernel ran."""
    return _top(recorded.UTILIZATION)


def margin() -> str:
    """Degrees left until the GPU slows down, of the hottest."""
    return _top(catalog.GPU_TEMPERATURE_MARGIN, lowest=True)


def throttled() -> str:
    """Share of time for which power or temperature held the clocks down."""
    return _top(recorded.THROTTLED)


# All chosen GPUs together


def mean(series: Metric) -> str:
    """Mean over the chosen GPUs that give it."""
    return f"avg({_chosen(series)})"


def reasons() -> str:
    """Share of time for which each reason held the clocks of a GPU down, where it is worst."""
    known_reasons = "|".join((*THROTTLING, "gpu_idle"))
    matchers = f'reason=~"{known_reasons}"'
    rate = f"rate({_chosen(catalog.GPU_CLOCK_EVENT_SECONDS, matchers)}[{RATE_INTERVAL}])"
    return f"max by (reason) ({rate})"


def pcie(direction: Metric) -> str:
    """Bytes a second over PCIe, summed over the chosen GPUs."""
    return f"sum({_chosen(direction)})"


def nvlink(direction: Metric) -> str:
    """Bytes a second over NVLink, summed over the chosen GPUs."""
    return f"sum(rate({_chosen(direction)}[{RATE_INTERVAL}]))"


def link_errors(errors: Metric) -> str:
    """Errors a second on PCIe or NVLink, summed over the chosen GPUs."""
    return f"sum(rate({_chosen(errors)}[{RATE_INTERVAL}]))"


def xid_errors() -> str:
    """XID errors a second by code, of codes that came."""
    return f"{_rate(catalog.GPU_XID_ERRORS, 'xid')} > 0"


def ecc_errors() -> str:
    """Memory errors a second: corrected, uncorrected."""
    return _rate(catalog.GPU_ECC_ERRORS, "error")


def out_of_use() -> str:
    """Pages and rows out of use, by cause."""
    return (
        f"sum by (cause) ({_chosen(catalog.GPU_REMAPPED_ROWS)}"
        f" or {_chosen(catalog.GPU_RETIRED_PAGES)})"
    )


# Models


def memory_by_model() -> str:
    """Memory that each model holds on the chosen GPUs, of those that hold the most."""
    held = f"sum {_BY_MODEL} ({_chosen(catalog.GPU_MODEL_MEMORY)})"
    most = f"sum {_BY_MODEL} ({_over_range(catalog.GPU_MODEL_MEMORY, 'max')})"
    return f"{held} and {_ON_MODEL} topk({_TOP}, {most} > 0)"


def sm_by_model() -> str:
    """Multiprocessors that each model uses on the chosen GPUs, in GPUs."""
    used = f"sum {_BY_MODEL} ({_chosen(recorded.MODEL_SM_ON_GPU)})"
    most = f"sum {_BY_MODEL} ({_over_range(recorded.MODEL_SM_ON_GPU, 'max')})"
    return f"{used} and {_ON_MODEL} topk({_TOP}, {most} > 0)"


def power_by_model() -> str:
    """Power of the chosen GPUs by the model that it is spent on."""
    share = f"{_chosen(recorded.MODEL_SHARE)} * {_ON_DEVICE} group_left () {recorded.POWER}"
    most = f"sum {_BY_MODEL} ({_over_range(recorded.MODEL_SHARE, 'max')})"
    return f"sum {_BY_MODEL} ({share}) and {_ON_MODEL} topk({_TOP}, {most} > 0)"


def _over_range(series: Series, how: str) -> str:
    return f"{how}_over_time({_chosen(series)}[$__range] @ end())"


def _on_chosen(series: Recorded) -> str:
    """A series of models, of those that hold memory of a chosen GPU."""
    return f"max {_BY_MODEL} ({series} and {_ON_MODEL} {_chosen(recorded.MODEL_ON_GPU)})"


def top_joules() -> str:
    """GPU energy for a thousand requests, of the models that spend most on one."""
    series = recorded.JOULES_PER_1000_REQUESTS
    over = f"max_over_time({series}[$__range] @ end())"
    return f"{_on_chosen(series)} and {_ON_MODEL} topk({_TOP}, {over})"


def joules() -> str:
    """GPU energy for a thousand requests of each model."""
    return _on_chosen(recorded.JOULES_PER_1000_REQUESTS)


def model_gpus() -> str:
    """GPUs that each model holds memory of."""
    return f"count {_BY_MODEL} ({_chosen(recorded.MODEL_ON_GPU)})"


def model_memory() -> str:
    """Memory that each model holds on them."""
    known_models = f'model_name!="{OTHER}"'
    # Models without a process on the GPU are there, at 0.
    return f"sum {_BY_MODEL} ({_chosen(catalog.GPU_MODEL_MEMORY, known_models)} > 0)"


def model_sm() -> str:
    """Multiprocessors that each model uses, in GPUs."""
    return _on_chosen(recorded.MODEL_SM)


def model_power() -> str:
    """Each model's part of the power of its GPUs."""
    return _on_chosen(recorded.MODEL_POWER)


# How they are read


def identity() -> str:
    """Each GPU with its name and driver."""
    labels = ", ".join((*DEVICE, "gpu_name", "driver_version"))
    return f"group by ({labels}) ({_chosen(catalog.GPU_INFO)})"


def driver() -> str:
    """Each machine with the versions of driver, NVML and CUDA."""
    labels = ", ".join(("instance", *catalog.GPU_DRIVER_INFO.labels))
    return f"group by ({labels}) ({_machine(catalog.GPU_DRIVER_INFO)})"


def call_seconds() -> str:
    """Seconds a second spent in the NVML calls that take the most."""
    calls = _machine(catalog.GPU_NVML_CALL_SECONDS)
    rate = f"sum by (call) (rate({calls}[{RATE_INTERVAL}]))"
    most = f"sum by (call) (increase({calls}[$__range] @ end()))"
    return f"{rate} and on (call) topk({_TOP}, {most})"


def read_errors() -> str:
    """Values a second that could not be read, by NVML's error."""
    errors = _machine(catalog.GPU_READ_ERRORS)
    return f"sum by (error) (rate({errors}[{RATE_INTERVAL}])) > 0"
