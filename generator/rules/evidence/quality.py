"""Evidence for the alerts on predictions, data and performance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from contract import catalog
from contract.alerts import LEAST_BUSINESS, Threshold
from contract.catalog import Metric
from contract.spec import Model, Spec
from generator.queries.windows import HOUR, window
from generator.rules.evidence.evidence import Evidence, Inputs, Timeline, selector

__all__ = ["QUALITY_EVIDENCE"]

_FEATURE: Final = {"feature_name": "a feature"}


def _identity(threshold: Threshold) -> dict[str, str]:
    return {"model_name": threshold.model_name, "model_version": threshold.model_version}


def _predictions(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence:
    limit = threshold.value
    how = {"method": model.drift.method, "window": str(model.drift.window)}

    def drift(score: float, detected: float) -> Inputs:
        identity = _identity(threshold)
        verdict = {**identity, "kind": "prediction", "severity": threshold.severity}
        return {
            selector(catalog.PREDICTION_DRIFT_SCORE, **identity, **how): times.gauge(
                score, limit * 0.99
            ),
            selector(catalog.DRIFT_DETECTED, **verdict, feature_name="x"): times.gauge(detected, 0),
        }

    return Evidence(
        firing=drift(limit * 1.01, 1),
        labels=how,
        value=limit * 1.01,
        silent={
            "just below": drift(limit * 0.99, 1),
            "within the noise": drift(limit * 1.01, 0),
        },
    )


def _multivariate(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    limit, identity = threshold.value, _identity(threshold)
    # Three digits are shown; a fourth might be rounded otherwise here than by Prometheus.
    above = math.ceil(min(limit * 1.01, (1 + limit) / 2) * 1000) / 1000

    def drift(auc: float, detected: float, method: str = "auc") -> Inputs:
        verdict = {**identity, "severity": threshold.severity}
        return {
            selector(catalog.MULTIVARIATE_SCORE, **identity, method=method): times.gauge(auc, 0.5),
            selector(catalog.MULTIVARIATE_DETECTED, **verdict): times.gauge(detected, 0),
        }

    return Evidence(
        firing=drift(above, 1),
        value=above,
        silent={
            "just below": drift(limit * 0.99, 1),
            "by chance": drift(above, 0),
            "another method": drift(above, 1, "pca"),
        },
    )


def _concept(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    identity = {**_identity(threshold), "feature_name": "x", "severity": "warning"}
    series = selector(catalog.DRIFT_DETECTED, **identity, kind="concept")
    feature = selector(catalog.DRIFT_DETECTED, **identity, kind="feature")
    return Evidence(
        firing={series: times.gauge(1, 0)},
        silent={
            "no drift": {series: times.gauge(0, 0)},
            "a feature's drift": {feature: times.gauge(1, 0)},
        },
    )


def _data(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence | None:
    limit = threshold.value
    which = {**_identity(threshold), **_FEATURE, "check": threshold.objective}

    def bad(share: float, failed: float) -> Inputs:
        return {
            selector(catalog.DATA_QUALITY, **which): times.gauge(share, limit * 0.99),
            selector(catalog.DATA_QUALITY_FAILED, **which): times.gauge(failed, 0),
        }

    if limit >= 1:
        return None  # more than all of it cannot be bad
    above = min(1.0, limit * 1.01) or 0.01
    return Evidence(
        firing=bad(above, 1),
        labels=_FEATURE,
        value=above,
        silent={"just below": bad(limit * 0.99, 1), "by chance": bad(above, 0)},
    )


def _stale(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    which = {**_identity(threshold), **_FEATURE}
    series = selector(catalog.DATA_QUALITY_FAILED, **which, check="freshness")
    other = selector(catalog.DATA_QUALITY_FAILED, **which, check="missing")
    return Evidence(
        firing={series: times.gauge(1, 0)},
        labels=_FEATURE,
        silent={
            "values come": {series: times.gauge(0, 0)},
            "another check": {other: times.gauge(1, 0)},
        },
    )


def _decay(value: Metric, verdict: Metric) -> Callable[..., Evidence]:
    def evidence(threshold: Threshold, model: Model, _: Spec, times: Timeline) -> Evidence:
        window = {"window": str(model.performance.windows[0])}
        which = {**_identity(threshold), "metric": threshold.objective, **window}
        measured = threshold.value * 0.9

        def decayed(judged: float, metric: str = threshold.objective) -> Inputs:
            other = {**which, "metric": metric}
            return {
                selector(value, **which): times.gauge(measured, measured),
                selector(verdict, **other): times.gauge(judged, 0),
            }

        return Evidence(
            firing=decayed(1),
            labels=window,
            value=measured,
            silent={"by chance": decayed(0), "another metric": decayed(1, "another")},
        )

    return evidence


def _labels(metric: Metric, worse: float) -> Callable[..., Evidence]:
    """A figure of one window, that is bad below its threshold (0.99) or above it (1.01)."""

    def evidence(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
        limit, window = threshold.value, {"window": threshold.objective}
        better = limit * (2 - worse)
        series = selector(metric, **_identity(threshold), **window)
        other = selector(metric, **_identity(threshold), window="another")
        return Evidence(
            firing={series: times.gauge(limit * worse, better)},
            labels=window,
            value=limit * worse,
            silent={
                "just good enough": {series: times.gauge(better, better)},
                "another window": {other: times.gauge(limit * worse, better)},
            },
        )

    return evidence


def _business(threshold: Threshold, model: Model, spec: Spec, _: Timeline) -> Evidence:
    limit, times = threshold.value, Timeline.of(threshold.hold, spec, HOUR)
    ratio = next(one for one in model.business if one.name == threshold.objective)
    a_window = window(spec, HOUR).milliseconds / times.step.milliseconds

    def events(share: float, of: float = 10_000) -> Inputs:
        """`of` events below the line a step; at last they are as many above it."""
        name = selector(catalog.BUSINESS_EVENTS, **_identity(threshold), event=ratio.numerator)
        below = selector(catalog.BUSINESS_EVENTS, **_identity(threshold), event=ratio.denominator)
        return {name: times.counter(share * of, of), below: times.counter(of, of)}

    few = (LEAST_BUSINESS - 10) / (a_window + 1)
    return Evidence(
        firing=events(limit * 0.99),
        value=limit * 0.99,
        times=times,
        silent={
            "just enough": events(min(1.0, limit * 1.01)),
            "only a few events": events(limit * 0.99, few),
        },
    )


def _worse(threshold: Threshold, _: Model, __: Spec, times: Timeline) -> Evidence:
    baseline = {"baseline_version": "0.9"}
    pair = {**_identity(threshold), **baseline}

    def compared(worse: float, objective: str = threshold.objective) -> Inputs:
        which = {**pair, "objective": objective}

        def of_both(metric: Metric, newer: float, older: float) -> Inputs:
            return {
                selector(metric, **which, side=side): times.gauge(value, value)
                for side, value in (("newer", newer), ("older", older))
            }

        return {
            **of_both(catalog.VERSION_COMPARISON, 0.125, 0.015),
            **of_both(catalog.VERSION_COMPARISON_SAMPLES, 1234, 56_789),
            selector(catalog.VERSION_WORSE, **which): times.gauge(worse, 0),
        }

    return Evidence(
        firing=compared(1),
        labels=baseline,
        value=0.125,
        looked_up={"older": "0.015", "newer_samples": "1234", "older_samples": "56789"},
        silent={"by chance": compared(0), "another aspect": compared(1, "another")},
    )


QUALITY_EVIDENCE: Final[
    dict[str, Callable[[Threshold, Model, Spec, Timeline], Evidence | None]]
] = {
    "PredictionDrift": _predictions,
    "MultivariateDrift": _multivariate,
    "ConceptDrift": _concept,
    "DataQuality": _data,
    "FeatureStale": _stale,
    "AccuracyDecay": _decay(catalog.MODEL_PERFORMANCE, catalog.MODEL_PERFORMANCE_DECAYED),
    "EstimatedDecay": _decay(
        catalog.MODEL_PERFORMANCE_ESTIMATED, catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED
    ),
    "VersionWorse": _worse,
    "LabelsMissing": _labels(catalog.LABEL_COVERAGE, 0.99),
    "LabelsLate": _labels(catalog.LABEL_DELAY_MEDIAN, 1.01),
    "BusinessRatioLow": _business,
}
"""By alert; None where no input can make it fire."""
