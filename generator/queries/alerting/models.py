"""When the alerts of models fire: serving, and their data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.spec import QUANTILES
from generator.queries import recorded
from generator.queries.alerting.promise import Promise, above, compare, enough
from generator.queries.slo import RATIOS

__all__ = ["DRIFT_EXPRESSIONS", "EVERY_TARGET", "REQUEST_EXPRESSIONS"]

EVERY_TARGET: Final = "all .+ targets"
"""Matches the target of TargetDown that stands for all of a model's, where it has several."""


def _target_down(promise: Promise) -> str:
    """Each target, and all of them as one: whoever has no replica left needs to know just that."""
    several = f'{recorded.TARGET_UP}{{targets!="1"}}'
    best = f"max by (model_name, model_version, targets) ({several})"
    as_one = f'label_replace({best}, "target", "all $1 targets", "targets", "(.+)")'
    return compare(f"({recorded.TARGET_UP} or {as_one})", "<", promise)


def _drifted(promise: Promise) -> str:
    # The verdict knows the noise floor and min_samples; the comparison adds team and threshold.
    return (
        f"{compare(str(recorded.DRIFT_SCORE), '>', promise)}\n"
        "and on (model_name, model_version, feature_name)\n"
        f'{recorded.DRIFT_DETECTED}{{severity="{promise.severity}"}}'
    )


REQUEST_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    "TargetDown": _target_down,
    "HighErrorRatio": above(recorded.ERROR_RATIO, guarded=True),
    **{
        f"HighLatency{name.upper()}": above(recorded.LATENCY_QUANTILES[name], guarded=True)
        for name in QUANTILES.values()
    },
    # Only promises on latency have a threshold of it.
    "SlowRequests": lambda promise: enough(
        compare(str(RATIOS["5m"]), ">", promise, by="objective")
    ),
}
"""On requests and their latency, by name."""

DRIFT_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    "FeatureDrift": _drifted,
    "DriftShare": above(recorded.DRIFTED_FEATURES, guarded=False),
    "DriftEvaluationStale": lambda promise: compare(
        f"time() - {recorded.DRIFT_EVALUATED}", ">", promise
    ),
}
"""On the drift of features, by name."""
