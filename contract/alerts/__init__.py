"""Every alert: its name, severities, default `for`, and where its threshold comes from.

The generator turns these into rules, docs and tests; the drift collector exposes the thresholds
as `ml_alert_threshold`, one series per alert, severity and model, so that one rule serves every
model and still fires at each model's own promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from contract.alerts.alert import Alert, CommonThreshold, Display, Scope, Threshold
from contract.alerts.escalation import BURN, Escalation, escalations, lasts, next_severity
from contract.alerts.gpus import GPU_ALERTS, NEARLY_FULL
from contract.alerts.models import DRIFT_ALERTS, MIN_REQUESTS, REQUEST_ALERTS
from contract.alerts.quality import LEAST_BUSINESS, QUALITY_ALERTS
from contract.alerts.serving import (
    EXPECTED_FOR,
    LEAST_EXPECTED,
    MUCH_LATER,
    NEAR_BREACH,
    SERVING_ALERTS,
)
from contract.alerts.slo import SLO_ALERTS
from contract.alerts.stack import STACK_ALERTS
from contract.alerts.versions import VERSION_ALERTS
from contract.quantity import Duration
from contract.spec import ALERT_NAMES, GPU_ALERT_NAMES, STACK_ALERT_NAMES, AlertSettings, Spec

__all__ = [
    "ALERTS",
    "BURN",
    "EXPECTED_FOR",
    "LEAST_BUSINESS",
    "LEAST_EXPECTED",
    "MIN_REQUESTS",
    "MUCH_LATER",
    "NEARLY_FULL",
    "NEAR_BREACH",
    "Alert",
    "CommonThreshold",
    "Display",
    "Escalation",
    "Scope",
    "Threshold",
    "escalations",
    "gpu_thresholds",
    "lasts",
    "next_severity",
    "stack_thresholds",
    "thresholds",
]

_OF_MODELS: Final = (
    *REQUEST_ALERTS,
    *SERVING_ALERTS,
    *VERSION_ALERTS,
    *DRIFT_ALERTS,
    *QUALITY_ALERTS,
    *SLO_ALERTS,
)

ALERTS: Final = {alert.name: alert for alert in (*_OF_MODELS, *GPU_ALERTS, *STACK_ALERTS)}
"""Every alert by name, models' alerts first."""

if tuple(alert.name for alert in _OF_MODELS) != ALERT_NAMES:
    raise AssertionError("contract.spec.ALERT_NAMES and the alerts of models differ")
if tuple(alert.name for alert in GPU_ALERTS) != GPU_ALERT_NAMES:
    raise AssertionError("contract.spec.GPU_ALERT_NAMES and the alerts of GPUs differ")

if {alert.name for alert in STACK_ALERTS} - {"Watchdog"} != set(STACK_ALERT_NAMES):
    raise AssertionError("contract.spec.STACK_ALERT_NAMES and the alerts of the stack differ")


def thresholds(spec: Spec) -> Iterator[Threshold]:
    """Every threshold that is on: per model and alert, one for each of the alert's severities."""
    versions = Counter(model.name for model in spec.models)
    for model in spec.versions:
        for alert in _OF_MODELS:
            assert alert.promised is not None
            settings = model.alerts.get(alert.name)
            if alert.of_several and versions[model.name] < 2:
                continue
            if alert.live_only and model.state != "live":
                continue
            if alert.retired_only != (model.state == "retired"):
                continue
            if alert.asked if settings is None else not settings.enabled:
                continue
            hold = settings.hold if settings and settings.hold else alert.hold
            for severity in alert.severities:
                chosen = settings.severity if settings and settings.severity else severity
                for objective, value in alert.promised(model, severity).items():
                    yield Threshold(
                        alert.name,
                        chosen,
                        hold,
                        model.name,
                        model.version,
                        model.team,
                        value,
                        objective,
                    )


def gpu_thresholds(spec: Spec) -> Iterator[CommonThreshold]:
    """Every threshold of GPUs that is on: one for each alert."""
    yield from _of_all(GPU_ALERTS, spec.gpu.alerts, spec)


def stack_thresholds(spec: Spec) -> Iterator[CommonThreshold]:
    """What is on of the alerts of the stack itself."""
    yield from _of_all(STACK_ALERTS, spec.stack.alerts, spec)


def _of_all(
    alerts: Sequence[Alert], chosen: Mapping[str, AlertSettings], spec: Spec
) -> Iterator[CommonThreshold]:
    for alert in alerts:
        settings = chosen.get(alert.name) or AlertSettings()
        if not settings.enabled:
            continue
        value = alert.default or 0.0
        if settings.threshold is not None:
            value = settings.threshold
        hold, after = settings.hold or alert.hold, settings.escalate_after
        whole = None
        if after is not None:
            whole = Duration(spec.clock(hold).milliseconds + spec.clock(after).milliseconds)
        severity = settings.severity or alert.severities[0]
        yield CommonThreshold(alert.name, severity, hold, value, whole)
