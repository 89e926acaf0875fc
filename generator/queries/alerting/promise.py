"""How what is measured is held against the promises of models.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contract.alerts import MIN_REQUESTS, CommonThreshold
from contract.quantity import Duration
from contract.spec import Severity
from generator.queries import recorded
from generator.queries.recorded import Recorded

__all__ = [
    "ON_MODEL",
    "Promise",
    "above",
    "compare",
    "enough",
    "escalated",
    "escalated_after",
    "side_lookup",
    "threshold_lookup",
]

ON_MODEL: Final = "on (model_name, model_version)"


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


def compare(measured: str, comparison: str, promise: Promise, *, by: str = "") -> str:
    """The measured series that break the promise of their model, with its team.

    Where an alert watches several promises of a model, `by` is the label of the measured series
    that tells them apart; it becomes `objective`, as the thresholds have it.
    """
    on = ON_MODEL
    if by:
        on = "on (model_name, model_version, objective)"
    if by not in {"", "objective"}:
        measured = f'label_replace({measured}, "objective", "$1", "{by}", "(.*)")'
    return f"{measured}\n{comparison} {on} group_left (team)\n{promise.thresholds}"


def above(measured: Recorded, *, guarded: bool) -> Callable[[Promise], str]:
    """What is measured is above its threshold; `guarded`: and there were enough requests."""

    def expression(promise: Promise) -> str:
        broken = compare(str(measured), ">", promise)
        return enough(broken) if guarded else broken

    return expression


def enough(condition: str) -> str:
    """A condition, where there were enough requests to say so."""
    return f"{condition}\nand {ON_MODEL}\n{recorded.REQUESTS_INCREASE} >= {MIN_REQUESTS}"


def escalated(alert: str, severity: Severity) -> str:
    """Alerts of one severity that have been true for too long; as series of that alert."""
    since = f'ALERTS_FOR_STATE{{alertname="{alert}", severity="{severity}", escalated_from=""}}'
    longest = f'{recorded.ESCALATION}{{alert="{alert}", severity="{severity}"}}'
    return f"time() - {since}\n> {ON_MODEL} group_left ()\n{longest}"


def escalated_after(threshold: CommonThreshold) -> str:
    """The same of an alert that is no model's to set: how long is known when it is rendered."""
    assert threshold.escalate_after is not None
    since = (
        f'ALERTS_FOR_STATE{{alertname="{threshold.alert}", severity="{threshold.severity}", '
        'escalated_from=""}'
    )
    return f"time() - {since} > {threshold.escalate_after.seconds:.12g}"


def side_lookup(series: Recorded, side: str) -> str:
    """What is known of one side of a comparison, for a template that fills each %q with a label."""
    return (
        f"{series}{{side='{side}',model_name=%q,model_version=%q,baseline_version=%q,objective=%q}}"
    )


def threshold_lookup(alert: str, severity: Severity) -> str:
    """The threshold of a firing alert, for a template that fills each %q with a label."""
    return (
        f"{recorded.THRESHOLD}{{alert='{alert}',severity='{severity}',"
        "model_name=%q,model_version=%q,objective=%q}"
    )
