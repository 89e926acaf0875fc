"""What fires that nothing explains: every alert, at every moment, at every receiver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gameday.environment import Environment
from gameday.receivers import LOG, Receivers
from gameday.scenario import Scenario

__all__ = ["FalseAlarm", "Watch"]

_TOLD_APART = ("alertname", "severity", "model_name", "feature_name", "objective", "job", "gpu_id")
_WATCHDOG = "Watchdog"


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """An alert that no scenario explained when it was seen; `at` in seconds of uptime."""

    labels: Mapping[str, str]
    where: str
    at: float
    during: tuple[str, ...]

    def text(self) -> str:
        """What fired, and of what."""
        about = " ".join(self.labels[key] for key in _TOLD_APART[2:] if key in self.labels)
        return f"{self.labels['alertname']} ({self.labels.get('severity', '')}) of {about}"


class Watch:
    """Looks at Prometheus and all receivers over and over, in a thread of its own."""

    def __init__(
        self, environment: Environment, receivers: Receivers, say: Callable[[str], None]
    ) -> None:
        self._environment = environment
        self._receivers = receivers
        self._say = say
        self._active: list[Scenario] = []
        self._found: dict[tuple[str, ...], FalseAlarm] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen = 0.0

    def start(self) -> None:
        """Look from now on."""
        self._seen = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._thread.join(6)

    def begin(self, scenario: Scenario) -> None:
        """From now on a scenario may be the reason of what fires."""
        with self._lock:
            self._active.append(scenario)

    def end(self, scenario: Scenario) -> None:
        """From now on it may not."""
        with self._lock:
            self._active.remove(scenario)

    @property
    def active(self) -> list[Scenario]:
        """The scenarios that may be a reason now."""
        with self._lock:
            return list(self._active)

    @property
    def false_alarms(self) -> list[FalseAlarm]:
        """All so far, each alert once."""
        with self._lock:
            return list(self._found.values())

    def _run(self) -> None:
        while not self._stop.is_set():
            for labels in self._environment.firing():
                self._judge(labels, "Prometheus")
            since, self._seen = self._seen, time.monotonic()
            for delivery in self._receivers.get(since):
                notification = delivery.notification
                if notification.status != "firing":
                    continue
                labels = {
                    **notification.labels,
                    "alertname": notification.alertname,
                    "severity": notification.severity,
                    "model_name": notification.model,
                }
                if delivery.receiver in (LOG, notification.team):
                    self._judge(labels, delivery.receiver)
                else:
                    self._keep(labels, f"the receiver of {delivery.receiver}")
            self._stop.wait(0.5)

    def _judge(self, labels: Mapping[str, str], where: str) -> None:
        with self._lock:
            explained = any(scenario.explains(labels) for scenario in self._active)
        if not explained and labels.get("alertname") != _WATCHDOG:
            self._keep(labels, where)

    def _keep(self, labels: Mapping[str, str], where: str) -> None:
        key = tuple(labels.get(name, "") for name in _TOLD_APART)
        with self._lock:
            if key in self._found:
                return
            during = tuple(scenario.name for scenario in self._active)
            found = FalseAlarm(dict(labels), where, self._environment.uptime, during)
            self._found[key] = found
        self._say(f"FALSE ALARM at {where}: {found.text()}")
