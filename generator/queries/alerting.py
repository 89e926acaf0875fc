"""When each alert fires: PromQL over recorded series, joined with the promises of models.yaml.

One expression serves every model: its threshold comes from `model:ml_alert_threshold`, its team
from the same series. The value of an alert is always what is measured, never the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.alerts import MIN_REQUESTS
from contract.quantity import Duration
from contract.spec import QUANTILES, Severity
from generator.queries import recorded
from generator.queries.recorded import Recorded

__all__ = ["MODEL_EXPRESSIONS", "STACK_EXPRESSIONS", "STACK_JOBS", "Promise", "threshold_lookup"]

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
    "DriftEvaluationStale": lambda promise: _compare(
        f"time() - {recorded.DRIFT_EVALUATED}", ">", promise
    ),
}
"""The alerts of models, by name; the series carry model_name, model_version and team."""

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
