"""Is each series there that an alert or a panel of a model needs, and if not, why not?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.alerts import thresholds
from contract.catalog import METRICS, Exporter, Metric
from contract.runtimes import RUNTIMES, SIDECAR, Signal
from contract.spec import Model, Spec
from generator.doctor.ask import Prometheus
from generator.doctor.finding import Finding, Level, fine, note
from generator.outputs import render
from generator.queries import recorded, recorded_versions
from generator.queries.alerting import MODEL_EXPRESSIONS, Promise
from generator.queries.runtimes import ADAPTERS
from generator.queries.runtimes.rules import filled
from generator.rules.recording import RULES

__all__ = ["check_alerts", "check_panels", "unfilled"]

_NAME: Final = re.compile(r"\b(?:model:[a-z0-9_:]+|ml_[a-z0-9_]+)")
_ANY: Final = '{__name__=~"(model:|ml_).+", model_name!=""}'
_TRAFFIC: Final = frozenset(
    rule.name for rule in recorded.RECORDED if rule.group == recorded.REQUESTS.group
)
_REQUESTS: Final = _TRAFFIC | {
    rule.name for rule in recorded.RECORDED if rule.group == recorded.LATENCY_BUCKETS.group
}
"""What a runtime says of requests, or does not."""
_RULES: Final = {rule.name: rule for rule in RULES}
_CONDITIONAL: Final = frozenset(
    rule.name
    for rule in (
        recorded.DRIFT_DETECTED,
        recorded_versions.UNREGISTERED,
        recorded_versions.WAITED,
        recorded_versions.WORSE,
    )
)
"""Series that are there only while something is wrong."""

_EXPORTERS: Final = {
    Exporter.SIDECAR: "the sidecar",
    Exporter.DRIFT: "the drift collector",
    Exporter.GPU: "the GPU exporter",
    Exporter.RESPONDER: "the responder",
    Exporter.EVERY: "an exporter",
}

_SHOWN: Final = 5
_OF_MODEL: Final = "ml-model"
"""The uid of the dashboard that shows one model."""

Key = tuple[str, str]


def _by_model(prometheus: Prometheus, window: str) -> dict[Key, set[str]]:
    """The names of each model's series; with a window, those that were there within it."""
    selected = f"last_over_time({_ANY}[{window}])" if window else _ANY
    found: dict[Key, set[str]] = {}
    labels = "__name__, model_name, model_version"
    for sample in prometheus.query(f"count by ({labels}) ({selected})"):
        found.setdefault(sample.model, set()).add(sample.labels["__name__"])
    return found


