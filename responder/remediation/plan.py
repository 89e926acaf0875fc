"""What should be done about a notification, by models.yaml."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contract.quantity import Duration
from contract.remediation import reaches
from contract.spec import Action, Spec
from responder.notification import Notification

__all__ = ["Incident", "Plan", "Planned", "incident_of"]

Incident = tuple[str, dt.datetime]
"""What tells incidents apart: the alert's fingerprint, and when it began to fire."""


def incident_of(notification: Notification) -> Incident:
    """The incident that a notification is about."""
    return (notification.fingerprint, notification.starts_at)


@dataclass(frozen=True, slots=True)
class Planned:
    """One action about one incident.

    `id` is the same whenever the same action is planned for the same incident, so that it can be
    recognised after a restart, and by the other side as the key of idempotency.
    """

    id: str
    notification: Notification
    action: Action
    due: dt.datetime
    dry_run: bool
    cooldown: dt.timedelta
    verify_within: dt.timedelta

    @property
    def label(self) -> str:
        """What the action is called."""
        return self.action.label

    @property
    def model(self) -> str:
        """The model's name: what may not be acted upon twice at once."""
        return self.notification.model


class Plan:
    """The actions of a models.yaml, by model, version and alert."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._actions: Mapping[tuple[str, str, str], tuple[Action, ...]] = {
            (*model.key, alert): tuple(a for a in model.remediation if a.on == alert)
            for model in spec.models
            for alert in {action.on for action in model.remediation}
        }

    def of(self, notification: Notification) -> Iterator[Planned]:
        """What should be done about a notification, in the order of models.yaml."""
        key = (notification.model, notification.version, notification.alertname)
        for action in self._actions.get(key, ()):
            if reaches(notification.severity, action):
                yield self._planned(notification, action)

    def verify_within(self, key: tuple[str, str, str], label: str) -> dt.timedelta:
        """How soon after an action its alert should resolve; nothing where it is gone from here.

        `key` are model, version and alert.
        """
        found = (a.verify_within for a in self._actions.get(key, ()) if a.label == label)
        within = next(found, None)
        return dt.timedelta() if within is None else self._time(within)

    def _planned(self, notification: Notification, action: Action) -> Planned:
        rules = self.spec.remediation
        waited = self._time(action.after) if action.after else dt.timedelta()
        return Planned(
            id=_identity(notification, action),
            notification=notification,
            action=action,
            due=notification.starts_at + waited,
            dry_run=rules.dry_run or action.dry_run,
            cooldown=self._time(action.cooldown or rules.cooldown),
            verify_within=self._time(action.verify_within),
        )

    def _time(self, duration: Duration) -> dt.timedelta:
        return dt.timedelta(milliseconds=self.spec.clock(duration).milliseconds)


def _identity(notification: Notification, action: Action) -> str:
    parts = (notification.fingerprint, notification.starts_at.isoformat(), action.label)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
