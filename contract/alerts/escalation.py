"""When an alert that nobody took care of becomes the next severity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contract.alerts.alert import Threshold
from contract.quantity import Duration
from contract.spec import SEVERITIES, Severity, Spec

__all__ = ["Escalation", "escalations", "next_severity"]


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


def escalations(spec: Spec, thresholds: Iterator[Threshold]) -> Iterator[Escalation]:
    """Those of all models that ask for it, as Prometheus's clock has them."""
    told: set[Escalation] = set()
    for one in thresholds:
        model = spec.model(one.model_name, one.model_version)
        assert model is not None
        settings = model.alerts.get(one.alert)
        after = (settings.escalate_after if settings else None) or spec.defaults.escalate_after
        # The tiers of a budget's burn are an escalation already.
        if after is None or one.severity == "critical" or one.alert.startswith("ErrorBudgetBurn"):
            continue
        whole = Duration(spec.clock(one.hold).milliseconds + spec.clock(after).milliseconds)
        found = Escalation(one.alert, one.severity, one.model_name, one.model_version, whole)
        if found not in told:
            told.add(found)
            yield found
