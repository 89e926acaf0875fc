"""The alerts that models.yaml can override or disable, and how."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from contract.quantity import Duration, problem
from contract.spec.promises import QUANTILES
from contract.spec.section import Section

__all__ = [
    "ALERT_NAMES",
    "GPU_ALERT_NAMES",
    "SEVERITIES",
    "STACK_ALERT_NAMES",
    "AlertName",
    "AlertSettings",
    "Alerts",
    "GpuAlerts",
    "Severity",
    "SomeAlertSettings",
    "StackAlerts",
]

Severity = Literal["info", "warning", "error", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")


ALERT_NAMES: Final = (
    "TargetDown",
    "HighErrorRatio",
    *(f"HighLatency{name.upper()}" for name in QUANTILES.values()),
    "SlowRequests",
    "ModelNotLoaded",
    "TrafficVanished",
    "ThroughputDrop",
    "LatencyAnomaly",
    "PredictedSloBreach",
    "QueueGrowing",
    "LowConfidence",
    "StaleModel",
    "ArtifactChanged",
    "UnregisteredVersion",
    "RetiredVersion",
    "VersionMissing",
    "VersionWorse",
    "FeatureDrift",
    "DriftShare",
    "DriftEvaluationStale",
    "PredictionDrift",
    "MultivariateDrift",
    "ConceptDrift",
    "DataQuality",
    "FeatureStale",
    "AccuracyDecay",
    "EstimatedDecay",
    "LabelsMissing",
    "LabelsLate",
    "BusinessRatioLow",
    "ErrorBudgetBurn1h",
    "ErrorBudgetBurn6h",
    "ErrorBudgetBurn1d",
    "ErrorBudgetBurn3d",
)
"""Alerts that a model can override or disable; contract.alerts defines them."""

GPU_ALERT_NAMES: Final = (
    "GpuLost",
    "GpusMissing",
    "GpuXid",
    "GpuEccUncorrectable",
    "GpuMemoryFilling",
    "GpuHot",
    "GpuThrottledAndSlow",
    "GpuIdleButHeld",
)
"""Alerts that `gpu.alerts` can override or disable; contract.alerts defines them."""

STACK_ALERT_NAMES: Final = (
    "ExporterDown",
    "PromisesMissing",
    "ExporterStale",
    "SpecRefused",
    "RuleFailures",
    "NotificationsFailing",
    "ConfigReloadFailed",
    "NotificationsNotWritten",
    "RemediationFailing",
)
"""Alerts that `stack.alerts` can override or disable; contract.alerts defines them. Watchdog is not
among them: without it nobody knows whether alerts arrive."""


def _number_or_unit(value: object) -> object:
    """A threshold in the unit the alert has: 5% → 0.05, 250ms → 0.25 seconds, else a number."""
    if isinstance(value, str):
        if value.endswith("%"):
            try:
                return float(value[:-1]) / 100
            except ValueError:
                raise problem(f"is not a percentage: {value!r}") from None
        return Duration.parse(value).seconds
    return value


class AlertSettings(Section):
    """One alert of one model, where it differs from contract.alerts; `off` disables it."""

    enabled: bool = True
    """Whether there is the alert; `off` in place of the mapping says the same as false."""
    hold: Duration | None = Field(default=None, alias="for")
    """How long the condition must hold before the alert fires."""
    escalate_after: Duration | None = None
    """How long it may fire before it becomes the next severity; else `defaults.escalate_after`."""
    severity: Severity | None = None
    """Another severity, where the alert has one only."""
    threshold: Annotated[
        float | None,
        BeforeValidator(_number_or_unit, json_schema_input_type=float | str | None),
        Field(examples=["5%"]),
    ] = None
    """Another threshold, in the alert's unit: 5%, 250ms or a plain number."""


def _alert_settings(value: object) -> object:
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, str):
        if value not in {"on", "off"}:
            raise problem(f"is not known: {value!r}", "write off, or what differs: {for: 10m}")
        return {"enabled": value == "on"}
    return value


def _one_of_alerts(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"alerts are: {', '.join(names)}"
            raise problem(f"no alert is called {name}", hint)
        return name

    return check


AlertName = Annotated[str, AfterValidator(_one_of_alerts(ALERT_NAMES))]

SomeAlertSettings = Annotated[
    AlertSettings,
    BeforeValidator(
        _alert_settings, json_schema_input_type=AlertSettings | Literal["off", "on"] | bool
    ),
]
Alerts = dict[AlertName, SomeAlertSettings]
GpuAlerts = dict[
    Annotated[str, AfterValidator(_one_of_alerts(GPU_ALERT_NAMES))],
    SomeAlertSettings,
]
StackAlerts = dict[
    Annotated[str, AfterValidator(_one_of_alerts(STACK_ALERT_NAMES))],
    SomeAlertSettings,
]
