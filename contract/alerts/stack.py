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
        "ExporterStale",
        ("error",),
        Duration.parse("5m"),
        "{job} at {instance} answers, but with old data",
        "{job} at {instance} answers Prometheus, but the last time that it collected anything was "
        "more than {threshold} ago, or failed.",
        display="duration",
        set_by="stack.alerts.ExporterStale.threshold",
        default=600.0,
    ),
    Alert(
        "SpecRefused",
        ("warning",),
        Duration.parse("5m"),
        "{job} at {instance} refuses models.yaml",
        "{job} at {instance} read models.yaml after a change and refused it: it goes on with the "
        "one before, and its log says why.",
    ),
    Alert(
        "RuleFailures",
        ("error",),
        Duration.parse("5m"),
        "Prometheus cannot evaluate all rules",
        "Within the last 15 minutes an evaluation of rules of group {rule_group} failed, or was "
        "left out because the one before took too long. Alerts of that group may be missing.",
    ),
    Alert(
        "NotificationsFailing",
        ("critical",),
        Duration.parse("5m"),
        "Notifications do not arrive",
        "Within the last 15 minutes Prometheus could not hand alerts to Alertmanager, or "
        "Alertmanager or the responder not to {integration}: somebody is not told.",
    ),
    Alert(
        "ConfigReloadFailed",
        ("error",),
        Duration.parse("5m"),
        "{job} refuses its configuration",
        "{job} at {instance} could not take over its changed configuration and goes on with the "
        "one before; what is in models.yaml is not what is watched.",
    ),
    Alert(
        "NotificationsNotWritten",
        ("warning",),
        Duration(0),
        "The responder could not write notifications down",
        "The responder at {instance} took notifications in the last 15 minutes that it could not "
        "write to its log.",
    ),
    Alert(
        "RemediationFailing",
        ("error",),
        Duration(0),
        "{model}: {action} keeps failing and is no longer tried",
        "The action {action} about alerts of {model} failed, or did not resolve them, so often in "
        "a row that the responder at {instance} does not try it for now.",
        about_model=True,
    ),
    Alert(
        "Watchdog",
        ("info",),
        Duration(0),
        "Alerting works",
        "This alert always fires. If it stops arriving, Prometheus or Alertmanager is broken.",
    ),
)
