"""docs/metrics.md and docs/alerts.md: the catalog and the alerts, as pages for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from contract.alerts import ALERTS, MIN_REQUESTS, Alert
from contract.catalog import METRICS, Exporter
from contract.quantity import Duration
from contract.spec import Model, Severity, Spec
from generator.queries.alerting import MODEL_EXPRESSIONS, STACK_EXPRESSIONS, Promise
from generator.queries.recorded import RECORDED
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

_ENOUGH: Final = f"and there were at least {MIN_REQUESTS} requests in the last 5 minutes"

CONDITIONS: Final = {
    "TargetDown": "Prometheus can't scrape a target that models.yaml names for the model, or does "
    "not try to.",
    "HighErrorRatio": "The share of requests with status `error` in the last 5 minutes is above "
    f"the threshold, {_ENOUGH}.",
    **{
        f"HighLatency{quantile}": f"The {quantile.lower()} latency over the last 5 minutes is "
        f"above the threshold, {_ENOUGH}."
        for quantile in ("P50", "P90", "P95", "P99", "P999")
    },
    "FeatureDrift": "The drift score of a feature is above the threshold and above its noise "
    "floor, and the window holds at least `models[].drift.min_samples` values.",
    "DriftEvaluationStale": "The drift collector last evaluated the model longer ago than the "
    "threshold.",
    "ExporterDown": "Prometheus can't scrape one of the stack's own processes.",
    "PromisesMissing": "No threshold of any alert is known, so that no model's alert could fire. "
    "Thresholds outlive the drift collector by 15 minutes.",
    "Watchdog": "Always: if it is missing, alerting is broken.",
}
"""When each alert fires, in words; generator.queries.alerting says the same in PromQL."""


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
    of_model: bool


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
            recorded=RECORDED,
            cell=_cell,
            names=_names,
        ),
        "docs/alerts.md": render_template(
            "docs/alerts.md.j2", alerts=[_page(alert, spec) for alert in ALERTS.values()]
        ),
    }


def _page(alert: Alert, spec: Spec) -> _Page:
    settings = spec.defaults.alerts.get(alert.name)
    hold = settings.hold if settings and settings.hold else alert.hold
    # An alert with one severity can be given another; one with several has a threshold for each.
    chosen = (settings.severity,) if settings and settings.severity else alert.severities
    levels = tuple(
        _Level(
            severity=severity,
            threshold=_threshold(alert, severity, spec),
            expression=_expression(alert, severity, hold),
        )
        for severity in chosen
    )
    return _Page(
        name=alert.name,
        condition=CONDITIONS[alert.name],
        hold=str(hold) if hold.milliseconds else "at once",
        levels=levels,
        set_by=alert.set_by,
        of_model=alert.threshold is not None,
    )


def _expression(alert: Alert, severity: Severity, hold: Duration) -> str:
    if alert.threshold is None:
        return STACK_EXPRESSIONS[alert.name]
    return MODEL_EXPRESSIONS[alert.name](Promise(alert.name, severity, hold))


def _threshold(alert: Alert, severity: Severity, spec: Spec) -> str:
    if alert.threshold is None or alert.display == "none":
        return "–"
    settings = spec.defaults.alerts.get(alert.name)
    value = alert.threshold(_ordinary_model(spec), severity)
    if value is None or (settings is not None and not settings.enabled):
        return "off"
    match alert.display:
        case "percent":
            return f"{value * 100:g}%"
        case "duration":
            return str(Duration(round(value * 1000)))
        case _:
            return f"{value:g}"


def _ordinary_model(spec: Spec) -> Model:
    """A model that says nothing itself and has a reference profile."""
    return Model(
        name="ordinary",
        version="1",
        task="binary_classification",
        profile="profiles/ordinary.json",
        slo=spec.defaults.slo,
        drift=spec.defaults.drift,
        alerts=dict(spec.defaults.alerts),
    )


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", r"\|") or "–"
