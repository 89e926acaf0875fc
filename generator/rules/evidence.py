"""For each alert, raw series that must make it fire, and such that must only just not.

They are what exporters expose, so that a proof runs through the recording rules as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from contract import catalog
from contract.alerts import MIN_REQUESTS, Threshold
from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import QUANTILES, Model, Spec
from generator.queries.alerting import STACK_JOBS
from generator.queries.recorded import MODEL_JOBS
from generator.queries.windows import FIVE_MINUTES, window

__all__ = ["MODEL_EVIDENCE", "STACK_EVIDENCE", "Evidence", "Inputs", "Timeline", "selector"]

Inputs = Mapping[str, str]
"""Series → its values, in promtool's notation."""


_SHORTEST_STEP: Final = 15_000
"""Below it promtool takes minutes for a proof, and rules are not evaluated more often anyway."""
_LONGEST_STEP: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Something is wrong from the start, up to step `bad`, then right up to step `end`."""

    step: Duration
    bad: int
    end: int

    @classmethod
    def of(cls, hold: Duration, spec: Spec, longest: Duration = FIVE_MINUTES) -> Timeline:
        """Long enough for the hold and for the longest window to fill and to empty."""
        span = window(spec, longest).milliseconds
        largest = max(_LONGEST_STEP, span // 30)
        # Without a hold there is nothing to wait for, and steps may be large.
        step = min(max(hold.milliseconds // 2 or largest, _SHORTEST_STEP), largest)
        bad = math.ceil((span + hold.milliseconds) / step) + 2
        return cls(step=Duration(step), bad=bad, end=bad + math.ceil(span / step) + 2)

    def at(self, step: int) -> Duration:
        """The time of a step."""
        return Duration(self.step.milliseconds * step)

    def gauge(self, bad: float, good: float, slope: float = 0) -> str:
        """A value while it is bad and one while it is good; both grow by `slope` a step."""
        good += slope * (self.bad + 1)
        return f"{bad:.12g}+{slope:.12g}x{self.bad} {good:.12g}+{slope:.12g}x{self._rest}"

    def counter(self, bad: float, good: float) -> str:
        """A counter from 0 that grows by `bad`, later by `good` a step."""
        total = bad * self.bad + good
        return f"0+{bad:.12g}x{self.bad} {total:.12g}+{good:.12g}x{self._rest}"

    def absent(self, good: float) -> str:
        """Nothing while it is bad, then a value."""
        return f"_x{self.bad + 1} {good:.12g}+0x{self._rest}"

    @property
    def _rest(self) -> int:
        return self.end - self.bad - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What makes one alert fire while it is bad, with which labels; and what leaves it silent."""

    firing: Inputs
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    silent: Mapping[str, Inputs] = field(default_factory=dict)
    also: Mapping[str, Inputs] = field(default_factory=dict)
    """Other inputs that make it fire with the same labels and value."""
    since: int = 0
    """The step at which `firing` has become bad, from which on the hold runs."""
    codes: str = ""
    """The XID errors that the alert must name."""


def selector(metric: Metric | str, **labels: str) -> str:
    """One series, as promtool reads it."""
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    return f"{metric}{{{','.join(pairs)}}}"


def _identity(threshold: Threshold) -> dict[str, str]:
    return {"model_name": threshold.model_name, "model_version": threshold.model_version}


# Models' alerts


def _requests(threshold: Threshold, times: Timeline, errors: int, of: int) -> dict[str, str]:
    """`of` requests a step, of which `errors` fail while it is bad."""
    identity = _identity(threshold)
    return {
        selector(catalog.INFERENCE_REQUESTS, **identity, status="success"): times.counter(
            of - errors, of
        ),
        selector(catalog.INFERENCE_REQUESTS, **identity, status="error"): times.counter(errors, 0),
    }


def _few(times: Timeline, spec: Spec) -> int:
    """Requests a step that stay below the guard, however the ends of a window are extrapolated."""
    steps = window(spec, FIVE_MINUTES).milliseconds / times.step.milliseconds
    return math.floor((MIN_REQUESTS - 1) / (steps + 1))


def _error_ratio(threshold: Threshold, _: Model, spec: Spec, times: Timeline) -> Evidence | None:
    limit = threshold.value
    total = max(10_000, math.ceil(100 / limit)) if limit else 10_000
    above, below = math.floor(limit * total) + 1, max(math.ceil(limit * total) - 1, 0)
    if above > total:
        return None  # more than all requests cannot fail
    silent = {"just below": _requests(threshold, times, below, total)}
    if few := _few(times, spec):
        silent["only a few requests"] = _requests(threshold, times, few, few)
    return Evidence(
        firing=_requests(threshold, times, above, total), value=above / total, silent=silent
    )


