"""Alert rules: one for each alert, severity and `for` that occurs, for all models at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from contract.alerts import (
    ALERTS,
    Alert,
    CommonThreshold,
    escalations,
    gpu_thresholds,
    next_severity,
    stack_thresholds,
    thresholds,
)
from contract.quantity import Duration
from contract.spec import Severity, Spec
from generator.queries.alerting import (
    GPU_EXPRESSIONS,
    MODEL_EXPRESSIONS,
    SLOW,
    STACK_EXPRESSIONS,
    WATCHDOG,
    Promise,
    escalated,
    escalated_after,
)
from generator.queries.recorded import Group
from generator.queries.recorded_gpu import HOLDER, NO_MODEL
from generator.queries.windows import ONE_MINUTE, TWO_MINUTES
from generator.rules.annotations import SHOWN, render_annotations, render_gpu_annotations
from generator.text import render_template

__all__ = [
    "Rule",
    "alert_rules",
    "clocked",
    "escalation",
    "escalation_rules",
    "group_names",
    "nobody",
    "promises",
    "render_alerts",
    "stated",
]

_FAST: Final = Group("model-alerts")
_SLOW: Final = Group("model-alerts-slow", slowly=TWO_MINUTES)
_GPU: Final = Group("gpu-alerts")
_STACK: Final = Group("stack-alerts", slowly=ONE_MINUTE)
_WATCHDOG: Final = Group("watchdog")
_ESCALATIONS: Final = Group("model-escalations", slowly=ONE_MINUTE)
"""Groups in the order in which one reads what another says."""
_LEAST_AGE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert rule, ready to be written; `hold` as Prometheus sees it, None for none."""

    alert: str
    expression: str
    hold: Duration | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def render_alerts(spec: Spec) -> str:
    """The text of rules/alerts.yml."""
    of_models, of_gpus, of_stack = alert_rules(spec)
    groups = {
        _FAST: [rule for rule in of_models if rule.alert not in SLOW],
        _SLOW: [rule for rule in of_models if rule.alert in SLOW],
        _GPU: of_gpus,
        _STACK: [rule for rule in of_stack if rule.alert != WATCHDOG],
        # Apart and often: Prometheus says of no alert that it fires before it was evaluated thrice.
        _WATCHDOG: [rule for rule in of_stack if rule.alert == WATCHDOG],
        _ESCALATIONS: escalation_rules(spec),
    }
    present = {group: rules for group, rules in groups.items() if rules}
    return render_template("alerts.yml.j2", groups=present.items(), spec=spec)


def alert_rules(spec: Spec) -> tuple[list[Rule], list[Rule], list[Rule]]:
    """The rules of the models' alerts, of those of GPUs and of the stack's."""
    of_models = [_model_rule(promise, spec) for promise in promises(spec)]
    of_gpus = [_gpu_rule(threshold, spec) for threshold in gpu_thresholds(spec)]
    of_stack = [_stack_rule(threshold, spec) for threshold in stack_thresholds(spec)]
    return of_models, of_gpus, of_stack


def group_names() -> tuple[str, ...]:
    """The groups of alerts.yml, the one that reads what others say last."""
    return tuple(group.name for group in (_FAST, _SLOW, _GPU, _STACK, _WATCHDOG, _ESCALATIONS))


def escalation_rules(spec: Spec) -> list[Rule]:
    """For each alert and severity that somebody lets escalate, the rule that does it.

    It has the alert's own name, so that whoever silences the alert of a model silences both.
    """
    order = list(ALERTS)
    found = {(order.index(one.alert), one.severity) for one in escalations(spec, thresholds(spec))}
    of_models = [
        _escalation_rule(ALERTS[order[index]], severity, spec) for index, severity in sorted(found)
    ]
    of_all = (*gpu_thresholds(spec), *stack_thresholds(spec))
    return [*of_models, *(_escalation_of_all(one, spec) for one in of_all if one.escalate_after)]


def _escalation_rule(alert: Alert, severity: Severity, spec: Spec) -> Rule:
    return Rule(
        alert=alert.name,
        expression=escalated(alert.name, severity),
        hold=None,
        labels={"severity": next_severity(severity), "escalated_from": severity},
        annotations=render_annotations(escalation(alert, severity), severity, spec),
    )


