"""Scenarios of one model: several of them can go on at once."""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.quantity import Duration
from examples.demo.faults import EVERY
from gameday.consequences import (
    ASKED,
    FEWER,
    LENIENT,
    NEARING,
    NEW_BIN,
    SEVERITIES,
    SLOWER,
    bad_values,
    burning,
    drifted,
    failing,
    predicted,
    shifted,
    slow,
)
from gameday.injections import Fault
from gameday.reach import after, of_window, plus, promised, until, until_certain, until_drift
from gameday.scenario import Expected, Implied, Scenario
from generator.queries.windows import FIVE_MINUTES, HALF_HOUR, HOUR

__all__ = ["INCIDENTS"]

LATE: Final = 12.0
"""Seconds after which labels come when they are late."""

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
        expects=drifted("screening", "mean fractal dimension", 3.0),
        needs=60,
    ),
    Scenario(
        name="unseen category",
        says="half of the requests to risk have an age band that it was not trained on",
        injection=Fault("risk", {"unseen": {"feature": "age_band", "ratio": 0.5}}),
        touches=frozenset({"risk"}),
        expects=(bad_values("risk", "age_band", "category", 0.5),),
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
            *drifted("progression-trial", "bmi", 3.0),
            *predicted("progression-trial", "bmi", 3.0),
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
                        shifted("mean radius", 2.0),
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
            bad_values("screening", "texture error", "missing", 1.0),
        ),
        implied=(NEW_BIN,),
        needs=60,
    ),
    Scenario(
        name="missing values",
        says="half of the requests to risk have no value of s3",
        injection=Fault("risk", {"missing": {"feature": "s3", "ratio": 0.5}}),
        touches=frozenset({"risk"}),
        expects=(bad_values("risk", "s3", "missing", 0.5),),
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
