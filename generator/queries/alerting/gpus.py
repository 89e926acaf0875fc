"""When the alerts of GPUs fire: the threshold stands in the rule, as no model can set it alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import MIN_REQUESTS, NEARLY_FULL, CommonThreshold
from contract.xid import RESET_CODES
from generator.queries import recorded, recorded_gpu
from generator.queries.alerting.promise import ON_MODEL
from generator.queries.recorded_gpu import DEVICE, HOLDER, NO_MODEL

__all__ = ["GPU_EXPRESSIONS", "codes_lookup"]

_BY_DEVICE: Final = f"by ({', '.join(DEVICE)})"
_ON_DEVICE: Final = f"on ({', '.join(DEVICE)})"
_RESET: Final = f'xid=~"{"|".join(map(str, RESET_CODES))}"'


def _held(condition: str, *, by_model: bool = False) -> str:
    """The devices of a condition, once for each model on them, with its team.

    A device without models is model none, unless only those that models hold count.
    """
    holders = f'{HOLDER}{{model_name!="{NO_MODEL}"}}' if by_model else str(HOLDER)
    return f"({condition})\n* {_ON_DEVICE} group_right ()\n{holders}"


def _limit(threshold: CommonThreshold) -> str:
    return f"{threshold.value:.12g}"


def _missing(threshold: CommonThreshold) -> str:
    expected = recorded_gpu.EXPECTED
    known = f"count by (instance) ({catalog.GPU_UP})"
    # A GPU that is lost is known, and has an alert of its own.
    return f"{expected}\n- ({known} or 0 * {expected})\n> {_limit(threshold)}"


def _xid(threshold: CommonThreshold) -> str:
    last = f"max {_BY_DEVICE} ({catalog.GPU_XID_LAST}{{{_RESET}}})"
    return _held(f"time() - {last} < {_limit(threshold)}")


def _ecc(threshold: CommonThreshold) -> str:
    limit = _limit(threshold)
    errors = f'max {_BY_DEVICE} ({catalog.GPU_ECC_ERRORS}{{error="uncorrected"}})'
    failed = f"max {_BY_DEVICE} ({catalog.GPU_ROW_REMAP_FAILED})"
    return _held(f"{errors} > {limit}\nor {_ON_DEVICE}\n{failed} > {limit}")


def _memory_filling(threshold: CommonThreshold) -> str:
    return _held(
        f"{recorded_gpu.MEMORY_FULL} < {_limit(threshold)}\n"
        f"and {_ON_DEVICE}\n{recorded_gpu.MEMORY_RATIO} > {NEARLY_FULL:g}"
    )


def _throttled_and_slow(threshold: CommonThreshold) -> str:
    throttled = _held(f"{recorded_gpu.THROTTLED} > {_limit(threshold)}", by_model=True)
    return (
        f"{throttled}\nand {ON_MODEL}\n{recorded.LATENCY_OF_LIMIT} > 1\n"
        f"and {ON_MODEL}\n{recorded.REQUESTS_INCREASE} >= {MIN_REQUESTS}"
    )


GPU_EXPRESSIONS: Final[dict[str, Callable[[CommonThreshold], str]]] = {
    "GpuLost": lambda limit: _held(f"max {_BY_DEVICE} ({catalog.GPU_UP}) < {_limit(limit)}"),
    "GpusMissing": _missing,
    "GpuXid": _xid,
    "GpuEccUncorrectable": _ecc,
    "GpuMemoryFilling": _memory_filling,
    "GpuHot": lambda limit: _held(
        f"max {_BY_DEVICE} ({catalog.GPU_TEMPERATURE_MARGIN}) < {_limit(limit)}"
    ),
    "GpuThrottledAndSlow": _throttled_and_slow,
    "GpuIdleButHeld": lambda limit: _held(
        f"{recorded_gpu.UTILIZATION_1H} < {_limit(limit)}", by_model=True
    ),
}
"""The alerts of GPUs, by name; the series carry the device, model_name, model_version and team,
those of GpusMissing only the instance."""


def codes_lookup(age: float) -> str:
    """The XID errors of a GPU not older than `age` seconds.

    It is for a template that fills the three %q with the labels of the device.
    """
    labels = ",".join(f"{label}=%q" for label in DEVICE)
    codes = _RESET.replace('"', "'")
    return f"time() - {catalog.GPU_XID_LAST}{{{codes},{labels}}} < {age:.12g}"
