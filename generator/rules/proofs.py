"""promtool tests that prove each alert rule: it waits, fires, resolves, and only then.

One model proves a rule, because the rule is the same for all; `proven` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote_plus

from contract import catalog
from contract.alerts import ALERTS, Alert, Threshold, thresholds
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.alerting import Promise
from generator.rules import alerts, recording
from generator.rules.annotations import NO_MODEL
from generator.rules.evidence import (
    MODEL_EVIDENCE,
    STACK_EVIDENCE,
    Evidence,
    Inputs,
    Timeline,
    selector,
)
from generator.rules.humanized import humanize_duration, humanize_percentage
from generator.text import render_yaml

__all__ = ["proven", "render_proofs"]

_SHOWN: Final[dict[str, Callable[[float], str]]] = {
    "percent": humanize_percentage,
    "duration": humanize_duration,
    "number": "{:.3g}".format,
    "none": str,
}

_Moment = tuple[Duration, Sequence[Mapping[str, Any]]]
"""A time, and the alerts that fire then."""


def render_proofs(spec: Spec) -> dict[str, str]:
    """Alert → the text of its test file. Under a time scale there are none: nothing to prove."""
    if spec.time_scale != 1:
        return {}
    tests: dict[str, list[dict[str, Any]]] = {}
    for threshold in proven(spec):
        tests.setdefault(threshold.alert, []).extend(_model_tests(threshold, spec))
    for name in STACK_EVIDENCE:
        tests[name] = list(_stack_tests(ALERTS[name], spec))
    tests["Watchdog"] = [_watchdog(spec)]
    return {name: _file(found) for name, found in tests.items() if found}


def proven(spec: Spec) -> list[Threshold]:
    """The thresholds that get a proof: the first of each rule."""
    first: dict[Promise, Threshold] = {}
    for threshold in thresholds(spec):
        first.setdefault(Promise(threshold.alert, threshold.severity, threshold.hold), threshold)
    return list(first.values())


def _file(tests: Sequence[dict[str, Any]]) -> str:
    return render_yaml(
        {
            "rule_files": ["../rules/recording.yml", "../rules/alerts.yml"],
            "evaluation_interval": min((test["interval"] for test in tests), key=Duration.parse),
            # Without an order, promtool may evaluate an alert before the series it reads.
            "group_eval_order": [*recording.group_names(), *alerts.group_names()],
            "tests": list(tests),
        }
    )


# One alert


def _model_tests(threshold: Threshold, spec: Spec) -> Iterator[dict[str, Any]]:
    model = spec.model(threshold.model_name, threshold.model_version)
    assert model is not None
    times = Timeline.of(threshold.hold, spec)
    evidence = MODEL_EVIDENCE[threshold.alert](threshold, model, spec, times)
    if evidence is None:
        return
    promise = {
        "model_name": threshold.model_name,
        "model_version": threshold.model_version,
        "team": threshold.team,
        "alert": threshold.alert,
        "severity": threshold.severity,
        "hold": str(threshold.hold),
    }
    given = {
        selector(catalog.ALERT_THRESHOLD, **promise): times.gauge(threshold.value, threshold.value)
    }
    labels = {k: v for k, v in promise.items() if k not in {"alert", "hold"}}
    labels |= dict(evidence.labels)
    expected = _expected(ALERTS[threshold.alert], labels, evidence, threshold.value, spec)
    who = f"{threshold.alert} {threshold.severity} of {model.name} {model.version}"
    yield from _tests(threshold.alert, who, threshold.hold, times, evidence, given, expected)


def _stack_tests(alert: Alert, spec: Spec) -> Iterator[dict[str, Any]]:
    times = Timeline.of(alert.hold, spec)
    evidence = STACK_EVIDENCE[alert.name](spec, times)
    labels = {**_stack_labels(alert, spec), **evidence.labels}
    expected = _expected(alert, labels, evidence, None, spec)
    yield from _tests(alert.name, alert.name, alert.hold, times, evidence, {}, expected)


def _watchdog(spec: Spec) -> dict[str, Any]:
    alert = ALERTS["Watchdog"]
    expected = _expected(alert, _stack_labels(alert, spec), Evidence(firing={}), None, spec)
    times = Timeline.of(alert.hold, spec)
    return _test("Watchdog fires", "Watchdog", times, {}, [(times.at(0), [expected])])


def _tests(
    alert: str,
    who: str,
    hold: Duration,
    times: Timeline,
    evidence: Evidence,
    given: Inputs,
    expected: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    moments: list[_Moment] = []
    if hold.milliseconds >= 2 * times.step.milliseconds:
        moments.append((Duration(hold.milliseconds - times.step.milliseconds), []))
    moments += [(times.at(times.bad), [expected]), (times.at(times.end), [])]
    yield _test(
        f"{who} waits, fires and resolves", alert, times, {**given, **evidence.firing}, moments
    )
    for case, inputs in evidence.silent.items():
        yield _test(
            f"{who} is silent: {case}",
            alert,
            times,
            {**given, **inputs},
            [(times.at(times.bad), [])],
        )


def _test(
    name: str,
    alert: str,
    times: Timeline,
    inputs: Inputs,
    moments: Sequence[_Moment],
) -> dict[str, Any]:
    return {
        "name": name,
        "interval": str(times.step),
        "input_series": [{"series": series, "values": text} for series, text in inputs.items()],
        "alert_rule_test": [
            {"eval_time": str(moment), "alertname": alert, "exp_alerts": list(expected)}
            for moment, expected in moments
        ],
    }


# What is expected of it


def _stack_labels(alert: Alert, spec: Spec) -> dict[str, str]:
    return {
        "severity": alert.severities[0],
        "team": spec.defaults.team,
        "model_name": NO_MODEL,
        "model_version": NO_MODEL,
    }


def _expected(
    alert: Alert,
    labels: Mapping[str, str],
    evidence: Evidence,
    threshold: float | None,
    spec: Spec,
) -> dict[str, Any]:
    """The firing alert as promtool compares it: all labels, all annotations."""
    shown = _SHOWN[alert.display]
    numbers = {}
    if evidence.value is not None and threshold is not None:
        numbers = {"value": shown(evidence.value), "threshold": shown(threshold)}
    name, version = labels["model_name"], labels["model_version"]
    places = {
        "model": f"{name} {version}",
        "feature": labels.get("feature_name", ""),
        "target": labels.get("target", ""),
        "job": labels.get("job", ""),
        "instance": labels.get("instance", ""),
        **numbers,
    }
    dashboard = (
        f"ml-model?var-model={quote_plus(name)}&var-version={quote_plus(version)}"
        if alert.threshold
        else "ml-fleet"
    )
    return {
        "exp_labels": dict(labels),
        "exp_annotations": {
            "summary": alert.summary.format(**places),
            "description": alert.description.format(**places),
            **numbers,
            **({"threshold_set_by": alert.set_by} if numbers else {}),
            "runbook_url": f"http://{spec.stack.responder}/runbooks/{alert.name}",
            "dashboard_url": f"http://{spec.stack.grafana}/d/{dashboard}",
        },
    }
