"""How fast an alert can be, read from the rules and routes that were rendered for this run.

What a failure has to go through, from the counter that shows it to the receiver, is a chain of
intervals: the scrape, the groups of recording rules on the way, the drift collector where it is in
between, the group of the alert, its `for`, and what Alertmanager waits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from contract import catalog
from contract.catalog import Exporter, Metric, Type
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import recorded

__all__ = ["Chain", "NoChainError", "Rendered"]

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:]*")
_COLLECTOR: Final = Duration.parse("1m")
"""How often the drift collector evaluates, before the time scale."""
_LEAST_COLLECTOR: Final = 1.0
_CLIENT: Final = 0.5
"""Seconds until what a model server did is counted: its client gathers events for 200 ms."""


class NoChainError(LookupError):
    """An alert that does not read what a failure shows in, not even through other rules."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What lies between a failure and its alert, in seconds."""

    seen: float
    """Until what has happened is in what the alert's rule reads."""
    evaluated: float
    """Until that rule is evaluated."""
    hold: float
    """Its `for`."""


@dataclass(frozen=True, slots=True)
class _Rule:
    group: str
    interval: float
    reads: frozenset[str]


class Rendered:
    """The generated tree of a run, as far as it says how long things take."""

    def __init__(self, tree: Path, spec: Spec) -> None:
        """Read what lies below `tree`, which was rendered for `spec`."""
        self._spec = spec
        config = _read(tree / "prometheus/generated/prometheus.yml")["global"]
        self.scrape = _seconds(config["scrape_interval"])
        self.evaluation = _seconds(config["evaluation_interval"])
        route = _read(tree / "alertmanager/generated/alertmanager.yml")["route"]
        self.group_wait = _seconds(route["group_wait"])
        self.group_interval = _seconds(route["group_interval"])
        self._recorded: dict[str, list[_Rule]] = {}
        self._alerts: dict[tuple[str, str], list[tuple[_Rule, float]]] = {}
        for file in sorted((tree / "prometheus/generated/rules").glob("*.yml")):
            self._add(_read(file))

    def _add(self, content: dict[str, Any]) -> None:
        for group in content["groups"]:
            interval = _seconds(group["interval"]) if "interval" in group else self.evaluation
            for rule in group["rules"]:
                own = _Rule(group["name"], interval, frozenset(_NAME.findall(rule["expr"])))
                if "record" in rule:
                    self._recorded.setdefault(rule["record"], []).append(own)
                else:
                    key = (rule["alert"], rule["labels"]["severity"])
                    hold = _seconds(rule["for"]) if "for" in rule else 0.0
                    self._alerts.setdefault(key, []).append((own, hold))

    def chain(self, alert: str, severity: str, metric: Metric | str) -> Chain:
        """The shortest chain from a metric to an alert. Raises NoChainError."""
        found = [
            Chain(seen, rule.interval, hold)
            for rule, hold in self._alerts.get((alert, severity), [])
            for seen in [self._until_read(rule, _names(metric), frozenset())]
            if math.isfinite(seen)
        ]
        if not found:
            raise NoChainError(f"{alert} ({severity}) does not read {metric}")
        return min(found, key=lambda chain: chain.seen + chain.evaluated + chain.hold)

    def _until_read(self, rule: _Rule, wanted: frozenset[str], passed: frozenset[str]) -> float:
        """Seconds until a rule's inputs show what a metric does."""
        if rule.reads & wanted:
            return self._exposed(next(iter(rule.reads & wanted)))
        ways = (
            self._until_read(inner, wanted, passed | {name})
            # Within a group rules are evaluated one after the other.
            + (0.0 if inner.group == rule.group else inner.interval)
            for name in rule.reads - passed - (frozenset() if wanted & _PROMISED else _PROMISES)
            for inner in self._recorded.get(name, [])
        )
        return min(ways, default=math.inf)

    def _exposed(self, name: str) -> float:
        """Seconds from what happens to its being in Prometheus."""
        metric = _METRICS.get(name)
        source = None if metric is None else metric.exporter
        if source is Exporter.DRIFT:
            collector = max(_LEAST_COLLECTOR, self._spec.clock(_COLLECTOR).seconds)
            return _CLIENT + self.scrape + collector + self.scrape
        if source is Exporter.GPU:
            return self._spec.gpu.slow_interval.seconds + self.scrape
        return (_CLIENT if source is Exporter.SIDECAR else 0.0) + self.scrape


def _names(metric: Metric | str) -> frozenset[str]:
    if isinstance(metric, str):
        return frozenset({metric})
    return frozenset(_series(metric))


def _series(metric: Metric) -> Iterator[str]:
    yield metric.name
    if metric.type is Type.HISTOGRAM:
        yield from (metric.bucket, metric.sum, metric.count)


def _by_series(metrics: Iterable[Metric]) -> dict[str, Metric]:
    return {name: metric for metric in metrics for name in _series(metric)}


_METRICS: Final = _by_series(catalog.METRICS)
_PROMISES: Final = frozenset(
    rule.name for rule in recorded.RECORDED if rule.group is recorded.PROMISES
)
"""What models.yaml says is not what happened; unless that is what fails."""
_PROMISED: Final = frozenset({catalog.SLO_OBJECTIVE.name})


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _seconds(text: str) -> float:
    return Duration.parse(text).seconds
