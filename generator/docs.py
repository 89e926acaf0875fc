"""docs/metrics.md and docs/alerts.md: the catalog and the alerts, as pages for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

from contract.alerts import (
    ALERTS,
    LEAST_BUSINESS,
    LEAST_EXPECTED,
    MIN_REQUESTS,
    MUCH_LATER,
    NEAR_BREACH,
    NEARLY_FULL,
    Alert,
    CommonThreshold,
    Scope,
)
from contract.catalog import METRICS, Exporter
from contract.quantity import Duration
from contract.slo import MIN_BAD_EVENTS, TIERS
from contract.spec import AlertSettings, Dialect, Model, Severity, Spec
from contract.xid import RESET_CODES
from generator.queries.alerting import (
    GPU_EXPRESSIONS,
    MODEL_EXPRESSIONS,
    STACK_EXPRESSIONS,
    Promise,
)
from generator.queries.compatibility import translations
from generator.queries.recorded_past import HISTORY, RECENTLY
from generator.rules.recording import RULES
from generator.text import render_template

__all__ = ["CONDITIONS", "render_docs"]

_EXPORTERS: Final = {
    Exporter.SIDECAR: (
        "The sidecar",
        """\
`exporters.sidecar` counts what model servers send it. Nothing it exposes of a model is a finished
statistic: counts add up over replicas, restarts and any window.""",
    ),
    Exporter.DRIFT: (
        "The drift collector",
        """\
