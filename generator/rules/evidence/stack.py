"""Evidence for the alerts of the stack itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from contract import catalog
from contract.alerts import CommonThreshold
from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.alerting import STACK_JOBS
from generator.rules.evidence.evidence import Evidence, Inputs, Timeline, selector

__all__ = ["STACK_EVIDENCE", "STACK_WINDOWS"]

_Prove = Callable[[CommonThreshold, Spec, Timeline], Evidence]


def _exporter_down(_: CommonThreshold, __: Spec, times: Timeline) -> Evidence:
    labels = {"job": STACK_JOBS[0], "instance": "127.0.0.1:9102"}
    return Evidence(
        firing={selector("up", **labels): times.gauge(0, 1)},
        labels=labels,
        silent={"reachable": {selector("up", **labels): times.gauge(1, 1)}},
    )


def _promises_missing(_: CommonThreshold, __: Spec, times: Timeline) -> Evidence:
    # Who exposes thresholds exposes objectives, and of these there are fewer to look for.
    series = selector(
        catalog.SLO_OBJECTIVE,
        model_name="a model",
        model_version="1",
        objective="availability",
        kind="availability",
    )
    return Evidence(
        firing={series: times.absent(0.999)},
        silent={
            "there": {series: times.gauge(0.999, 0.999)},
            "remembered": {series: f"0.999 stale _x{times.end - 2}"},
        },
    )


_DRIFT: Final = {"job": "ml-drift", "instance": "127.0.0.1:9102"}
_ACTION: Final = {
    "instance": "127.0.0.1:9104",
    "model_name": "a model",
    "model_version": "1",
    "team": "a team",
    "action": "rollback",
}
_PROMETHEUS: Final = {"job": "prometheus", "instance": "127.0.0.1:9090"}


def _exporter_stale(threshold: CommonThreshold, _: Spec, times: Timeline) -> Evidence:
    own = {**_DRIFT, "exporter": "drift"}
    when = selector(catalog.EXPORTER_COLLECTION_TIMESTAMP, **own)
    well = selector(catalog.EXPORTER_COLLECTION_SUCCESS, **own)

    def collected(ago: float, success: float) -> Inputs:
        return {
            when: times.gauge(-ago, 0, times.step.seconds),
            well: times.gauge(success, 1),
        }

    return Evidence(
        firing=collected(threshold.value * 1.01, 1),
        labels=_DRIFT,
        also={"it fails": collected(0, 0)},
        silent={"just new enough": collected(threshold.value * 0.99, 1)},
    )


def _refused(metric: Metric | str, labels: dict[str, str], **more: str) -> _Prove:
    """A gauge of 1 that is 0."""

    def evidence(_: CommonThreshold, __: Spec, times: Timeline) -> Evidence:
        series = selector(metric, **labels, **more)
        return Evidence(
            firing={series: times.gauge(0, 1)},
            labels=labels,
            silent={"taken over": {series: times.gauge(1, 1)}},
        )

    return evidence


def _remediation_failing(_: CommonThreshold, __: Spec, times: Timeline) -> Evidence:
    series = selector(catalog.REMEDIATION_BREAKER, **_ACTION)
    return Evidence(
        firing={series: times.gauge(1, 0)},
        labels=_ACTION,
        silent={"closed": {series: times.gauge(0, 0)}},
    )


def _counted(counter: Metric | str, labels: dict[str, str], **more: str) -> _Prove:
    """A counter of failures that grows."""

    def evidence(_: CommonThreshold, __: Spec, times: Timeline) -> Evidence:
        series = selector(counter, **labels, **more)
        return Evidence(
            firing={series: times.counter(1, 0)},
            labels=labels,
            # A rate needs two samples.
            since=1,
            silent={"long ago": {series: times.gauge(7, 7)}},
        )

    return evidence


def _notifications(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    instance = {"instance": "127.0.0.1:9093"}
    where = {**instance, "integration": "webhook"}
    own = {**instance, "channel": "webhook"}
    counted = _counted("alertmanager_notifications_failed_total", where)(threshold, spec, times)
    failed, delivered = (
        selector(catalog.CHANNEL_NOTIFICATIONS, **own, result=result)
        for result in ("failed", "delivered")
    )
    return replace(
        counted,
        also={"a channel of one's own": {failed: times.counter(1, 0)}},
        silent={**counted.silent, "a channel delivers": {delivered: times.counter(1, 1)}},
    )


STACK_WINDOWS: Final[Mapping[str, Duration]] = {
    name: Duration.parse("15m")
    for name in ("RuleFailures", "NotificationsFailing", "NotificationsNotWritten")
}
"""By alert, where its longest window is longer than five minutes."""

STACK_EVIDENCE: Final[dict[str, _Prove]] = {
    "ExporterDown": _exporter_down,
    "PromisesMissing": _promises_missing,
    "ExporterStale": _exporter_stale,
    "SpecRefused": _refused(catalog.EXPORTER_SPEC_OK, _DRIFT, exporter="drift"),
    "RuleFailures": _counted(
        "prometheus_rule_evaluation_failures_total",
        {"instance": _PROMETHEUS["instance"], "rule_group": "rules/alerts.yml;model-alerts"},
        job="prometheus",
    ),
    "NotificationsFailing": _notifications,
    "ConfigReloadFailed": _refused("prometheus_config_last_reload_successful", _PROMETHEUS),
    "NotificationsNotWritten": _counted(
        catalog.NOTIFICATIONS_FAILED, {"instance": "127.0.0.1:9104"}, reason="write"
    ),
    "RemediationFailing": _remediation_failing,
}
"""By alert; the Watchdog needs nothing to fire."""
