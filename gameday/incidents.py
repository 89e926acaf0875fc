"""Scenarios of one model or one GPU: several of them can go on at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

import numpy as np

from contract import catalog
from contract.quantity import Duration
from contract.spec import Severity
from examples.demo.data import Dataset
from examples.demo.faults import EVERY
from examples.demo.model import fit_model
from gameday.injections import Fault
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
from gameday.scenario import Expected, Implied, Scenario
from generator.queries.windows import FIVE_MINUTES, HALF_HOUR, HOUR

__all__ = ["INCIDENTS", "LENIENT", "NEARING", "SLOWER", "burning", "failing", "slow"]

ASKED: Final = 1.2
"""Seconds until the demo's traffic has asked the server what is switched on, and does it."""
LATE: Final = 12.0
"""Seconds after which labels come when they are late."""
CERTAIN: Final = 3.29
"""How many standard deviations beyond its limit a share of bad values has to be."""
LATENCIES: Final = ("latency_400ms", "latency_800ms")
"""What is promised of latency, the stricter share last."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


# What several scenarios lead to


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


def _shifted(feature: str, by: float) -> Callable[[Dataset], Counted]:
    def shifted(dataset: Dataset) -> Counted:
        column = dataset.feature_names.index(feature)
        moved = dataset.held_out.features[:, column] + by * dataset.standard_deviations[feature]
        return feature, moved.tolist()

    return shifted


def _drifted(model: str, feature: str, by: float) -> tuple[Expected, ...]:
    """Who says that a feature has moved by so many standard deviations."""
    return tuple(
        Expected(
            alert="FeatureDrift",
            severity=severity,
            model=model,
            labels={"feature_name": feature},
            seen_in=catalog.FEATURE_DRIFT_SCORE,
            reach=plus(ASKED, until_drift(HALF_HOUR, model, severity, _shifted(feature, by))),
        )
        for severity in SEVERITIES
        if severity in ("warning", "critical")
    )


def _predicted(model: str, feature: str, by: float) -> tuple[Expected, ...]:
    """Who says that predictions move with a feature."""

    def shifted(dataset: Dataset) -> Counted:
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
            reach=plus(ASKED, until_drift(HALF_HOUR, model, severity, shifted)),
        )
        for severity in SEVERITIES
        if severity in ("warning", "critical")
    )


def _bad_values(model: str, feature: str, check: str, ratio: float) -> Expected:
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


INCIDENTS: Final = (
    Scenario(
        name="slow leak of latency",
        says="requests to progression get slower by 5 ms every second",
        injection=Fault("progression", {"latency_growth": 0.005}),
        touches=frozenset({"progression"}),
        expects=(
            Expected(
                alert="PredictedSloBreach",
                severity="warning",
                model="progression",
                seen_in=catalog.INFERENCE_LATENCY,
                reach=after(0.5 * 0.4 / 0.005),
            ),
        ),
        implied=(SLOWER,),
        needs=60,
    ),
    Scenario(
        name="business ratio falls",
        says="no biopsy that screening-trial leads to confirms anything",
        injection=Fault("screening-trial", {"unconfirmed": 1.0}),
        touches=frozenset({"screening-trial"}),
        expects=(
            Expected(
                alert="BusinessRatioLow",
                severity="warning",
                model="screening-trial",
                labels={"objective": "biopsies_confirmed"},
                seen_in=catalog.BUSINESS_EVENTS,
                # Events are told every five seconds, two seconds after their requests.
                reach=plus(
                    ASKED + 7.0,
                    until(HOUR, "BusinessRatioLow", "screening-trial", becomes=0.0, usually=0.95),
                ),
            ),
        ),
        needs=60,
    ),
    Scenario(
        name="decay, labels late",
        says="risk-trial is wrong as surely as before; only labels show it, and they come late",
        injection=Fault("risk-trial", {"wrong_ratio": 0.9, "label_delay_seconds": LATE}),
        touches=frozenset({"risk-trial"}),
        expects=(
            *(
                Expected(
                    alert=alert,
                    severity=severity,
                    model="risk-trial",
                    seen_in=metric,
                    reach=lambda env: (
                        LATE
                        + until_certain(
                            HALF_HOUR,
                            lambda env: promised(env.spec, "AccuracyDecay", "risk-trial"),
                            becomes=0.29,
                            usually=0.76,
                            events=env.rate,
                        )(env)
                    ),
                )
                for alert, severity, metric in (
                    ("AccuracyDecay", SEVERITIES[2], catalog.MODEL_PERFORMANCE),
                    ("ConceptDrift", SEVERITIES[1], catalog.DRIFT_DETECTED),
                )
            ),
            Expected(
                alert="LabelsLate",
                severity="warning",
                model="risk-trial",
                seen_in=catalog.LABEL_DELAY_MEDIAN,
                # The median of a window of which so much is late, linear from 10 to 60 seconds.
                reach=plus(LATE, of_window(HALF_HOUR, 0.5 / 0.9)),
            ),
        ),
        needs=60,
    ),
    Scenario(
        name="feature shift",
        says="a feature of screening that hardly matters to it moves by three standard deviations",
        injection=Fault(
            "screening",
            {"shift": {"feature": "mean fractal dimension", "standard_deviations": 3.0}},
        ),
        touches=frozenset({"screening"}),
        expects=_drifted("screening", "mean fractal dimension", 3.0),
        needs=60,
    ),
    Scenario(
        name="unseen category",
        says="half of the requests to risk have an age band that it was not trained on",
        injection=Fault("risk", {"unseen": {"feature": "age_band", "ratio": 0.5}}),
        touches=frozenset({"risk"}),
        expects=(_bad_values("risk", "age_band", "category", 0.5),),
        implied=(NEW_BIN,),
        needs=60,
    ),
    Scenario(
        name="prediction drift",
        says="the body-mass index that progression-trial gets grows, and predictions with it",
        injection=Fault(
            "progression-trial", {"shift": {"feature": "bmi", "standard_deviations": 3.0}}
        ),
        touches=frozenset({"progression-trial"}),
        expects=(
            *_drifted("progression-trial", "bmi", 3.0),
            *_predicted("progression-trial", "bmi", 3.0),
        ),
        needs=60,
    ),
    Scenario(
        name="many features drift",
        says="all that screening-trial gets is measured two standard deviations too high",
        injection=Fault(
            "screening-trial", {"shift": {"feature": EVERY, "standard_deviations": 2.0}}
        ),
        touches=frozenset({"screening-trial"}),
        expects=(
            Expected(
                alert="DriftShare",
                severity="warning",
                model="screening-trial",
                seen_in=catalog.DRIFTED_FEATURES,
                reach=plus(
                    ASKED,
                    until_drift(
                        HALF_HOUR,
                        "screening-trial",
                        "warning",
                        _shifted("mean radius", 2.0),
                    ),
                ),
            ),
        ),
        implied=(
            Implied(alert="FeatureDrift", why="each of the features has drifted"),
            Implied(alert="PredictionDrift", why="what it predicts follows from them"),
            Implied(alert="BusinessRatioLow", why="healthy patients get biopsies"),
        ),
        needs=60,
    ),
    Scenario(
        name="feature gone",
        says="no request to screening has a value of its texture error",
        injection=Fault("screening", {"missing": {"feature": "texture error", "ratio": 1.0}}),
        touches=frozenset({"screening"}),
        expects=(
            Expected(
                alert="FeatureStale",
                severity="warning",
                model="screening",
                labels={"feature_name": "texture error"},
                seen_in=catalog.DATA_QUALITY_FAILED,
                reach=plus(ASKED, of_window(Duration.parse("15m"))),
            ),
            _bad_values("screening", "texture error", "missing", 1.0),
        ),
        implied=(NEW_BIN,),
        needs=60,
    ),
    Scenario(
        name="missing values",
        says="half of the requests to risk have no value of s3",
        injection=Fault("risk", {"missing": {"feature": "s3", "ratio": 0.5}}),
        touches=frozenset({"risk"}),
        expects=(_bad_values("risk", "s3", "missing", 0.5),),
        implied=(NEW_BIN,),
        needs=60,
    ),
    Scenario(
        name="label outage",
        says="labels of progression-trial do not come any more",
        injection=Fault("progression-trial", {"lost_labels": 1.0}),
        touches=frozenset({"progression-trial"}),
        expects=(
            Expected(
                alert="LabelsMissing",
                severity="warning",
                model="progression-trial",
                seen_in=catalog.LABEL_COVERAGE,
                reach=plus(
                    ASKED,
                    until(
                        HALF_HOUR, "LabelsMissing", "progression-trial", becomes=0.0, usually=1.0
                    ),
                ),
            ),
        ),
    ),
    Scenario(
        name="latency spike",
        says="every request to progression takes a second and a half",
        injection=Fault("progression", {"extra_latency_seconds": 1.5}),
        touches=frozenset({"progression"}),
        expects=(
            *slow("progression", 1.5),
            Expected(
                alert="LatencyAnomaly",
                severity="warning",
                model="progression",
                seen_in=catalog.INFERENCE_LATENCY,
                reach=plus(1.5, of_window(FIVE_MINUTES, 0.05)),
            ),
        ),
        implied=(NEARING, LENIENT),
    ),
    Scenario(
        name="confidence falls",
        says="risk-trial says the same as before and is hardly sure of it",
        injection=Fault("risk-trial", {"flat_confidence": 0.9}),
        touches=frozenset({"risk-trial"}),
        expects=(
            Expected(
                alert="LowConfidence",
                severity="warning",
                model="risk-trial",
                seen_in=catalog.PREDICTION_CONFIDENCE,
                reach=until(
                    FIVE_MINUTES, "LowConfidence", "risk-trial", becomes=0.527, usually=0.77
                ),
            ),
        ),
        implied=(
            Implied(alert="EstimatedDecay", why="accuracy is estimated from these confidences"),
        ),
    ),
    Scenario(
        name="error burst",
        says="half of the requests to screening fail",
        injection=Fault("screening", {"error_ratio": 0.5}),
        touches=frozenset({"screening"}),
        expects=(failing("screening", 0.5), burning("screening", "availability", 0.5)),
    ),
    Scenario(
        name="traffic drop",
        says="a fifth of the usual requests to progression come",
        injection=Fault("progression", {"throughput": 0.2}),
        touches=frozenset({"progression"}),
        expects=(
            Expected(
                alert="ThroughputDrop",
                severity="warning",
                model="progression",
                seen_in=catalog.INFERENCE_REQUESTS,
                reach=plus(
                    ASKED,
                    until(FIVE_MINUTES, "ThroughputDrop", "progression", becomes=0.2, usually=1.0),
                ),
            ),
        ),
    ),
    Scenario(
        name="traffic vanishes",
        says="nobody asks screening-trial any more",
        injection=Fault("screening-trial", {"throughput": 0.0}),
        touches=frozenset({"screening-trial"}),
        expects=(
            Expected(
                alert="TrafficVanished",
                severity="error",
                model="screening-trial",
                seen_in=catalog.INFERENCE_REQUESTS,
                reach=plus(ASKED, of_window(FIVE_MINUTES)),
            ),
        ),
        implied=(FEWER,),
    ),
)
"""Longest first, of those that touch the same model."""