`exporters.drift` compares counts over a window with reference profiles, and says what models.yaml
promises.""",
    ),
    Exporter.GPU: ("The GPU exporter", "`exporters.gpu` reads NVIDIA's management library."),
    Exporter.RESPONDER: ("The responder", "`responder` takes Alertmanager's notifications."),
    Exporter.EVERY: ("Every exporter", "Each of the above says this of itself."),
}

MONTH: Final = Duration.parse("30d")
_ENOUGH: Final = f"and there were at least {MIN_REQUESTS} requests in the last 5 minutes"

CONDITIONS: Final = {
    "TargetDown": "Prometheus can't scrape a target that models.yaml names for the model, or does "
    "not try to. Of a model with several targets it fires for each, and once more for all of them "
    "where none is left.",
    "HighErrorRatio": "The share of requests with status `error` in the last 5 minutes is above "
    f"the threshold, {_ENOUGH}.",
    **{
        f"HighLatency{quantile}": f"The {quantile.lower()} latency over the last 5 minutes is "
        f"above the threshold, {_ENOUGH}."
        for quantile in ("P50", "P90", "P95", "P99", "P999")
    },
    "SlowRequests": "The share of the requests of the last 5 minutes that took longer than a "
    "promise of `slo.latency` allows (`objective`) is above the threshold, "
    f"{_ENOUGH}. By default that is ten times the share that the promise lets be slow, but at most "
    "halfway from that share to all of them.",
    "ModelNotLoaded": "The last probe of the model's upstream found it not ready.",
    "TrafficVanished": "There was no request in the last 5 minutes, and more than the threshold "
    "are usual in 5 minutes: at this time yesterday, and in some hour of the last "
    f"{RECENTLY}. It ends when requests come again, or when none have come for {RECENTLY}.",
    "ThroughputDrop": "The requests of the last 5 minutes are a smaller share than the threshold "
    "of those that are usual: at this time yesterday, and in some hour of the last "
    f"{RECENTLY}. At least {LEAST_EXPECTED} in 5 minutes must be usual.",
    "LatencyAnomaly": "The mean latency of the last 5 minutes is more standard deviations than the "
    "threshold above its mean of the last day, the last hour left out, "
    f"{_ENOUGH}. A deviation counts as at least 10% of that mean, and {HISTORY} must be known.",
    "PredictedSloBreach": "The latency is between "
    f"{NEAR_BREACH:.0%} and 100% of what `slo.latency` promises, and at the pace of the last hour "
    f"it is above that within the time of the threshold, {_ENOUGH}.",
    "QueueGrowing": "More requests than the threshold wait in one queue of the model server, and "
    "over the last 15 minutes they became more.",
    "LowConfidence": "The mean confidence of the last 5 minutes is below the threshold, "
    f"{_ENOUGH}.",
    "StaleModel": "The model was trained (`trained_at`) longer ago than `max_age`.",
    "ArtifactChanged": "A sidecar finds another file than `artifact` declares, or none; or a "
    "process of the model server reports that it loaded another one.",
    "UnregisteredVersion": "The sidecar refused more predictions in the last 5 minutes than the "
    "threshold because models.yaml does not have their version (`unregistered_version`; beyond "
    "the first ten of a model, `other`).",
    "RetiredVersion": "A version that models.yaml has retired got more requests in the last 5 "
    "minutes than the threshold.",
    "VersionMissing": "A live version has been waiting for its first request for longer than the "
    f"threshold, and another version of the model gets requests; or for {MUCH_LATER} times as long "
    "where none does. It waits from `deployed_at` on, but not before Prometheus has known it. What "
    "is only `registered` need not serve.",
    "VersionWorse": "Two versions of the model serve at once, and over `comparison.window` the "
    "newer one is worse in an aspect (`objective`) by more than `models[].comparison` allows and "
    "by more than chance, all aspects considered. [Versions](versions.md) says how it is counted.",
    "FeatureDrift": "The drift score of a feature is above the threshold and above its noise "
    "floor, and the window holds at least `models[].drift.min_samples` values.",
    "DriftShare": "The share of features that have drifted is above `models[].drift.share`. A "
    "feature counts here where its score is above `models[].drift.warning` and Benjamini and "
    "Hochberg's procedure, at a false discovery rate of 1%, finds it among the model's features.",
    "DriftEvaluationStale": "The drift collector last evaluated the model longer ago than the "
    "threshold.",
    **{
        tier.alert: f"For an objective of the model, the share of bad events over the last "
        f"{tier.name} is above the threshold, over the last {tier.short} as well, and the last "
        f"{tier.name} had at least {MIN_BAD_EVENTS} of them. The threshold is the error budget (1 "
        f"less the objective) times a burn rate of {tier.factor(MONTH):g} for a period of 30 days: "
        f"at that pace {tier.share:.0%} of the period's budget goes within {tier.name}. "
        "[SLOs](slo.md) says more."
        for tier in TIERS
    },
    "PredictionDrift": "The drift score of the model's predictions is above the threshold and "
    "above its noise floor, and the window holds at least `models[].drift.min_samples` of them.",
    "MultivariateDrift": "A classifier tells the rows of `drift.multivariate.window` from the "
    "reference's with an AUC above the threshold, and permutations say that it is not by chance "
    "(p-value of at most 1%).",
    "ConceptDrift": "The labels that came, for what the model predicted, are distributed otherwise "
    "than in its reference profile, by more than chance.",
    "DataQuality": "The share of a feature's values that fail a check (`objective`: missing, "
    "range, type or category) over the drift window is above `models[].data_quality`, by more than "
    "chance.",
    "FeatureStale": "A feature had no value for longer than `models[].data_quality.freshness`, "
    "while there were requests.",
    "AccuracyDecay": "A metric of `models[].performance` (`objective`), measured by labels, is "
    "worse than `min`, `max` or `max_drop` from its `baseline` allows, by more than chance. Each "
    "window of `performance.windows` is judged on its own.",
    "EstimatedDecay": "The same of the metrics that are estimated from confidences, without "
    "labels.",
    "LabelsMissing": "Over the longest of `performance.windows`, fewer predictions than the "
    "threshold got labels.",
    "LabelsLate": "Over the longest of `performance.windows`, the median time from a prediction to "
    "its label is above the threshold.",
    "BusinessRatioLow": "A ratio of `models[].business` (`objective`) over the last hour is below "
    f"its `min`, and there were at least {LEAST_BUSINESS} events below the line.",
    "GpuLost": "A GPU that the exporter has seen no longer answers, or is no longer listed by the "
    "driver.",
    "GpusMissing": "The exporter has seen fewer GPUs since it started than `gpu.expected` says the "
    "machine has, or, where it says nothing, than the machine had within a day; the number that is "
    "missing is above the threshold. A GPU that is lost is not counted here.",
    "GpuXid": "The driver reported an XID error that calls for a reset or a reboot "
    f"({', '.join(map(str, RESET_CODES))}) within the time of the threshold.",
    "GpuEccUncorrectable": "The GPU counts more uncorrectable memory errors since its driver was "
    "loaded than the threshold, or could not replace a faulty row. Only a reset ends it.",
    "GpuMemoryFilling": f"The GPU's memory is more than {NEARLY_FULL:.0%} full, and at the pace of "
    "the last half hour it is full sooner than the threshold. A model that was just loaded grew, "
    "but does not grow.",
    "GpuHot": "The GPU is fewer degrees (celsius) than the threshold from the temperature at which "
    "it slows itself down.",
    "GpuThrottledAndSlow": "Power or temperature held the GPU's clocks down for a larger share of "
    "the last 5 minutes than the threshold, while a model on it breaks a promise of `slo.latency`, "
    f"{_ENOUGH}.",
    "GpuIdleButHeld": "Over the last hour kernels ran on the GPU for a smaller share of the time "
    "than the threshold, and a model holds memory of it.",
    "ExporterDown": "Prometheus can't scrape one of the stack's own processes.",
    "PromisesMissing": "No threshold of any alert is known, so that no model's alert could fire. "
    "Thresholds outlive the drift collector by 15 minutes.",
    "ExporterStale": "An exporter answers Prometheus, but last collected anything longer ago than "
    "the threshold, or failed to.",
    "SpecRefused": "A process refuses models.yaml as it is now, and goes on with the one before.",
    "RuleFailures": "An evaluation of a group of rules failed in the last 15 minutes, or was left "
    "out because the one before took longer than the interval.",
    "NotificationsFailing": "Prometheus lost alerts on the way to Alertmanager in the last 15 "
    "minutes, Alertmanager notifications on the way to one of its integrations, or the responder "
    "on the way to a channel of your own.",
    "ConfigReloadFailed": "Prometheus or Alertmanager refuses its configuration as it is now.",
    "NotificationsNotWritten": "The responder could not write notifications to its log in the last "
    "15 minutes.",
    "RemediationFailing": "An action of a model failed, or did not resolve its alert, "
    "`remediation.breaker.failures` times in a row; it is not tried again for "
    "`remediation.breaker.pause`.",
    "Watchdog": "Always: if it is missing, alerting is broken.",
}
"""When each alert fires, in words; generator.queries.alerting says the same in PromQL."""


_WHOM: Final = {
    "GpusMissing": "It fires for each machine",
    "GpuThrottledAndSlow": "It fires for each model that is slow and each of its GPUs",
    "GpuIdleButHeld": "It fires for each model and each idle GPU that it holds",
}


@dataclass(frozen=True, slots=True)
class _Level:
    """One severity of an alert: its threshold as a person writes it, and its expression."""

    severity: Severity
    threshold: str
    expression: str


@dataclass(frozen=True, slots=True)
class _Page:
    """What docs/alerts.md says of one alert."""

    name: str
    condition: str
    hold: str
    levels: tuple[_Level, ...]
    set_by: str
    scope: Scope
    whom: str


def render_docs(spec: Spec) -> dict[str, str]:
    """Paths below the output folder and their texts; thresholds are those of `defaults:`."""
    exporters = [
        (title, text, [metric for metric in METRICS if metric.exporter is exporter])
        for exporter, (title, text) in _EXPORTERS.items()
    ]
    return {
        "docs/metrics.md": render_template(
            "docs/metrics.md.j2",
            exporters=exporters,
            recorded=RULES,
            dialects=[(dialect, translations(dialect)) for dialect in get_args(Dialect)],
            cell=_cell,
            names=_names,
        ),
        "docs/alerts.md": render_template(
            "docs/alerts.md.j2", alerts=[_page(alert, spec) for alert in ALERTS.values()]
        ),
    }


def _page(alert: Alert, spec: Spec) -> _Page:
    settings = _settings(alert, spec)
    hold = settings.hold if settings and settings.hold else alert.hold
    # An alert with one severity can be given another; one with several has a threshold for each.
    chosen = (settings.severity,) if settings and settings.severity else alert.severities
    levels = tuple(
        _Level(
            severity=severity,
            threshold=_threshold(alert, severity, spec),
            expression=_expression(alert, severity, hold, spec),
        )
        for severity in chosen
    )
    return _Page(
        name=alert.name,
        condition=CONDITIONS[alert.name],
        hold=str(hold) if hold.milliseconds else "at once",
        levels=levels,
        set_by=alert.set_by,
        scope=alert.scope,
        whom=_WHOM.get(alert.name, "It fires for each GPU and each model on it"),
    )


def _settings(alert: Alert, spec: Spec) -> AlertSettings | None:
    match alert.scope:
        case "gpu":
            return spec.gpu.alerts.get(alert.name)
        case "stack":
            return spec.stack.alerts.get(alert.name)
        case "model":
            return spec.defaults.alerts.get(alert.name)


def _expression(alert: Alert, severity: Severity, hold: Duration, spec: Spec) -> str:
    match alert.scope:
        case "model":
            return MODEL_EXPRESSIONS[alert.name](Promise(alert.name, severity, hold))
        case "gpu":
            value = _value(alert, severity, spec)
            assert value is not None
            return GPU_EXPRESSIONS[alert.name](CommonThreshold(alert.name, severity, hold, value))
        case "stack":
            return STACK_EXPRESSIONS[alert.name](_value(alert, severity, spec) or 0)


def _threshold(alert: Alert, severity: Severity, spec: Spec) -> str:
    settings = _settings(alert, spec)
    if alert.display == "none" or (alert.scope == "stack" and alert.default is None):
        return "off" if settings is not None and not settings.enabled else "–"
    value = _value(alert, severity, spec)
    if value is None or (settings is not None and not settings.enabled):
        return "off"
    match alert.display:
        case "percent":
            shown = f"{value * 100:g}%"
        case "duration":
            shown = str(Duration(round(value * 1000)))
        case _:
            shown = f"{value:g}"
    return f"off; where on, {shown}" if alert.asked and settings is None else shown


def _value(alert: Alert, severity: Severity, spec: Spec) -> float | None:
    if alert.promised is not None:
        return next(iter(alert.promised(_ordinary_model(spec), severity).values()), None)
    settings = _settings(alert, spec)
    return alert.default if settings is None or settings.threshold is None else settings.threshold


def _ordinary_model(spec: Spec) -> Model:
    """A model that says nothing itself and has a reference profile."""
    return Model(
        name="ordinary",
        version="1",
        task="binary_classification",
        profile="profiles/ordinary.json",
        slo=spec.defaults.slo,
        drift=spec.defaults.drift,
        performance=spec.defaults.performance,
        data_quality=spec.defaults.data_quality,
        max_age=spec.defaults.max_age,
        alerts=dict(spec.defaults.alerts),
    )


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", r"\|") or "–"
