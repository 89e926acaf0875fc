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
from contract.spec import ALERT_NAMES, GPU_ALERT_NAMES, QUANTILES, Model, Severity, Spec

__all__ = [
    "ALERTS",
    "MIN_REQUESTS",
    "NEARLY_FULL",
    "Alert",
    "GpuThreshold",
    "Scope",
    "Threshold",
    "gpu_thresholds",
    "thresholds",
]

MIN_REQUESTS: Final = 10
"""Requests in the window below which no ratio or quantile alert fires: one failed request in the
night is not an incident."""

NEARLY_FULL: Final = 0.8
"""Share of a GPU's memory below which its growth is nobody's business yet."""

Display = Literal["percent", "duration", "number", "none"]
Scope = Literal["model", "gpu", "stack"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; see `scope` for whom it is about.

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
    default: float | None = None
    """The threshold of an alert of GPUs, where `gpu.alerts` does not set another."""

    @property
    def scope(self) -> Scope:
        """Models have a `threshold`, GPUs a `default`, the stack itself has neither."""
        if self.threshold is not None:
            return "model"
        return "gpu" if self.default is not None else "stack"


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


@dataclass(frozen=True, slots=True, order=True)
class GpuThreshold:
    """What one alert of GPUs watches, the same on every GPU; `value` in the alert's base unit."""

    alert: str
    severity: Severity
    hold: Duration
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
        "DriftShare",
        ("warning",),
        Duration.parse("15m"),
        "{model}: {value} of its features have drifted",
        "{value} of the features that {model} gets are not distributed as they were in training; "
        "the limit is {threshold}. So many at once are not chance: the false discovery rate is "
        "controlled.",
        lambda model, _: None if model.profile is None else model.drift.share,
        "percent",
        "models[].drift.share",
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


def _of_gpus(
    name: str,
    severity: Severity,
    hold: Duration,
    display: Display,
    default: float,
    summary: str,
    description: str,
) -> Alert:
    return Alert(
        name,
        (severity,),
        hold,
        summary,
        description,
        display=display,
        set_by=f"gpu.alerts.{name}.threshold",
        default=default,
    )


_GPU_ALERTS: Final = (
    _of_gpus(
        "GpuLost",
        "critical",
        Duration.parse("1m"),
        "none",
        1,
        "{gpu} is lost{holder}",
        "{gpu} was there and no longer answers. Whatever runs on it fails or hangs until the GPU "
        "is reset or the machine restarted.",
    ),
    _of_gpus(
        "GpusMissing",
        "critical",
        Duration.parse("5m"),
        "number",
        0,
        "{instance} misses GPUs: {value}",
        "Of the GPUs that {instance} should have (gpu.expected of models.yaml, or else as many as "
        "it had within a day), its exporter has not seen {value} since it started.",
    ),
    _of_gpus(
        "GpuXid",
        "critical",
        Duration(0),
        "duration",
        3600,
        "{gpu} reported XID {codes}{holder}",
        "The driver reported an error that calls for a reset of {gpu} or a restart of its machine: "
        "XID {codes}, the last {value} ago. Until then its results can't be relied on.",
    ),
    _of_gpus(
        "GpuEccUncorrectable",
        "error",
        Duration(0),
        "number",
        0,
        "{gpu} has uncorrectable memory errors{holder}",
        "Since its driver was loaded, {gpu} had uncorrectable memory errors, or a faulty row that "
        "it could not replace ({value}). What was computed with that memory may be wrong.",
    ),
    _of_gpus(
        "GpuMemoryFilling",
        "warning",
        Duration.parse("10m"),
        "duration",
        3600,
        "{gpu} is out of memory in {value}{holder}",
        f"The memory of {{gpu}} is more than {NEARLY_FULL:.0%} full and grows; at the pace of the "
        "last half hour nothing is left in {value}. Then allocations fail, and with them requests.",
    ),
    _of_gpus(
        "GpuHot",
        "warning",
        Duration.parse("5m"),
        "number",
        5,
        "{gpu} is {value} °C from slowing down{holder}",
        "{gpu} is {value} °C below the temperature at which it lowers its clocks; the alert asks "
        "for {threshold} °C.",
    ),
    _of_gpus(
        "GpuThrottledAndSlow",
        "warning",
        Duration.parse("5m"),
        "percent",
        0.1,
        "{model} is slow and its GPU is throttled",
        "{model} breaks its promise on latency while {gpu}, which it runs on, was held back by "
        "power or temperature for {value} of the last 5 minutes.",
    ),
    _of_gpus(
        "GpuIdleButHeld",
        "info",
        Duration.parse("30m"),
        "percent",
        0.01,
        "{gpu} is idle{holder}",
        "{model} holds memory of {gpu}, which over the last hour was busy for {value} of the time.",
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

ALERTS: Final = {alert.name: alert for alert in (*_MODEL_ALERTS, *_GPU_ALERTS, *_STACK_ALERTS)}
"""Every alert by name, models' alerts first."""

if tuple(alert.name for alert in _MODEL_ALERTS) != ALERT_NAMES:
    raise AssertionError("contract.spec.ALERT_NAMES and the alerts of models differ")
if tuple(alert.name for alert in _GPU_ALERTS) != GPU_ALERT_NAMES:
    raise AssertionError("contract.spec.GPU_ALERT_NAMES and the alerts of GPUs differ")


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


def gpu_thresholds(spec: Spec) -> Iterator[GpuThreshold]:
    """Every threshold of GPUs that is on: one for each alert."""
    for alert in _GPU_ALERTS:
        settings = spec.gpu.alerts.get(alert.name)
        if settings is not None and not settings.enabled:
            continue
        assert alert.default is not None
        value = alert.default
        if settings is not None and settings.threshold is not None:
            value = settings.threshold
        hold = settings.hold if settings and settings.hold else alert.hold
        severity = settings.severity if settings and settings.severity else alert.severities[0]
        yield GpuThreshold(alert.name, severity, hold, value)
