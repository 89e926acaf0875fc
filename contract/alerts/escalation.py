"""When an alert that nobody took care of becomes the next severity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contract.alerts.alert import Alert, Threshold
from contract.alerts.serving import SERVING_ALERTS
from contract.quantity import Duration
from contract.spec import SEVERITIES, Severity, Spec

__all__ = ["BURN", "Escalation", "escalations", "lasts", "next_severity"]

BURN: Final = "ErrorBudgetBurn"
"""What the names of the tiers of error budgets begin with: they are an escalation already."""

_ENDING: Final = {alert.name: alert for alert in SERVING_ALERTS if alert.ends_within}


@dataclass(frozen=True, slots=True, order=True)
class Escalation:
    """One alert of one model: `after` it has been true for so long, its `for` included."""

    alert: str
    severity: Severity
    model_name: str
    model_version: str
    after: Duration


def next_severity(severity: Severity) -> Severity:
    """What it becomes. There is none above critical."""
    return SEVERITIES[SEVERITIES.index(severity) + 1]


def lasts(alert: Alert, hold: Duration, after: Duration) -> bool:
    """Whether an alert that waited for its `hold` can still be there after so long."""
    longest = alert.ends_within
    return longest is None or hold.milliseconds + after.milliseconds <= longest.milliseconds


def escalations(spec: Spec, thresholds: Iterator[Threshold]) -> Iterator[Escalation]:
    """Those of all models that ask for it, as Prometheus's clock has them.

    What `defaults` asks of an alert that will have ended by itself is left out.
    """
    told: set[Escalation] = set()
    models = {model.key: model for model in spec.versions}
    for one in thresholds:
        settings = models[one.model_name, one.model_version].alerts.get(one.alert)
        after = (settings.escalate_after if settings else None) or spec.defaults.escalate_after
        if after is None or one.severity == "critical" or one.alert.startswith(BURN):
            continue
        if one.alert in _ENDING and not lasts(_ENDING[one.alert], one.hold, after):
            continue
        whole = Duration(spec.clock(one.hold).milliseconds + spec.clock(after).milliseconds)
        found = Escalation(one.alert, one.severity, one.model_name, one.model_version, whole)
        if found not in told:
            told.add(found)
            yield found
