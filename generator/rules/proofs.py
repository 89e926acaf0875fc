"""promtool tests that prove each alert rule: it waits, fires, resolves, and only then.

One model proves a rule, because the rule is the same for all; `proven` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

from contract import catalog
from contract.alerts import (
    ALERTS,
    Alert,
    CommonThreshold,
    Threshold,
    escalations,
    gpu_thresholds,
    next_severity,
    stack_thresholds,
    thresholds,
)
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.alerting import Promise
from generator.queries.recorded_gpu import NO_MODEL
from generator.queries.windows import FIVE_MINUTES
from generator.rules import alerts, recording
from generator.rules.annotations import OF_LABELS, SHOWN
from generator.rules.evidence import (
    GPU_EVIDENCE,
    LONGEST_WINDOW,
    MODEL_EVIDENCE,
    SLO_EVALUATED,
    SLO_TIMELINES,
    STACK_EVIDENCE,
    STACK_WINDOWS,
    Evidence,
    Inputs,
    Timeline,
    selector,
)
from generator.text import render_yaml

__all__ = ["proven", "render_every_proof", "render_proofs"]

_Moment = tuple[Duration, Sequence[Mapping[str, Any]]]
"""A time, and the alerts that fire then."""


def render_proofs(spec: Spec) -> dict[str, str]:
    """Alert → the text of its test file. Under a time scale there are none: nothing to prove."""
    if spec.time_scale != 1:
        return {}
    tests: dict[str, list[dict[str, Any]]] = {}
    for threshold in proven(spec):
        tests.setdefault(threshold.alert, []).extend(_model_tests(threshold, spec))
    for threshold, after in _escalating(spec):
        tests.setdefault(threshold.alert, []).extend(_escalation_tests(threshold, after, spec))
    for gpu in gpu_thresholds(spec):
        tests[gpu.alert] = list(_gpu_tests(gpu, spec))
    for of_stack in stack_thresholds(spec):
        if of_stack.alert in STACK_EVIDENCE:
            tests[of_stack.alert] = list(_stack_tests(of_stack, spec))
    tests["Watchdog"] = [_watchdog(spec)]
    return {
        name: _file(found, every=SLO_EVALUATED.get(name)) for name, found in tests.items() if found
    }


_IN_A_FILE = 10


def render_every_proof(spec: Spec) -> dict[str, tuple[int, str]]:
    """Of every threshold of every model: file → how many it proves, and its text."""
    by_alert: dict[str, list[list[dict[str, Any]]]] = {}
    for threshold in thresholds(spec):
        if tests := list(_model_tests(threshold, spec)):
            by_alert.setdefault(threshold.alert, []).append(tests)
    return {
        f"{name}-{start}": (
            len(some := found[start : start + _IN_A_FILE]),
            _file([test for tests in some for test in tests], every=SLO_EVALUATED.get(name)),
        )
        for name, found in by_alert.items()
        for start in range(0, len(found), _IN_A_FILE)
    }


def proven(spec: Spec) -> list[Threshold]:
    """The thresholds that get a proof: the first of each rule."""
    first: dict[Promise, Threshold] = {}
    for threshold in thresholds(spec):
        first.setdefault(Promise(threshold.alert, threshold.severity, threshold.hold), threshold)
    return list(first.values())


def _file(tests: Sequence[dict[str, Any]], *, every: Duration | None = None) -> str:
    """A file of tests whose rules are evaluated with each input, or as often as is said."""
    with_inputs = min((test["interval"] for test in tests), key=Duration.parse)
    return render_yaml(
        {
            "rule_files": ["../rules/recording.yml", "../rules/alerts.yml"],
            "evaluation_interval": str(every) if every else with_inputs,
            # Without an order, promtool may evaluate an alert before the series it reads.
            "group_eval_order": [*recording.group_names(), *alerts.group_names()],
            "tests": list(tests),
        }
    )


# One alert


def _model_tests(threshold: Threshold, spec: Spec) -> Iterator[dict[str, Any]]:
    model = spec.model(threshold.model_name, threshold.model_version)
    assert model is not None
    times = SLO_TIMELINES.get(threshold.alert) or Timeline.of(threshold.hold, spec)
    evidence = MODEL_EVIDENCE[threshold.alert](threshold, model, spec, times)
    if evidence is None:
        return
    times = evidence.times or times
    promise = {
        "model_name": threshold.model_name,
        "model_version": threshold.model_version,
        "team": threshold.team,
        "alert": threshold.alert,
        "severity": threshold.severity,
        "hold": str(threshold.hold),
        **({"objective": threshold.objective} if threshold.objective else {}),
    }
    given = {
        selector(catalog.ALERT_THRESHOLD, **promise): times.gauge(threshold.value, threshold.value)
    }
    labels = {k: v for k, v in promise.items() if k not in {"alert", "hold"}}
    labels |= {**ALERTS[threshold.alert].labels, **evidence.labels}
    expected = _expected(ALERTS[threshold.alert], labels, evidence, threshold.value, spec)
    who = f"{threshold.alert} {threshold.severity} of {model.name} {model.version}"
    yield from _tests(threshold.alert, who, threshold.hold, times, evidence, given, expected)


def _escalating(spec: Spec) -> Iterator[tuple[Threshold, Duration]]:
    """For each rule that escalates, the first threshold that it can be proven with."""
    proven_rules: set[tuple[str, str]] = set()
    all_thresholds = list(thresholds(spec))
    for one in escalations(spec, iter(all_thresholds)):
        if (one.alert, one.severity) in proven_rules:
            continue
        proven_rules.add((one.alert, one.severity))
        yield next(
            (threshold, one.after)
            for threshold in all_thresholds
            if (threshold.alert, threshold.severity) == (one.alert, one.severity)
            and (threshold.model_name, threshold.model_version)
            == (one.model_name, one.model_version)
        )


def _escalation_tests(
    threshold: Threshold, after: Duration, spec: Spec
) -> Iterator[dict[str, Any]]:
    """What makes the alert fire goes on for longer than it may."""
    model = spec.model(threshold.model_name, threshold.model_version)
    assert model is not None
    # A step later than when it escalates.
    long = replace(threshold, hold=Duration(after.milliseconds + 120_000))
    evidence = MODEL_EVIDENCE[threshold.alert](long, model, spec, Timeline.of(long.hold, spec))
    if evidence is None:
        return
    times = evidence.times or Timeline.of(long.hold, spec)
    who = {"model_name": threshold.model_name, "model_version": threshold.model_version}
    labels = {
        **who,
        "team": threshold.team,
        "severity": threshold.severity,
        **({"objective": threshold.objective} if threshold.objective else {}),
    }
    promise = {**labels, "alert": threshold.alert, "hold": str(threshold.hold)}
    rule = {"alert": threshold.alert, "severity": threshold.severity}
    limit = threshold.value
    given = {
        selector(catalog.ALERT_THRESHOLD, **promise): times.gauge(limit, limit),
        selector(catalog.ALERT_ESCALATION, **who, **rule): times.gauge(
            after.seconds, after.seconds
        ),
    }
    alert = ALERTS[threshold.alert]
    labels |= {**alert.labels, **evidence.labels}
    usual = _expected(alert, labels, evidence, limit, spec)
    worse = labels | {
        "severity": next_severity(threshold.severity),
        "escalated_from": threshold.severity,
    }
    told = _expected(alerts.escalation(alert, threshold.severity), worse, evidence, None, spec)
    since = times.at(evidence.since).milliseconds + after.milliseconds
    # At a sample: between two of them a time grows, and with it the value.
    just_before = (since - 1) // times.step.milliseconds * times.step.milliseconds
    before = [] if evidence.growing else [(Duration(just_before), [usual])]
    yield _test(
        f"{alert.name} {threshold.severity} of {model.name} {model.version} escalates",
        alert.name,
        times,
        {**given, **evidence.firing},
        [
            *before,
            (times.at(times.bad), [usual, told]),
            (times.at(times.end), []),
        ],
    )


def _gpu_tests(threshold: CommonThreshold, spec: Spec) -> Iterator[dict[str, Any]]:
    longest = LONGEST_WINDOW.get(threshold.alert, FIVE_MINUTES)
    times = Timeline.of(threshold.hold, spec, longest)
    evidence = GPU_EVIDENCE[threshold.alert](threshold, spec, times)
    if evidence is None:
        return
    labels = {"severity": threshold.severity, **alerts.nobody(spec), **evidence.labels}
    expected = _expected(ALERTS[threshold.alert], labels, evidence, threshold.value, spec)
    yield from _tests(
        threshold.alert, threshold.alert, threshold.hold, times, evidence, {}, expected
    )
    if threshold.escalate_after is not None:
        yield from _escalation_of_all(threshold, LONGEST_WINDOW, GPU_EVIDENCE, labels, spec)


def _stack_tests(threshold: CommonThreshold, spec: Spec) -> Iterator[dict[str, Any]]:
    alert = alerts.stated(ALERTS[threshold.alert], threshold.value)
    times = Timeline.of(threshold.hold, spec, STACK_WINDOWS.get(alert.name, FIVE_MINUTES))
    evidence = STACK_EVIDENCE[alert.name](threshold, spec, times)
    labels = {**_stack_labels(alert, spec), "severity": threshold.severity, **evidence.labels}
    expected = _expected(alert, labels, evidence, None, spec)
    yield from _tests(alert.name, alert.name, threshold.hold, times, evidence, {}, expected)
    if threshold.escalate_after is not None:
        yield from _escalation_of_all(threshold, STACK_WINDOWS, STACK_EVIDENCE, labels, spec)


def _escalation_of_all(
    threshold: CommonThreshold,
    windows: Mapping[str, Duration],
    evidence_of: Mapping[str, Callable[[CommonThreshold, Spec, Timeline], Evidence | None]],
    labels: Mapping[str, str],
    spec: Spec,
) -> Iterator[dict[str, Any]]:
    """What makes an alert of GPUs or of the stack fire goes on for longer than it may."""
    assert threshold.escalate_after is not None
    # A step later than when it escalates.
    long = replace(threshold, hold=Duration(threshold.escalate_after.milliseconds + 120_000))
    times = Timeline.of(long.hold, spec, windows.get(threshold.alert, FIVE_MINUTES))
    evidence = evidence_of[threshold.alert](long, spec, times)
    if evidence is None or evidence.value is not None:
        return  # a value that the long wait would have changed
    worse = {
        **labels,
        "severity": next_severity(threshold.severity),
        "escalated_from": threshold.severity,
    }
    alert = alerts.stated(ALERTS[threshold.alert], threshold.value)
    told = _expected(alerts.escalation(alert, threshold.severity), worse, evidence, None, spec)
    usual = _expected(alert, labels, evidence, None, spec)
    yield _test(
        f"{alert.name} escalates",
        alert.name,
        times,
        evidence.firing,
        [(times.at(times.bad), [usual, told]), (times.at(times.end), [])],
    )


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
        waited = times.at(evidence.since).milliseconds + hold.milliseconds
        moments.append((Duration(waited - times.step.milliseconds), []))
    moments += [(times.at(times.bad), [expected]), (times.at(times.end), [])]
    yield _test(
        f"{who} waits, fires and resolves", alert, times, {**given, **evidence.firing}, moments
    )
    for case, inputs in evidence.also.items():
        yield _test(
            f"{who} fires: {case}",
            alert,
            times,
            {**given, **inputs},
            [(times.at(times.bad), [expected]), (times.at(times.end), [])],
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
    whose = {} if alert.about_model else alerts.nobody(spec)
    return {"severity": alert.severities[0], **whose}


def _expected(
    alert: Alert,
    labels: Mapping[str, str],
    evidence: Evidence,
    threshold: float | None,
    spec: Spec,
) -> dict[str, Any]:
    """The firing alert as promtool compares it: all labels, all annotations."""
    shown = SHOWN[alert.display]
    numbers = {}
    if evidence.value is not None and threshold is not None:
        # The value as it stands in the series.
        value = float(f"{evidence.value:.12g}")
        numbers = {"value": shown(value), "threshold": shown(threshold)}
    name, version = labels["model_name"], labels["model_version"]
    places = {
        "model": f"{name} {version}",
        **{place: labels.get(label, "") for place, label in OF_LABELS.items()},
        "gpu": f"GPU {labels.get('gpu_id')} of {labels.get('instance')}",
        "holder": "" if name == NO_MODEL else f", held by {name} {version}",
        **evidence.looked_up,
        **numbers,
    }
    return {
        "exp_labels": dict(labels),
        "exp_annotations": {
            "summary": alert.summary.format(**places),
            "description": alert.description.format(**places),
            **numbers,
            **({"threshold_set_by": alert.set_by} if numbers else {}),
            "runbook_url": f"http://{spec.stack.responder}/runbooks/{alert.name}",
            "dashboard_url": f"http://{spec.stack.grafana}/d/{_dashboard(alert, labels)}",
        },
    }


def _dashboard(alert: Alert, labels: Mapping[str, str]) -> str:
    if alert.scope == "model" or alert.about_model:
        name, version = (quote_plus(labels[key]) for key in ("model_name", "model_version"))
        return f"ml-model?var-model={name}&var-version={version}"
    if alert.scope == "gpu":
        return f"ml-gpu?var-gpu={labels['gpu_uuid']}" if "gpu_uuid" in labels else "ml-gpu"
    return "ml-fleet"
