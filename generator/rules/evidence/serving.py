"""Evidence for the alerts on a model's traffic, latency and state, by its own past."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import LEAST_EXPECTED, NEAR_BREACH, Threshold, thresholds
from contract.quantity import Duration
from contract.slo import objectives
from contract.spec import QUANTILES, Model, Spec
from generator.queries.recorded_past import HISTORY
from generator.queries.windows import DAY, FIVE_MINUTES, HALF_HOUR, HOUR, window
from generator.rules.evidence.evidence import Evidence, Inputs, Timeline, selector
from generator.rules.evidence.slo import promised
from generator.rules.humanized import as_shown

__all__ = ["SERVING_EVIDENCE"]

_MANY: Final = 10_000
"""Requests a step, beside which none of the guards matters."""
_SETTLED: Final = Duration.parse("70m")
"""After which the first hour of a counter, when its rate is too low, is no part of any mean."""


def _identity(threshold: Threshold) -> dict[str, str]:
    return {"model_name": threshold.model_name, "model_version": threshold.model_version}


def _requests(threshold: Threshold, times: Timeline, bad: float, good: float) -> dict[str, str]:
    series = selector(catalog.INFERENCE_REQUESTS, **_identity(threshold), status="success")
    return {series: times.counter(bad, good)}


# What it gets


def _since_yesterday(hold: Duration) -> Timeline:
    history = DAY.milliseconds - HALF_HOUR.milliseconds + _SETTLED.milliseconds
    return Timeline.after(Duration(history), hold)


def _steps(times: Timeline, duration: Duration) -> float:
    return duration.milliseconds / times.step.milliseconds


def _vanished(threshold: Threshold, _: Model, __: Spec, ___: Timeline) -> Evidence:
    times = _since_yesterday(threshold.hold)
    # In five minutes, and in one of the steps.
    usual = as_shown(threshold.value * 1.05) or 1.0
    step = usual / _steps(times, Duration.parse("5m"))
    few = step * 0.9
    return Evidence(
        firing=_requests(threshold, times, 0, step),
        value=usual,
        since=times.begin + 2,
        times=times,
        silent={
            "a few still come": _requests(threshold, times, step / 50, step),
            "there were just as few before": _requests(threshold, times, 0, few),
        },
    )


def _dropped(threshold: Threshold, _: Model, __: Spec, ___: Timeline) -> Evidence:
    times = _since_yesterday(threshold.hold)
    share = threshold.value
    least = LEAST_EXPECTED / _steps(times, Duration.parse("5m"))
    return Evidence(
        firing=_requests(threshold, times, share * 0.98 * _MANY, _MANY),
        value=share * 0.98,
        since=times.begin + 2,
        times=times,
        silent={
            "just enough": _requests(threshold, times, share * 1.02 * _MANY, _MANY),
            "few are usual": _requests(threshold, times, share * 0.98 * least * 0.98, least * 0.98),
        },
    )


# How fast it is


def _anomaly(threshold: Threshold, _: Model, __: Spec, ___: Timeline) -> Evidence | None:
    past = HISTORY.milliseconds + HOUR.milliseconds + _SETTLED.milliseconds
    times = Timeline.after(Duration(past), threshold.hold)
    if times.at(times.bad - times.begin).milliseconds >= HOUR.milliseconds:
        return None  # it is part of its own past by then, and its score no longer what it was
    # As it is shown: half a digit more could be rounded either way.
    score = as_shown(threshold.value * 1.05)

    def slow(by: float, requests: float = _MANY) -> Inputs:
        """So many deviations slower; one is a tenth of what is usual."""
        usual, identity = 0.1, _identity(threshold)
        seconds = usual * (1 + by / 10) * requests
        return {
            **_requests(threshold, times, requests, requests),
            selector(catalog.INFERENCE_LATENCY.sum, **identity): times.counter(
                seconds, usual * requests
            ),
            selector(catalog.INFERENCE_LATENCY.count, **identity): times.counter(
                requests, requests
            ),
        }

    return Evidence(
        firing=slow(score),
        value=score,
        since=times.begin + 2,
        times=times,
        silent={
            "just below": slow(threshold.value * 0.95),
            "only a few requests": slow(score, 1),
        },
    )


def _breach(threshold: Threshold, model: Model, spec: Spec, _: Timeline) -> Evidence | None:
    """A latency that grows evenly, at last so that it is as slow as promised in `left` seconds."""
    times = Timeline.after(Duration(2 * HOUR.milliseconds), threshold.hold)
    lowest = NEAR_BREACH + 0.05
    step = times.step.seconds
    steps = math.ceil(threshold.hold.milliseconds / times.step.milliseconds)
    # Time passes while the hold runs; half a second, because the slope is a float.
    left = threshold.value - (steps + 3) * step + 0.5
    of_latency = [one for one in objectives(model) if one.kind == "latency"]
    if left <= 0 or not of_latency:
        return None  # broken before the hold is over, or nothing is promised
    # The strictest, whose quantile the buckets of `grows` are made for.
    promise = max(of_latency, key=lambda one: (one.target, -float(one.limit)))
    limit, target = float(promise.limit), promise.target
    name = f"HighLatency{QUANTILES.get(target, '').upper()}"
    held = {
        selector(
            catalog.ALERT_THRESHOLD,
            **_identity(threshold),
            team=one.team,
            alert=one.alert,
            severity=one.severity,
            hold=str(one.hold),
        ): times.gauge(one.value, one.value)
        for one in thresholds(spec)
        if (one.model_name, one.model_version) == model.key and one.alert == name
    } or promised(promise, _identity(threshold), times)

    def grows(seconds: float, requests: int = 10**6) -> Inputs:
        """Shares of the limit by step, of which the last one of the bad is `seconds` before it."""
        last = seconds * (1 - lowest) / (times.bad * step + seconds)
        pace = last / seconds * step
        # Over five minutes a mean lags by half a step.
        shares = [1 - last - pace * (times.bad - at - 0.5) for at in range(times.bad + 1)]
        shares += [shares[0]] * (times.end - times.bad)
        return {**held, **_buckets(threshold, times, target, limit, shares, requests)}

    return Evidence(
        growing=True,
        firing=grows(left),
        value=left,
        since=times.bad - steps - 2,
        times=times,
        silent={
            "just slow enough": grows(threshold.value * 1.02),
            "only a few requests": grows(left, 1),
        },
    )


def _buckets(
    threshold: Threshold,
    times: Timeline,
    target: float,
    limit: float,
    shares: list[float],
    requests: int,
) -> Inputs:
    """Requests whose quantile `target` is, step by step, so much of the limit.

    It lies in a bucket so wide that it moves with the count of the bucket below; other quantiles
    lie in the first one.
    """
    lower, upper = limit / 1e6, 1000 * limit
    counts: dict[float, list[float]] = {lower: [0.0], upper: [0.0], math.inf: [0.0]}
    for share in shares[1:]:
        inside = (share * limit - lower) / (upper - lower)
        below = target - (1 - target) * inside / (1 - inside)
        for edge, ratio in ((lower, below), (upper, 1.0), (math.inf, 1.0)):
            counts[edge].append(counts[edge][-1] + ratio * requests)
    return {
        **_requests(threshold, times, requests, requests),
        **{
            selector(
                catalog.INFERENCE_LATENCY.bucket,
                **_identity(threshold),
                le="+Inf" if edge == math.inf else f"{edge:.12g}",
            ): " ".join(f"{value:.17g}" for value in values)
            for edge, values in counts.items()
        },
    }


def _queue(threshold: Threshold, _: Model, __: Spec, ___: Timeline) -> Evidence:
    times = Timeline.after(Duration.parse("30m"), threshold.hold)
    queue = {"queue_name": "a queue"}
    limit = threshold.value or 1.0
    steps = math.ceil(threshold.hold.milliseconds / times.step.milliseconds)

    def waiting(last: float, pace: float) -> Inputs:
        first = last - pace * times.bad
        series = selector(catalog.QUEUE_DEPTH, **_identity(threshold), **queue)
        rest = times.end - times.bad - 1
        return {series: f"{first:.12g}{pace:+.12g}x{times.bad} 0x{rest}"}

    above = as_shown(limit * 1.05)
    pace = (above - limit) / (steps + 2.5)
    return Evidence(
        growing=True,
        firing=waiting(above, pace),
        labels=queue,
        value=above,
        since=times.bad - steps - 2,
        times=times,
        silent={
            "just below": waiting(limit * 0.99, pace),
            "long, but not growing": waiting(above, 0),
            "long, and becoming shorter": waiting(above, -pace),
        },
    )


# What it says, and what it is


def _confidence(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    limit, identity = threshold.value, _identity(threshold)
    unsure = as_shown(limit * 0.99)

    def sure(mean: float, number: float = 1000) -> Inputs:
        return {
            **_requests(threshold, times, number, number),
            selector(catalog.PREDICTION_CONFIDENCE.sum, **identity): times.counter(
                mean * number, number
            ),
            selector(catalog.PREDICTION_CONFIDENCE.count, **identity): times.counter(
                number, number
            ),
        }

    few = 5 / (300 / times.step.seconds + 1)
    return Evidence(
        firing=sure(unsure),
        value=unsure,
        silent={
            "just above": sure(limit * 1.01),
            "only a few requests": sure(unsure, few),
        },
    )


def _stale(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    limit = threshold.value
    age = math.ceil(limit * 1.01)
    series = selector(catalog.MODEL_TRAINED_TIMESTAMP, **_identity(threshold))
    slope = times.step.seconds
    return Evidence(
        firing={series: times.gauge(-age, 0, slope)},
        value=age,
        silent={"just young enough": {series: times.gauge(-limit * 0.99, 0, slope)}},
    )


def _state(metric: catalog.Metric, case: str) -> Callable[..., Evidence]:
    """A gauge of 1, of which some replica says 0."""

    def evidence(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
        one, other = (
            selector(metric, **_identity(threshold), instance=f"10.0.0.{number}:9101")
            for number in (1, 2)
        )
        good = times.gauge(1, 1)
        return Evidence(
            firing={one: times.gauge(0, 1), other: good}, silent={case: {one: good, other: good}}
        )

    return evidence


def _artifact(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    """The file that sidecars read, and what processes loaded; one of them may be another."""
    file, other, server = (
        selector(
            catalog.MODEL_ARTIFACT_MATCHES,
            **_identity(threshold),
            source=source,
            instance=f"10.0.0.{number}:9101",
        )
        for number, source in ((1, "file"), (2, "file"), (2, "server"))
    )
    good, bad = times.gauge(1, 1), times.gauge(0, 1)
    return Evidence(
        firing={file: bad, other: good, server: good},
        also={"another one was loaded": {file: good, other: good, server: bad}},
        silent={"the same everywhere": {file: good, other: good, server: good}},
    )


def _unregistered(threshold: Threshold, _: Model, spec: Spec, times: Timeline) -> Evidence:
    identity = _identity(threshold)
    limit, steps = threshold.value, _steps(times, window(spec, FIVE_MINUTES))

    def events(stray: float, other: float = 0) -> Inputs:
        """Events of two versions in five minutes."""
        return {
            selector(
                catalog.UNREGISTERED_VERSION_EVENTS, **identity, unregistered_version=version
            ): times.counter(number / steps, 0)
            for version, number in (("stray", stray), ("other", other))
        }

    above = as_shown(limit * 1.05) or 1.0
    return Evidence(
        firing=events(above),
        labels={"unregistered_version": "stray"},
        value=above,
        since=math.ceil(steps),
        silent={
            "just below": events(limit * 0.95),
            "just below, of two versions": events(limit * 0.95, limit * 0.95),
        },
    )


def _retired(threshold: Threshold, _: Model, spec: Spec, times: Timeline) -> Evidence:
    steps = _steps(times, window(spec, FIVE_MINUTES))
    above = as_shown(threshold.value * 1.05) or 1.0

    def requests(number: float) -> Inputs:
        return _requests(threshold, times, number / steps, 0)

    return Evidence(
        firing=requests(above),
        value=above,
        since=math.ceil(steps),
        silent={"a few are left": requests(threshold.value * 0.95)},
    )


def _missing(threshold: Threshold, _: Model, __: Spec, ___: Timeline) -> Evidence:
    """Known from the start; the first request comes when all is well again."""
    limit = Duration(round(threshold.value * 1000))
    # Five minutes must hold two steps.
    step = Duration(max(min(limit.milliseconds // 20, 120_000), 30_000))
    late = limit.milliseconds // step.milliseconds + 1
    hold = math.ceil(threshold.hold.milliseconds / step.milliseconds)
    times = Timeline(step=step, bad=late + hold + 2, end=late + hold + 12)

    def requests(others: float, *, deployed: float = -1, once: float = 0) -> Inputs:
        other = {**_identity(threshold), "model_version": "another"}
        failed = selector(catalog.INFERENCE_REQUESTS, **_identity(threshold), status="error")
        return {
            **_requests(threshold, times, 0, 100),
            failed: f"0+{once:g}x2 {2 * once:g}x{times.end}",
            selector(catalog.INFERENCE_REQUESTS, **other, status="success"): times.counter(
                others, others
            ),
            selector(catalog.MODEL_DEPLOYED_TIMESTAMP, **_identity(threshold)): times.gauge(
                deployed, deployed
            ),
        }

    return Evidence(
        firing=requests(100),
        growing=True,
        value=times.at(times.bad).seconds,
        since=late,
        times=times,
        silent={
            "the others get no requests, either": requests(0),
            "it was deployed only now": requests(100, deployed=times.at(hold + 3).seconds),
            "it got requests once": requests(100, once=50),
        },
    )


SERVING_EVIDENCE: Final[
    dict[str, Callable[[Threshold, Model, Spec, Timeline], Evidence | None]]
] = {
    "ModelNotLoaded": _state(catalog.MODEL_LOADED, "ready everywhere"),
    "TrafficVanished": _vanished,
    "ThroughputDrop": _dropped,
    "LatencyAnomaly": _anomaly,
    "PredictedSloBreach": _breach,
    "QueueGrowing": _queue,
    "LowConfidence": _confidence,
    "StaleModel": _stale,
    "ArtifactChanged": _artifact,
    "UnregisteredVersion": _unregistered,
    "RetiredVersion": _retired,
    "VersionMissing": _missing,
}
"""By alert; None where no input can make it fire."""