def _latency(quantile: float) -> Callable[..., Evidence]:
    def evidence(threshold: Threshold, _: Model, spec: Spec, times: Timeline) -> Evidence:
        limit = threshold.value
        # Prometheus interpolates inside the bucket just above the limit, or just below it.
        lower, upper = limit * 0.99, limit * 1.01

        def requests(number: int, *, slow: bool) -> dict[str, str]:
            fast = 0 if slow else number
            counts = {lower: (0, 0), limit: (fast, number), upper: (number, number)}
            counts[math.inf] = (number, number)
            return {
                **_requests(threshold, times, 0, number),
                **{
                    selector(
                        catalog.INFERENCE_LATENCY.bucket,
                        **_identity(threshold),
                        le="+Inf" if edge == math.inf else f"{edge:.12g}",
                    ): times.counter(*both)
                    for edge, both in counts.items()
                },
            }

        silent = {"just below": requests(1000, slow=False)}
        if few := _few(times, spec):
            silent["only a few requests"] = requests(few, slow=True)
        return Evidence(
            firing=requests(1000, slow=True),
            value=limit + quantile * (upper - limit),
            silent=silent,
        )

    return evidence


def _target_down(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence:
    targets = model.serving.targets
    info = {
        selector(
            catalog.MODEL_TARGET_INFO,
            **_identity(threshold),
            team=threshold.team,
            target=target,
        ): times.gauge(1, 1)
        for target in targets
    }

    def up(value: float) -> dict[str, str]:
        others = {
            selector("up", job=MODEL_JOBS[0], instance=other): times.gauge(1, 1)
            for other in targets[1:]
        }
        first = selector("up", job=MODEL_JOBS[0], instance=targets[0])
        return {**info, first: times.gauge(value, 1), **others}

    return Evidence(
        firing=up(0),
        labels={"target": targets[0], "targets": str(len(targets))},
        silent={"reachable": up(1)},
    )


def _feature_drift(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence:
    limit, feature = threshold.value, {"feature_name": "a feature"}
    how = {"method": model.drift.method, "window": str(model.drift.window)}

    def drift(score: float, detected: float) -> dict[str, str]:
        identity = {**_identity(threshold), **feature}
        verdict = {**identity, "kind": "feature", "severity": threshold.severity}
        return {
            selector(catalog.FEATURE_DRIFT_SCORE, **identity, **how): times.gauge(
                score, limit * 0.99
            ),
            selector(catalog.DRIFT_DETECTED, **verdict): times.gauge(detected, 0),
        }

    return Evidence(
        firing=drift(limit * 1.01, 1),
        labels={**feature, **how},
        value=limit * 1.01,
        silent={
            "just below": drift(limit * 0.99, 1),
            "within the noise": drift(limit * 1.01, 0),
        },
    )


def _drift_share(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence | None:
    limit = threshold.value
    if limit >= 1:
        return None
    identity = {**_identity(threshold), "window": str(model.drift.window)}
    series = selector(catalog.DRIFTED_FEATURES, **identity)
    share = min(1.0, limit * 1.01)
    return Evidence(
        firing={series: times.gauge(share, limit * 0.99)},
        value=share,
        silent={"just below": {series: times.gauge(limit * 0.99, limit * 0.99)}},
    )


def _drift_stale(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    limit = threshold.value
    age = math.ceil(limit * 1.01)
    series = selector(catalog.DRIFT_EVALUATION_TIMESTAMP, **_identity(threshold))
    slope = times.step.seconds
    return Evidence(
        firing={series: times.gauge(-age, 0, slope)},
        value=age,
        silent={"just below": {series: times.gauge(-limit * 0.99, 0, slope)}},
    )


MODEL_EVIDENCE: Final[dict[str, Callable[[Threshold, Model, Spec, Timeline], Evidence | None]]] = {
    "TargetDown": _target_down,
    "HighErrorRatio": _error_ratio,
    **{f"HighLatency{name.upper()}": _latency(quantile) for quantile, name in QUANTILES.items()},
    "FeatureDrift": _feature_drift,
    "DriftShare": _drift_share,
    "DriftEvaluationStale": _drift_stale,
}
"""By alert; None where no input can make it fire."""


# The stack's own alerts


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
