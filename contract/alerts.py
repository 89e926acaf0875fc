"""Every alert: its name, severities, default `for`, and where its threshold comes from.

The generator turns these into rules, docs and tests; the drift collector exposes the thresholds
as `ml_alert_threshold`, one series per alert, severity and model, so that one rule serves every
model and still fires at each model's own promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from contract.quantity import Duration
from contract.spec import ALERT_NAMES, QUANTILES, Model, Severity, Spec

__all__ = ["ALERTS", "MIN_REQUESTS", "Alert", "Threshold", "thresholds"]

MIN_REQUESTS: Final = 10
"""Requests in the window below which no ratio or quantile alert fires: one failed request in the
night is not an incident."""

Display = Literal["percent", "duration", "number", "none"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `threshold` is None where the alert belongs to the stack and not to a model.

    `summary` and `description` are Prometheus templates; `{threshold}` and `{value}` in them become
    the values at firing, shown as `display` says.
    """

    name: str
    severities: tuple[Severity, ...]
    hold: Duration
    summary: str
    description: str
    threshold: Callable[[Model, Severity], float | None] | None = None
    display: Display = "number"
    set_by: str = ""
    """The key of models.yaml that sets the threshold, for docs and notifications."""


@dataclass(frozen=True, slots=True, order=True)
class Threshold:
    """The promise of one model that one alert watches; `value` in the alert's base unit."""

    alert: str
    severity: Severity
    hold: Duration
    model_name: str
    model_version: str
    team: str
    value: float


def _latency(quantile: float) -> Callable[[Model, Severity], float | None]:
    def threshold(model: Model, _: Severity) -> float | None:
        pairs = [pair for pair in model.slo.latency if pair.target == quantile]
        return pairs[0].threshold.seconds if pairs else None

    return threshold


def _drift(model: Model, severity: Severity) -> float | None:
    if model.profile is None:
        return None
    return model.drift.critical if severity == "critical" else model.drift.warning


def _of_model(name: str, default: float) -> Callable[[Model, Severity], float | None]:
    def threshold(model: Model, _: Severity) -> float | None:
        settings = model.alerts.get(name)
        return default if settings is None or settings.threshold is None else settings.threshold

    return threshold


_MODEL_ALERTS: Final = (
    Alert(
        "TargetDown",
        ("critical",),
        Duration.parse("2m"),
        "{model} is not reachable",
        "Prometheus cannot scrape {target}, which serves {model}; what happens there is unseen "
        "until it is back.",
        lambda _, __: 1.0,
        "none",
        "models[].serving.targets",
    ),
    Alert(
        "HighErrorRatio",
        ("critical",),
        Duration.parse("2m"),
        "{model} fails {value} of its requests",
        "Of the requests to {model} in the last 5 minutes, {value} failed; the limit is "
        "{threshold}.",
        _of_model("HighErrorRatio", 0.05),
        "percent",
        "models[].alerts.HighErrorRatio.threshold",
    ),
    *(
        Alert(
            f"HighLatency{name.upper()}",
            ("error",),
            Duration.parse("5m"),
            f"{{model}} is slow: {name} is {{value}}",
            f"{quantile * 100:g}% of the requests to {{model}} should take less than "
            "{threshold}; over the last 5 minutes it was {value}.",
            _latency(quantile),
            "duration",
            "models[].slo.latency",
        )
        for quantile, name in QUANTILES.items()
    ),
    Alert(
        "FeatureDrift",
        ("warning", "critical"),
        Duration.parse("15m"),
        "{model}: {feature} has drifted, score {value}",
        "The values of {feature} that {model} gets are not those it was trained on: score {value}, "
        "threshold {threshold}, and above what sampling alone would give.",
        _drift,
        "number",
        "models[].drift",
    ),
    Alert(
        "DriftEvaluationStale",
        ("warning",),
        Duration.parse("5m"),
        "Drift of {model} has not been evaluated for {value}",
        "The drift collector last evaluated {model} {value} ago; until it does again, its drift "
        "alerts say nothing.",
        lambda model, severity: (
            None
            if model.profile is None
            else _of_model("DriftEvaluationStale", 900.0)(model, severity)
        ),
        "duration",
        "models[].alerts.DriftEvaluationStale.threshold",
    ),
)

_STACK_ALERTS: Final = (
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

ALERTS: Final = {alert.name: alert for alert in (*_MODEL_ALERTS, *_STACK_ALERTS)}
"""Every alert by name, models' alerts first."""

if tuple(alert.name for alert in _MODEL_ALERTS) != ALERT_NAMES:
    raise AssertionError("contract.spec.ALERT_NAMES and the alerts of models differ")


def thresholds(spec: Spec) -> Iterator[Threshold]:
    """Every threshold that is on: per model and alert, one for each of the alert's severities."""
    for model in spec.models:
        for alert in _MODEL_ALERTS:
            settings = model.alerts.get(alert.name)
            if settings is not None and not settings.enabled:
                continue
            hold = settings.hold if settings and settings.hold else alert.hold
            for severity in alert.severities:
                value = alert.threshold(model, severity) if alert.threshold else None
                if value is None:
                    continue
                chosen = settings.severity if settings and settings.severity else severity
                yield Threshold(
                    alert.name, chosen, hold, model.name, model.version, model.team, value
                )
