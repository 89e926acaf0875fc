"""Evidence for the alerts on error budgets, for each kind of objective.

Inputs come every one to 2.5 minutes, as rates need them; rules are evaluated as seldom as the
tier's windows allow, since three days of evaluations would take minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from contract import catalog
from contract.alerts import Threshold
from contract.quantity import Duration
from contract.slo import MIN_BAD_EVENTS, TIERS, Objective, Tier, objectives
from contract.spec import Model, Spec
from generator.rules.evidence.evidence import Evidence, Inputs, Timeline, selector

__all__ = ["SLO_EVALUATED", "SLO_EVIDENCE", "SLO_TIMELINES", "promised"]

SLO_EVALUATED: Final = {
    "ErrorBudgetBurn1h": Duration.parse("1m"),
    "ErrorBudgetBurn6h": Duration.parse("15m"),
    "ErrorBudgetBurn1d": Duration.parse("1h"),
    "ErrorBudgetBurn3d": Duration.parse("3h"),
}
"""How often the proofs of an alert evaluate the rules."""

_INPUT: Final = Duration.parse("2m30s")

Steps = Mapping[int, float]
"""Up to which step there is how much of something in each step; then the last goes on."""


def _timeline(tier: Tier) -> Timeline:
    """Bad for the long window, then good for the short one and a little more."""
    every = SLO_EVALUATED[tier.alert].milliseconds
    step = min(every, _INPUT.milliseconds)
    bad = tier.long.milliseconds + every
    return Timeline(
        step=Duration(step), bad=bad // step, end=(bad + tier.short.milliseconds + every) // step
    )


SLO_TIMELINES: Final = {tier.alert: _timeline(tier) for tier in TIERS}


def _evidence(tier: Tier) -> Callable[[Threshold, Model, Spec, Timeline], Evidence | None]:
    """What fires for the model; what must not is there at the same time, as models of its own.

    Each test evaluates all rules at all steps, so one with six models takes a sixth of the time.
    """

    def evidence(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence | None:
        if 2 * threshold.hold.milliseconds > tier.long.milliseconds:
            return None  # it is not bad for so long here
        objective = next(o for o in objectives(model) if o.name == threshold.objective)

        def found(name: str) -> Evidence:
            labels = {"model_name": name, "model_version": model.version}
            return _OF_KIND[objective.kind](tier, threshold.value, objective, labels, times)

        inputs = {**_promised(model.name, threshold, objective, times), **found(model.name).firing}
        for case in found(model.name).silent:
            promised = _promised(case, threshold, objective, times)
            inputs |= {**promised, **found(case).silent[case]}
        return Evidence(firing=inputs, value=found(model.name).value)

    return evidence


def _promised(
    name: str, threshold: Threshold, objective: Objective, times: Timeline
) -> dict[str, str]:
    """The objective of a model, and its threshold, as the drift collector exposes both."""
    labels = {"model_name": name, "model_version": threshold.model_version}
    limit = selector(
        catalog.ALERT_THRESHOLD,
        **labels,
        team=threshold.team,
        alert=threshold.alert,
        severity=threshold.severity,
        hold=str(threshold.hold),
        objective=objective.name,
    )
    return {
        **promised(objective, labels, times),
        limit: times.gauge(threshold.value, threshold.value),
    }


def promised(objective: Objective, labels: Mapping[str, str], times: Timeline) -> dict[str, str]:
    """The objective of a model, as the drift collector exposes it."""
    promise = selector(
        catalog.SLO_OBJECTIVE,
        **labels,
        objective=objective.name,
        kind=objective.kind,
        limit=objective.limit,
        period=str(objective.period),
        source=objective.source,
    )
    return {promise: times.gauge(objective.target, objective.target)}


# Events that are counted: requests and labels

_Events = Callable[[Objective, Mapping[str, str], Timeline, Steps, Steps], Inputs]
"""Inputs for so many events in each step, and so many bad ones among them."""


def _requests(
    _: Objective, labels: Mapping[str, str], times: Timeline, of: Steps, bad: Steps
) -> Inputs:
    return {
        selector(catalog.INFERENCE_REQUESTS, **labels, status="success"): _counter(
            _less(of, bad), times
        ),
        selector(catalog.INFERENCE_REQUESTS, **labels, status="error"): _counter(bad, times),
    }


def _timed(
    objective: Objective, labels: Mapping[str, str], times: Timeline, of: Steps, bad: Steps
) -> Inputs:
    fast, every = _counter(_less(of, bad), times), _counter(of, times)
    series = catalog.INFERENCE_LATENCY.bucket
    return {
        selector(series, **labels, le=objective.limit): fast,
        selector(series, **labels, le="+Inf"): every,
    }


def _labelled(
    _: Objective, labels: Mapping[str, str], times: Timeline, of: Steps, bad: Steps
) -> Inputs:
    def outcome(predicted: str, actual: str) -> str:
        return selector(catalog.OUTCOMES, **labels, predicted_class=predicted, actual_class=actual)

    return {
        outcome("a class", "a class"): _counter(_less(of, bad), times),
        outcome("a class", "another"): _counter(bad, times),
        outcome("other", "a class"): _counter(of, times),
    }


def _of_events(inputs: _Events) -> Callable[..., Evidence]:
    def evidence(
        tier: Tier, limit: float, objective: Objective, labels: Mapping[str, str], times: Timeline
    ) -> Evidence:
        total = max(10_000, math.ceil(100 / limit))
        above, below = math.floor(limit * total) + 1, math.ceil(limit * total) - 1
        short = tier.short.milliseconds // times.step.milliseconds
        burst = min(total, limit * total * 0.9 * (tier.long.milliseconds / tier.short.milliseconds))
        early = min(total, 3 * above)
        rest = SLO_EVALUATED[tier.alert].milliseconds // times.step.milliseconds
        few = MIN_BAD_EVENTS - 1
        # Late enough for one count of five minutes, early enough for one of its rates.
        late = times.bad - (3 if tier.name == "1h" else 0)

        def series(of: Steps, bad: Steps) -> Inputs:
            return inputs(objective, labels, times, of, bad)

        every = {times.end: float(total)}
        return Evidence(
            firing=series(every, {times.bad: above, times.end: 0}),
            value=above / total,
            silent={
                "just below": series(every, {times.bad: below, times.end: 0}),
                "for the short window only": series(
                    every, {times.bad - short: 0, times.bad: burst, times.end: 0}
                ),
                "over by now": series(every, {times.bad - short - rest: early, times.end: 0}),
                "few events": series(*[{late - 1: 0, late: few, times.end: 0}] * 2),
                "no events": series({times.end: 0}, {times.end: 0}),
            },
        )

    return evidence


def _less(of: Steps, bad: Steps) -> Steps:
    def at(steps: Steps, step: int) -> float:
        return next(number for end, number in steps.items() if step <= end)

    return {end: at(of, end) - at(bad, end) for end in sorted({*of, *bad})}


def _counter(steps: Steps, times: Timeline) -> str:
    """A counter in promtool's notation, from 0."""
    parts, total, last = ["0"], 0.0, 0
    for end, number in steps.items():
        if end > last:
            first, more = total + number, end - last - 1
            parts.append(f"{first:.12g}+{number:.12g}x{more}")
            total, last = total + number * (end - last), end
    assert last == times.end
    return " ".join(parts)