def _escalation_of_all(threshold: CommonThreshold, spec: Spec) -> Rule:
    told = escalation(ALERTS[threshold.alert], threshold.severity)
    severity = next_severity(threshold.severity)
    return Rule(
        alert=told.name,
        expression=escalated_after(threshold),
        hold=None,
        labels={"severity": severity, "escalated_from": threshold.severity},
        annotations=(
            render_gpu_annotations(told, threshold.value, spec)
            if told.scope == "gpu"
            else render_annotations(told, severity, spec)
        ),
    )


def escalation(alert: Alert, severity: Severity) -> Alert:
    """What an escalated alert says: that it was there all the time."""
    if alert.scope != "model" and not alert.about_model:
        where = "{gpu}: n" if "{gpu}" in alert.summary else "N"
        whose = "{holder}" if "{holder}" in alert.summary else ""
        return replace(
            alert,
            display="none",
            summary=f"{where}obody took care of {alert.name}{whose}",
            description=f"{alert.name} fires as {severity}, and has for longer than escalate_after "
            "allows. Nobody resolved it; who works on it can silence it.",
        )
    return replace(
        alert,
        display="none",
        summary=f"{{model}}: nobody took care of {alert.name}",
        description=f"{alert.name} of {{model}} fires as {severity}, and has for longer than "
        "escalate_after allows. Nobody resolved it; who works on it can silence the alert and the "
        "model, which covers both severities.",
    )


def promises(spec: Spec) -> list[Promise]:
    """What occurs among the thresholds of all models, in the order of contract.alerts."""
    order = list(ALERTS)
    found = {Promise(t.alert, t.severity, t.hold) for t in thresholds(spec)}
    return sorted(found, key=lambda promise: (order.index(promise.alert), promise))


def _model_rule(promise: Promise, spec: Spec) -> Rule:
    # model_name, model_version and team come with the series.
    return Rule(
        alert=promise.alert,
        expression=MODEL_EXPRESSIONS[promise.alert](promise),
        hold=_hold(promise.hold, spec),
        labels={"severity": promise.severity, **ALERTS[promise.alert].labels},
        annotations=render_annotations(ALERTS[promise.alert], promise.severity, spec),
    )


def _gpu_rule(threshold: CommonThreshold, spec: Spec) -> Rule:
    # As for models; what is missing on a whole machine is nobody's GPU.
    expression = GPU_EXPRESSIONS[threshold.alert](threshold)
    whose = {} if str(HOLDER) in expression else nobody(spec)
    return Rule(
        alert=threshold.alert,
        expression=expression,
        hold=_hold(threshold.hold, spec),
        labels={"severity": threshold.severity, **whose},
        annotations=render_gpu_annotations(ALERTS[threshold.alert], threshold.value, spec),
    )


def _stack_rule(threshold: CommonThreshold, spec: Spec) -> Rule:
    alert, severity = ALERTS[threshold.alert], threshold.severity
    whose = {} if alert.about_model else nobody(spec)
    return Rule(
        alert=alert.name,
        expression=STACK_EXPRESSIONS[alert.name](clocked(threshold, spec)),
        hold=_hold(threshold.hold, spec),
        labels={"severity": severity, **whose},
        annotations=render_annotations(stated(alert, threshold.value), severity, spec),
    )


def clocked(threshold: CommonThreshold, spec: Spec) -> float:
    """A threshold of the stack as Prometheus sees it.

    All of them are times; not even a fast clock lets an exporter collect without a pause.
    """
    scaled = threshold.value / spec.time_scale
    return max(scaled, min(threshold.value, _LEAST_AGE))


def stated(alert: Alert, threshold: float) -> Alert:
    """An alert of the stack whose text says its threshold."""
    shown = SHOWN[alert.display](threshold)
    return replace(alert, description=alert.description.replace("{threshold}", shown))


def nobody(spec: Spec) -> dict[str, str]:
    """The labels of an alert that is about no model."""
    return {"team": spec.defaults.team, "model_name": NO_MODEL, "model_version": NO_MODEL}


def _hold(hold: Duration, spec: Spec) -> Duration | None:
    return spec.clock(hold) if hold.milliseconds else None
