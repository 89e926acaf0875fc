"""The alerts of the stack itself, whatever models.yaml says."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert
from contract.quantity import Duration

__all__ = ["STACK_ALERTS"]

STACK_ALERTS: Final = (
    Alert(
        "ExporterDown",
        ("error",),
        Duration.parse("5m"),
        "{job} at {instance} is down",
        "Prometheus cannot scrape {job} at {instance}; what it exposes is missing "
        "until it is back.",
    ),
    Alert(
        "PromisesMissing",
        ("critical",),
        Duration.parse("5m"),
        "The thresholds of all alerts are missing",
        "No series of thresholds arrives from the drift collector, so that no model's alerts can "
        "fire.",
    ),
    Alert(
        "Watchdog",
        ("info",),
        Duration(0),
        "Alerting works",
        "This alert always fires. If it stops arriving, Prometheus or Alertmanager is broken.",
    ),
)
