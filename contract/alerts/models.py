"""The alerts of models on requests, their latency, and the drift of features."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert, Promised, of_model
from contract.quantity import Duration
from contract.slo import objectives
from contract.spec import QUANTILES, Model, Severity

__all__ = ["DRIFT_ALERTS", "MIN_REQUESTS", "REQUEST_ALERTS"]

MIN_REQUESTS: Final = 10
"""Requests in the window below which no ratio or quantile alert fires: one failed request in the
night is not an incident."""


def _latency(quantile: float) -> Promised:
    def promised(model: Model, _: Severity) -> dict[str, float]:
        found = [pair.threshold for pair in model.slo.latency if pair.target == quantile]
        return {"": min(found).seconds} if found else {}

    return promised


def _slow(model: Model, _: Severity) -> dict[str, float]:
    """Of each promise on latency ten times what may be slow, at most halfway from that to all."""
    settings = model.alerts.get("SlowRequests")
    chosen = None if settings is None else settings.threshold
    return {
        one.name: min(10 * one.budget, (1 + one.budget) / 2) if chosen is None else chosen
        for one in objectives(model)
        if one.kind == "latency"
    }


def _with_profile(promised: Promised) -> Promised:
    """What can be held against a reference only."""
    return lambda model, severity: {} if model.profile is None else promised(model, severity)


def _drift(model: Model, severity: Severity) -> dict[str, float]:
    return {"": model.drift.critical if severity == "critical" else model.drift.warning}


REQUEST_ALERTS: Final = (
    Alert(
        "TargetDown",
        ("critical",),
        Duration.parse("2m"),
        "{model} is not reachable at {target}",
        "Prometheus cannot scrape {target} of {model}; what happens there is unseen "
        "until it is back.",
        lambda _, __: {"": 1.0},
        "none",
        "models[].serving.targets",
        live_only=True,
    ),
    Alert(
        "HighErrorRatio",
        ("critical",),
        Duration.parse("2m"),
        "{model} fails {value} of its requests",
        "Of the requests to {model} in the last 5 minutes, {value} failed; the limit is "
        "{threshold}.",
        of_model("HighErrorRatio", 0.05),
        "percent",
        "models[].alerts.HighErrorRatio.threshold",
        never_from=1.0,
    ),
    *(
        Alert(
            f"HighLatency{name.upper()}",
            ("error",),
            Duration.parse("5m"),
            f"{{model}} is slow: {name} is {{value}}",
            f"{quantile * 100:g}% of the requests to {{model}} should take less than "
            "{threshold}; over the last 5 minutes it was {value}.",
            _latency(quantile),
            "duration",
            "models[].slo.latency",
        )
        for quantile, name in QUANTILES.items()
    ),
    Alert(
        "SlowRequests",
        ("warning",),
        Duration.parse("5m"),
        "{model}: {value} of its requests break {objective}",
        "Over the last 5 minutes, {value} of the requests to {model} took longer than "
        "{objective} allows; the limit is {threshold}.",
        _slow,
        "percent",
        "models[].alerts.SlowRequests.threshold",
        asked=True,
        never_from=1.0,
    ),
)

DRIFT_ALERTS: Final = (
    Alert(
        "FeatureDrift",
        ("warning", "critical"),
        Duration.parse("15m"),
        "{model}: {feature} has drifted, score {value}",
        "The values of {feature} that {model} gets are not those it was trained on: score {value}, "
        "threshold {threshold}, and above what sampling alone would give.",
        _with_profile(_drift),
        "number",
        "models[].drift",
    ),
    Alert(
        "DriftShare",
        ("warning",),
        Duration.parse("15m"),
        "{model}: {value} of its features have drifted",
        "{value} of the features that {model} gets are not distributed as they were in training; "
        "the limit is {threshold}. So many at once are not chance: the false discovery rate is "
        "controlled.",
        _with_profile(lambda model, _: {"": model.drift.share}),
        "percent",
        "models[].drift.share",
    ),
    Alert(
        "DriftEvaluationStale",
        ("warning",),
        Duration.parse("5m"),
        "Drift of {model} has not been evaluated for {value}",
        "The drift collector last evaluated {model} {value} ago; until it does again, its drift "
        "alerts say nothing.",
        _with_profile(of_model("DriftEvaluationStale", 900.0)),
        "duration",
        "models[].alerts.DriftEvaluationStale.threshold",
    ),
)
