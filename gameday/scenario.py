"""What a scenario is: what is broken, who must be told what, and what else may be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from contract.catalog import Metric
from contract.spec import Severity, Spec
from gameday.environment import Environment
from gameday.injections import Injection
from gameday.receivers import LOG

__all__ = ["Expected", "Implied", "Reach", "Scenario", "receiver_of"]

Reach = Callable[[Environment], float]
"""Seconds from an injection until what is measured breaks the promise, if it were looked at all
the time."""

NOBODY = "none"
"""The model of an alert that is about none."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An alert that must come, and through what it sees the failure.

    `labels` are others that it must have; `receiver` is set where it is not the team's usual one.
    """

    alert: str
    severity: Severity
    seen_in: Metric | str
    reach: Reach
    model: str = NOBODY
    labels: Mapping[str, str] = field(default_factory=dict)
    receiver: str | None = None
    resolves: bool = True
    """Whether its end must be told, too."""

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels, alertname among them, is this one."""
        wanted = {
            "alertname": self.alert,
            "severity": self.severity,
            "model_name": self.model,
            **self.labels,
        }
        return wanted.items() <= labels.items()


@dataclass(frozen=True, kw_only=True)
class Implied:
    """An alert that may come as well, because what is broken is rightly its business."""

    alert: str
    why: str
    model: str | None = None
    """None: of any model that the scenario touches."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One thing that is broken.

    `touches` names models, and parts of the stack, that nothing else may use meanwhile; the models
    are those whose alerts may fire. `alone`: nothing else at all may be broken meanwhile.
    """

    name: str
    says: str
    injection: Injection
    touches: frozenset[str]
    expects: tuple[Expected, ...]
    implied: tuple[Implied, ...] = ()
    alone: bool = False
    needs: float = 0.0
    """Seconds that the stack must have run before: how much past its windows need."""

    def explains(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is expected or implied."""
        if any(expected.fits(labels) for expected in self.expects):
            return True
        model = labels.get("model_name", "")
        return any(
            one.alert == labels.get("alertname")
            and (model == one.model if one.model else model in self.touches | {NOBODY})
            for one in self.implied
        )


def receiver_of(expected: Expected, spec: Spec) -> str:
    """Where the generated routes should bring an alert: its team's webhook, or the log."""
    if expected.receiver is not None:
        return expected.receiver
    model = spec.model(expected.model)
    team = spec.defaults.team if model is None else model.team
    return team if "webhook" in spec.routing.channels(expected.severity) else LOG
