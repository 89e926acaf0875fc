"""Evidence for the alerts of models."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import MIN_REQUESTS, Threshold
from contract.slo import objectives
from contract.spec import QUANTILES, Model, Spec
from generator.queries.recorded import MODEL_JOBS
from generator.queries.windows import FIVE_MINUTES, window
from generator.rules.evidence.evidence import Evidence, Timeline, selector
from generator.rules.evidence.slo import promised

__all__ = ["MODEL_EVIDENCE"]


def _identity(threshold: Threshold) -> dict[str, str]:
    return {"model_name": threshold.model_name, "model_version": threshold.model_version}


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


def _slow(threshold: Threshold, model: Model, spec: Spec, times: Timeline) -> Evidence | None:
    limit = threshold.value
    objective = next(one for one in objectives(model) if one.name == threshold.objective)
    total = max(10_000, math.ceil(100 / limit)) if limit else 10_000
    above, below = math.floor(limit * total) + 1, max(math.ceil(limit * total) - 1, 0)

    def requests(slow: int, of: int) -> dict[str, str]:
        buckets = {objective.limit: (of - slow, of), "+Inf": (of, of)}
        return {
            **promised(objective, _identity(threshold), times),
            **_requests(threshold, times, 0, of),
            **{
                selector(
                    catalog.INFERENCE_LATENCY.bucket, **_identity(threshold), le=edge
                ): times.counter(*both)
                for edge, both in buckets.items()
            },
        }

    silent = {"just below": requests(below, total)}
    if few := _few(times, spec):
        silent["only a few requests"] = requests(few, few)
    return Evidence(firing=requests(above, total), value=above / total, silent=silent)


def _target_down(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence:
    targets = model.serving.scraped
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
    "SlowRequests": _slow,
    "FeatureDrift": _feature_drift,
    "DriftShare": _drift_share,
    "DriftEvaluationStale": _drift_stale,
}
"""By alert; None where no input can make it fire."""