# Time that is counted


def _drift_free(
    tier: Tier, limit: float, _: Objective, labels: Mapping[str, str], times: Timeline
) -> Evidence:
    verdict = {**labels, "feature_name": "a feature", "kind": "feature", "severity": "critical"}
    evaluated = selector(catalog.DRIFT_EVALUATION_TIMESTAMP, **labels)

    def drifted(since: int, *, known: bool = True) -> Inputs:
        well = f"0x{since - 1} " if since else ""
        detected = f"{well}1x{times.bad - since} 0x{times.end - times.bad - 1}"
        if since > times.bad:
            detected = f"0x{times.end}"
        age = 0 if known else -3600
        return {
            selector(catalog.DRIFT_DETECTED, **verdict): detected,
            evaluated: times.gauge(age, age, times.step.seconds),
        }

    return Evidence(
        firing=drifted(0),
        value=1.0,
        silent={
            "just below": drifted(times.bad - _steps(tier, limit, times)),
            "no evaluation": drifted(0, known=False),
        },
    )


def _freshness(
    tier: Tier, limit: float, objective: Objective, labels: Mapping[str, str], times: Timeline
) -> Evidence:
    within = Duration.parse(objective.limit).milliseconds // times.step.milliseconds

    def predictions(until: int) -> Inputs:
        none = {times.bad: 0} if until < times.bad else {}
        return {
            selector(catalog.INFERENCE_REQUESTS, **labels, status=status): _counter(steps, times)
            for status, steps in {
                "success": {until: 100, **none, times.end: 100},
                "error": {times.end: 100},
            }.items()
        }

    late = times.bad
    if SLO_EVALUATED[tier.alert] == times.step:
        # Evaluated seldom, the last prediction would be known too roughly to be just in time.
        late = max(1, times.bad - within - _steps(tier, limit, times))
    return Evidence(firing=predictions(0), value=1.0, silent={"just below": predictions(late)})


def _steps(tier: Tier, limit: float, times: Timeline) -> int:
    """The steps of the long window that may be bad without more than `limit` of it being so.

    -1, where not even the last evaluation may find it bad.
    """
    every = SLO_EVALUATED[tier.alert].milliseconds
    evaluations = math.ceil(limit * tier.long.milliseconds / every) - 1
    return evaluations * every // times.step.milliseconds - 1


_OF_KIND: Final[Mapping[str, Callable[..., Evidence]]] = {
    "availability": _of_events(_requests),
    "latency": _of_events(_timed),
    "accuracy": _of_events(_labelled),
    "drift_free": _drift_free,
    "freshness": _freshness,
}

SLO_EVIDENCE: Final = {tier.alert: _evidence(tier) for tier in TIERS}
"""By alert."""
