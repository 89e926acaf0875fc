"""Evidence for the alerts of the stack itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.spec import Spec
from generator.queries.alerting import STACK_JOBS
from generator.rules.evidence.evidence import Evidence, Timeline, selector

__all__ = ["STACK_EVIDENCE"]


def _exporter_down(_: Spec, times: Timeline) -> Evidence:
    labels = {"job": STACK_JOBS[0], "instance": "127.0.0.1:9102"}
    return Evidence(
        firing={selector("up", **labels): times.gauge(0, 1)},
        labels=labels,
        silent={"reachable": {selector("up", **labels): times.gauge(1, 1)}},
    )


def _promises_missing(_: Spec, times: Timeline) -> Evidence:
    promise = {"model_name": "a model", "model_version": "1", "team": "a team"}
    alert = {"alert": "HighErrorRatio", "severity": "critical", "hold": "2m"}
    series = selector(catalog.ALERT_THRESHOLD, **promise, **alert)
    return Evidence(
        firing={series: times.absent(0.05)},
        silent={
            "there": {series: times.gauge(0.05, 0.05)},
            "remembered": {series: f"0.05 stale _x{times.end - 2}"},
        },
    )


STACK_EVIDENCE: Final[dict[str, Callable[[Spec, Timeline], Evidence]]] = {
    "ExporterDown": _exporter_down,
    "PromisesMissing": _promises_missing,
}
"""By alert; the Watchdog needs nothing to fire."""
