"""Alert rules: one for each alert, severity and `for` that occurs, for all models at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.alerts import ALERTS, Alert, thresholds
from contract.quantity import Duration
from contract.spec import Severity, Spec
from generator.queries.alerting import MODEL_EXPRESSIONS, STACK_EXPRESSIONS, Promise
from generator.rules.annotations import NO_MODEL, render_annotations
from generator.text import render_template

__all__ = ["Rule", "alert_rules", "group_names", "promises", "render_alerts"]

_GROUPS = ("model-alerts", "stack-alerts")


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
    rules = alert_rules(spec)
    return render_template("alerts.yml.j2", groups=zip(_GROUPS, rules, strict=True))


def alert_rules(spec: Spec) -> tuple[list[Rule], list[Rule]]:
    """The rules of the models' alerts and those of the stack's."""
    of_models = [_model_rule(promise, spec) for promise in promises(spec)]
    of_stack = [_stack_rule(ALERTS[name], name, spec) for name in STACK_EXPRESSIONS]
    return of_models, of_stack


def group_names() -> tuple[str, ...]:
    """The groups of alerts.yml."""
    return _GROUPS


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
        labels={"severity": promise.severity},
        annotations=render_annotations(ALERTS[promise.alert], promise.severity, spec),
    )


def _stack_rule(alert: Alert, name: str, spec: Spec) -> Rule:
    severity: Severity = alert.severities[0]
    return Rule(
        alert=name,
        expression=STACK_EXPRESSIONS[name],
        hold=_hold(alert.hold, spec),
        labels={
            "severity": severity,
            "team": spec.defaults.team,
            "model_name": NO_MODEL,
            "model_version": NO_MODEL,
        },
        annotations=render_annotations(alert, severity, spec),
    )


def _hold(hold: Duration, spec: Spec) -> Duration | None:
    return spec.clock(hold) if hold.milliseconds else None
