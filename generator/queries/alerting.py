"""When each alert fires: PromQL over recorded series, joined with the promises of models.yaml.

One expression serves every model: its threshold comes from `model:ml_alert_threshold`, its team
from the same series. The value of an alert is always what is measured, never the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract import catalog
from contract.alerts import MIN_REQUESTS, NEARLY_FULL, GpuThreshold
from contract.quantity import Duration
from contract.spec import QUANTILES, Severity
from contract.xid import RESET_CODES
from generator.queries import recorded, recorded_gpu
from generator.queries.recorded import Recorded
from generator.queries.recorded_gpu import DEVICE, HOLDER, NO_MODEL

__all__ = [
    "GPU_EXPRESSIONS",
    "MODEL_EXPRESSIONS",
    "STACK_EXPRESSIONS",
    "STACK_JOBS",
    "Promise",
    "codes_lookup",
    "threshold_lookup",
]

STACK_JOBS: Final = ("ml-drift", "ml-gpu", "ml-responder", "alertmanager")
"""The scrape jobs of the stack itself; the targets of models have an alert of their own."""

_ON_MODEL: Final = "on (model_name, model_version)"


@dataclass(frozen=True, slots=True, order=True)
class Promise:
    """What one rule watches: the thresholds of one alert and severity that share a `for`."""

    alert: str
    severity: Severity
    hold: Duration

    @property
    def thresholds(self) -> str:
        """The thresholds, one series a model."""
        return (
            f'{recorded.THRESHOLD}{{alert="{self.alert}", severity="{self.severity}", '
            f'hold="{self.hold}"}}'
        )


def _compare(measured: str, comparison: str, promise: Promise) -> str:
    """The measured series that break the promise of their model, with its team."""
    return f"{measured}\n{comparison} {_ON_MODEL} group_left (team)\n{promise.thresholds}"


def _above(measured: Recorded, *, guarded: bool) -> Callable[[Promise], str]:
    def expression(promise: Promise) -> str:
        broken = _compare(str(measured), ">", promise)
        guard = f"\nand {_ON_MODEL}\n{recorded.REQUESTS_INCREASE} >= {MIN_REQUESTS}"
        return broken + guard if guarded else broken

    return expression


def _drifted(promise: Promise) -> str:
    # The verdict knows the noise floor and min_samples; the comparison adds team and threshold.
    return (
        f"{_compare(str(recorded.DRIFT_SCORE), '>', promise)}\n"
        "and on (model_name, model_version, feature_name)\n"
        f'{recorded.DRIFT_DETECTED}{{severity="{promise.severity}"}}'
    )


MODEL_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    "TargetDown": lambda promise: _compare(str(recorded.TARGET_UP), "<", promise),
    "HighErrorRatio": _above(recorded.ERROR_RATIO, guarded=True),
    **{
        f"HighLatency{name.upper()}": _above(recorded.LATENCY_QUANTILES[name], guarded=True)
        for name in QUANTILES.values()
    },
    "FeatureDrift": _drifted,
    "DriftShare": _above(recorded.DRIFTED_FEATURES, guarded=False),
    "DriftEvaluationStale": lambda promise: _compare(
        f"time() - {recorded.DRIFT_EVALUATED}", ">", promise
    ),
}
"""The alerts of models, by name; the series carry model_name, model_version and team."""


# GPUs: their thresholds stand in the rule itself, because no model can set them alone

_BY_DEVICE: Final = f"by ({', '.join(DEVICE)})"
_ON_DEVICE: Final = f"on ({', '.join(DEVICE)})"
_RESET: Final = f'xid=~"{"|".join(map(str, RESET_CODES))}"'


def _held(condition: str, *, by_model: bool = False) -> str:
    """The devices of a condition, once for each model on them, with its team.

    A device without models is model none, unless only those that models hold count.
    """
    holders = f'{HOLDER}{{model_name!="{NO_MODEL}"}}' if by_model else str(HOLDER)
    return f"({condition})\n* {_ON_DEVICE} group_right ()\n{holders}"


def _limit(threshold: GpuThreshold) -> str:
    return f"{threshold.value:.12g}"


def _missing(threshold: GpuThreshold) -> str:
    expected = recorded_gpu.EXPECTED
    known = f"count by (instance) ({catalog.GPU_UP})"
    # A GPU that is lost is known, and has an alert of its own.
    return f"{expected}\n- ({known} or 0 * {expected})\n> {_limit(threshold)}"


def _xid(threshold: GpuThreshold) -> str:
    last = f"max {_BY_DEVICE} ({catalog.GPU_XID_LAST}{{{_RESET}}})"
    return _held(f"time() - {last} < {_limit(threshold)}")


def _ecc(threshold: GpuThreshold) -> str:
    limit = _limit(threshold)
    errors = f'max {_BY_DEVICE} ({catalog.GPU_ECC_ERRORS}{{error="uncorrected"}})'
    failed = f"max {_BY_DEVICE} ({catalog.GPU_ROW_REMAP_FAILED})"
    return _held(f"{errors} > {limit}\nor {_ON_DEVICE}\n{failed} > {limit}")


def _memory_filling(threshold: GpuThreshold) -> str:
    return _held(
        f"{recorded_gpu.MEMORY_FULL} < {_limit(threshold)}\n"
        f"and {_ON_DEVICE}\n{recorded_gpu.MEMORY_RATIO} > {NEARLY_FULL:g}"
    )


def _throttled_and_slow(threshold: GpuThreshold) -> str:
    throttled = _held(f"{recorded_gpu.THROTTLED} > {_limit(threshold)}", by_model=True)
    return (
        f"{throttled}\nand {_ON_MODEL}\n{recorded_gpu.LATENCY_OF_LIMIT} > 1\n"
        f"and {_ON_MODEL}\n{recorded.REQUESTS_INCREASE} >= {MIN_REQUESTS}"
    )


GPU_EXPRESSIONS: Final[dict[str, Callable[[GpuThreshold], str]]] = {
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

STACK_EXPRESSIONS: Final[dict[str, str]] = {
    "ExporterDown": f'up{{job=~"{"|".join(STACK_JOBS)}"}} == 0',
    "PromisesMissing": f"absent({recorded.THRESHOLD})",
    "Watchdog": "vector(1)",
}
"""The alerts of the stack itself, by name."""


def threshold_lookup(alert: str, severity: Severity) -> str:
    """The threshold of a firing alert, for a template that fills both %s with quoted strings."""
    return (
        f"{recorded.THRESHOLD}{{alert='{alert}',severity='{severity}',"
        "model_name=%q,model_version=%q}"
    )


def codes_lookup(age: float) -> str:
    """The XID errors of a GPU not older than `age` seconds.

    It is for a template that fills the three %q with the labels of the device.
    """
    labels = ",".join(f"{label}=%q" for label in DEVICE)
    codes = _RESET.replace('"', "'")
    return f"time() - {catalog.GPU_XID_LAST}{{{codes},{labels}}} < {age:.12g}"