def check_alerts(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """For each model: whether every alert that is on can fire."""
    now, lately = _by_model(prometheus, ""), _by_model(prometheus, "1h")
    settling = prometheus.settling()
    busy = {s.model for s in prometheus.query(f"{recorded.REQUESTS} > 0")}
    needed: dict[Key, dict[str, set[str]]] = {}
    for threshold in thresholds(spec):
        promise = Promise(threshold.alert, threshold.severity, threshold.hold)
        expression = MODEL_EXPRESSIONS[threshold.alert](promise)
        names = set(_NAME.findall(expression)) - _CONDITIONAL
        of_model = needed.setdefault((threshold.model_name, threshold.model_version), {})
        of_model.setdefault(threshold.alert, set()).update(names)
    for model in spec.models:
        there = now.get(model.key, set()) | lately.get(model.key, set())
        found = _alerts_of(spec, model, needed.get(model.key, {}), there, busy=model.key in busy)
        yield from (_calmed(one, settling) for one in found)


def _alerts_of(
    spec: Spec, model: Model, alerts: Mapping[str, set[str]], there: set[str], *, busy: bool
) -> Iterator[Finding]:
    who = f"{model.name} {model.version}"
    blind: dict[_Cause, list[str]] = {}
    for name in sorted({name for names in alerts.values() for name in names} - there):
        blind.setdefault(_cause(spec, model, name, there, busy=busy), []).append(name)
    for cause, names in blind.items():
        waiting = ", ".join(alert for alert, needs in alerts.items() if needs & set(names))
        what = f"{waiting} can't fire: {cause.reason} ({', '.join(names)})"
        yield Finding(cause.level, "series", who, what, cause.advice)
    if not blind:
        yield fine("series", who, f"every series of its {len(alerts)} alerts is there")


def _calmed(found: Finding, settling: str) -> Finding:
    """What is missing just after the start may only not have been evaluated yet."""
    if found.level != "broken" or not settling:
        return found
    what = f"{found.what}; {settling}"
    return note(found.check, found.subject, what, "ask again in a minute or two")


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why series are missing, and what to do about it."""

    level: Level
    reason: str
    advice: str = ""


def _cause(spec: Spec, model: Model, name: str, there: set[str], *, busy: bool) -> _Cause:
    if name == recorded.THRESHOLD.name:
        advice = "the drift collector says it: start it, and let Prometheus scrape it"
        return _Cause("broken", "nobody says the threshold", advice)
    if reason := unfilled(model, name):
        return _Cause("warning", reason, _beside(model))
    if name in _TRAFFIC:
        return _no_traffic(model, there, busy=busy)
    rule = _RULES.get(name)
    if rule is None:
        return _exposed({name})
    read = set(_NAME.findall(rule.expression(spec))) - {recorded.THRESHOLD.name}
    missing = read - there - _CONDITIONAL
    if not missing:
        # All that it is made of is there.
        return _Cause("note", "not yet, for its window must fill first")
    # What it is made of may be recorded itself: then that is the cause.
    for made in sorted(missing & _RULES.keys() - {name}):
        return _cause(spec, model, made, there, busy=busy)
    return _exposed(missing)


def _no_traffic(model: Model, there: set[str], *, busy: bool) -> _Cause:
    if busy:
        advice = "compare what the target exposes with docs/metrics.md and docs/runtimes.md"
        return _Cause("broken", "requests are counted, but this is not", advice)
    if recorded.REQUESTS.name in there:
        return _Cause("note", "not before there are requests")
    if model.state != "live":
        return _Cause("note", f"it is {model.state}, and nothing counts its requests yet")
    if model.serving.runtime == SIDECAR:
        advice = "send its events to the sidecar, or put the sidecar's proxy before it"
    else:
        advice = f"compare serving.model with the names that {model.serving.runtime} uses"
    return _Cause("broken", "nothing counts its requests", advice)


def _exposed(names: set[str]) -> _Cause:
    """Raw series that are missing: who exposes them."""
    raw = [metric for metric in METRICS if _families(metric) & names]
    if not raw:
        return _Cause("warning", "what it is made of is missing", "see docs/metrics.md")
    exporters = " and ".join(dict.fromkeys(_EXPORTERS[metric.exporter] for metric in raw))
    shown = ", ".join(metric.name for metric in raw)
    return _Cause(
        "warning",
        f"{shown} of this model is missing",
        f"{exporters} exposes it once there is something to say: does its log say why not?",
    )


def _families(metric: Metric) -> set[str]:
    names = {metric.name}
    return names | {f"{metric.name}{part}" for part in ("_bucket", "_sum", "_count")}


def unfilled(model: Model, name: str) -> str:
    """Why the model's runtime does not fill a series; empty where it does, or a sidecar may."""
    runtime = model.serving.runtime
    if runtime == SIDECAR or model.serving.sidecars:
        return ""
    adapter = ADAPTERS[runtime]
    fills: set[Signal] = set(adapter.fills) | set(model.serving.expressions)
    if any(rule.name == name for signal in fills for rule in filled(signal)):
        return ""
    reasons = adapter.missing or {}
    for signal, reason in reasons.items():
        if any(rule.name == name for rule in filled(signal)):
            return reason
    return f"{RUNTIMES[runtime].title} does not say it" if name in _REQUESTS else ""


def _beside(model: Model) -> str:
    return (
        "send its events to a sidecar as well (serving.sidecars), or put the sidecar's proxy "
        f"before {RUNTIMES[model.serving.runtime].title}; or turn the alert off"
    )


# Panels


def check_panels(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """For each dashboard, and that of models for each model: panels that have no series at all."""
    found = prometheus.query('count by (__name__) ({__name__=~"[a-z]+:.+|ml_.+"})')
    there = {sample.labels["__name__"] for sample in found}
    lately = _by_model(prometheus, "1h")
    for path, text in render(spec, ("dashboards",)).items():
        if not path.endswith(".json"):
            continue
        dashboard = json.loads(text)
        panels = list(_panels(dashboard))
        if dashboard["uid"] != _OF_MODEL:
            yield _empty(f"dashboard {dashboard['title']}", panels, there)
            continue
        for model in spec.models:
            subject = f"dashboard {dashboard['title']} of {model.name} {model.version}"
            yield _empty(subject, panels, lately.get(model.key, set()))


def _empty(subject: str, panels: list[tuple[str, set[str]]], there: set[str]) -> Finding:
    empty = [
        f"{title} ({', '.join(sorted(names))})"
        for title, names in panels
        if names and not names & there
    ]
    if not empty:
        return fine("panels", subject, f"all {len(panels)} panels have data")
    more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
    return note(
        "panels",
        subject,
        f"{len(empty)} of {len(panels)} panels have no data: {'; '.join(empty[:_SHOWN])}{more}",
        "docs/metrics.md says what exposes each series; what is not in use stays empty",
    )


def _panels(dashboard: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    for panel in dashboard["panels"]:
        for one in (panel, *panel.get("panels", [])):
            expressions = [target.get("expr", "") for target in one.get("targets", [])]
            if expressions:
                yield one["title"], set(_names(" ".join(expressions)))


def _names(expressions: str) -> Iterator[str]:
    yield from re.findall(r"\b(?:[a-z]+:ml_[a-z0-9_:]+|ml_[a-z0-9_]+)", expressions)
