"""What several scenarios lead to: who says so, how soon it can be known, and what else may fire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

import numpy as np

from contract import catalog
from contract.spec import Severity
from examples.demo.data import Dataset
from examples.demo.model import fit_model
from gameday.reach import (
    Counted,
    after,
    of_window,
    plus,
    promised,
    until,
    until_certain,
    until_drift,
)
from gameday.scenario import Expected, Implied
from generator.queries.windows import FIVE_MINUTES, HALF_HOUR, HOUR

__all__ = [
    "ASKED",
    "FEWER",
    "LENIENT",
    "NEARING",
    "NEW_BIN",
    "SEVERITIES",
    "SLOWER",
    "bad_values",
    "burning",
    "drifted",
    "failing",
    "predicted",
    "shifted",
    "slow",
]

ASKED: Final = 1.2
"""Seconds until the demo's traffic has asked the server what is switched on, and does it."""
CERTAIN: Final = 3.29
"""How many standard deviations beyond its limit a share of bad values has to be."""
LATENCIES: Final = ("latency_400ms", "latency_800ms")
"""What is promised of latency, the stricter share last."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)

NEW_BIN: Final = Implied(alert="FeatureDrift", why="what is missing or unseen has a bin of its own")
SLOWER: Final = Implied(
    alert="LatencyAnomaly", why="it is far slower than in its past, where that holds for long"
)
LENIENT: Final = Implied(
    alert="ErrorBudgetBurn1h", why="the budget of the more lenient promise goes, too, only later"
)
NEARING: Final = Implied(
    alert="PredictedSloBreach", why="on its way to and from the limit, latency grows towards it"
)
FEWER: Final = Implied(alert="ThroughputDrop", why="no requests are fewer than usual")


def failing(model: str, ratio: float) -> Expected:
    """Who says that so many requests fail."""
    return Expected(
        alert="HighErrorRatio",
        severity="critical",
        model=model,
        seen_in=catalog.INFERENCE_REQUESTS,
        reach=until(FIVE_MINUTES, "HighErrorRatio", model, becomes=ratio),
    )


def burning(model: str, objective: str, ratio: float) -> Expected:
    """Who says that a budget is spent at that ratio of bad events."""
    metric = catalog.INFERENCE_LATENCY if objective in LATENCIES else catalog.INFERENCE_REQUESTS
    return Expected(
        alert="ErrorBudgetBurn1h",
        severity="critical",
        model=model,
        labels={"objective": objective},
        seen_in=metric,
        reach=until(HOUR, "ErrorBudgetBurn1h", model, becomes=ratio, objective=objective),
    )


def slow(model: str, by: float) -> tuple[Expected, ...]:
    """Who says that every request of a model takes `by` seconds longer."""
    first = after(by)  # until the first of them has ended
    return (
        Expected(
            alert="HighLatencyP95",
            severity="error",
            model=model,
            seen_in=catalog.INFERENCE_LATENCY,
            reach=lambda env: first(env) + of_window(FIVE_MINUTES, 0.05)(env),
        ),
        *(
            Expected(
                alert="SlowRequests",
                severity="warning",
                model=model,
                labels={"objective": objective},
                seen_in=catalog.INFERENCE_LATENCY,
                reach=plus(
                    by,
                    until(FIVE_MINUTES, "SlowRequests", model, becomes=1.0, objective=objective),
                ),
            )
            for objective in LATENCIES
        ),
        burning(model, LATENCIES[1], 1.0),
    )


def shifted(feature: str, by: float) -> Callable[[Dataset], Counted]:
    """What is counted of a feature that has moved by so many standard deviations."""

    def counted(dataset: Dataset) -> Counted:
        column = dataset.feature_names.index(feature)
        moved = dataset.held_out.features[:, column] + by * dataset.standard_deviations[feature]
        return feature, moved.tolist()

    return counted


def drifted(model: str, feature: str, by: float) -> tuple[Expected, ...]:
    """Who says that a feature has moved by so many standard deviations."""
    return tuple(
        Expected(
            alert="FeatureDrift",
            severity=severity,
            model=model,
            labels={"feature_name": feature},
            seen_in=catalog.FEATURE_DRIFT_SCORE,
            reach=plus(ASKED, until_drift(HALF_HOUR, model, severity, shifted(feature, by))),
        )
        for severity in SEVERITIES
        if severity in ("warning", "critical")
    )


def predicted(model: str, feature: str, by: float) -> tuple[Expected, ...]:
    """Who says that predictions move with a feature."""

    def counted(dataset: Dataset) -> Counted:
        rows = dataset.held_out.features.copy()
        column = dataset.feature_names.index(feature)
        rows[:, column] += by * dataset.standard_deviations[feature]
        return "", np.asarray(fit_model(dataset).infer(rows)).tolist()

    return tuple(
        Expected(
            alert="PredictionDrift",
            severity=severity,
            model=model,
            seen_in=catalog.PREDICTION_DRIFT_SCORE,
            reach=plus(ASKED, until_drift(HALF_HOUR, model, severity, counted)),
        )
        for severity in SEVERITIES
        if severity in ("warning", "critical")
    )


def bad_values(model: str, feature: str, check: str, ratio: float) -> Expected:
    """Who says that so many values of a feature fail a check."""
    limit = lambda env: promised(env.spec, "DataQuality", model, check)  # noqa: E731
    return Expected(
        alert="DataQuality",
        severity="warning",
        model=model,
        labels={"feature_name": feature, "objective": check},
        seen_in=catalog.DATA_QUALITY_FAILED,
        reach=lambda env: (
            ASKED
            + until_certain(
                HALF_HOUR, limit, becomes=ratio, usually=0.0, events=env.rate, z=CERTAIN
            )(env)
        ),
    )
