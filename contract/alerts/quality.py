"""The alerts on what comes out of a model, and on how right it is."""

from __future__ import annotations

from typing import Final

from contract.alerts.alert import Alert, Promised, of_model
from contract.quantity import Duration
from contract.spec import Model, Promise, Severity
from contract.spec.performance import ESTIMATED_METRICS, LOWER_IS_BETTER, METRICS_OF_TASK

__all__ = ["LEAST_BUSINESS", "QUALITY_ALERTS"]

LEAST_BUSINESS: Final = 100
"""Events below the line in an hour under which no business ratio is judged."""


def _with_profile(promised: Promised) -> Promised:
    """What can be held against a reference only."""
    return lambda model, severity: {} if model.profile is None else promised(model, severity)


def _drift(model: Model, severity: Severity) -> dict[str, float]:
    return {"": model.drift.critical if severity == "critical" else model.drift.warning}


def _multivariate(model: Model, severity: Severity) -> dict[str, float]:
    settings = model.drift.multivariate
    if settings is None:
        return {}
    return {"": settings.critical if severity == "critical" else settings.warning}


def _quality(model: Model, _: Severity) -> dict[str, float]:
    limits = model.data_quality
    return {
        "missing": limits.missing,
        "range": limits.range,
        "type": limits.type,
        "category": limits.category,
    }


def _bound(metric: str, promise: Promise) -> float | None:
    """How bad a metric may become: the stricter one of its promises."""
    lower = metric in LOWER_IS_BETTER
    bounds = [promise.max if lower else promise.min]
    if promise.baseline is not None and promise.max_drop is not None:
        base = abs(promise.baseline) if metric == "bias" else promise.baseline
        bounds.append(base + promise.max_drop if lower else base - promise.max_drop)
    known = [bound for bound in bounds if bound is not None]
    return (min if lower else max)(known) if known else None


def _performance(model: Model, _: Severity) -> dict[str, float]:
    # What defaults promise may be metrics of other tasks.
    own = METRICS_OF_TASK[model.task]
    bounds = (
        (metric, _bound(metric, one))
        for metric, one in model.performance.promises()
        if metric in own
    )
    return {metric: bound for metric, bound in bounds if bound is not None}


def _estimated(model: Model, severity: Severity) -> dict[str, float]:
    if model.profile is None:
        return {}
    promised = _performance(model, severity)
    return {metric: bound for metric, bound in promised.items() if metric in ESTIMATED_METRICS}


def _of_labels(name: str, default: float) -> Promised:
    """A threshold that `models[].alerts` sets, on the longest window of performance."""
    usual = of_model(name, default)

    def promised(model: Model, severity: Severity) -> dict[str, float]:
        longest = max(model.performance.windows)
        return {str(longest): usual(model, severity)[""]}

    return promised


def _business(model: Model, _: Severity) -> dict[str, float]:
    # Nothing is below 0.
    return {ratio.name: ratio.min for ratio in model.business if ratio.min}


QUALITY_ALERTS: Final = (
    Alert(
        "PredictionDrift",
        ("warning", "critical"),
        Duration.parse("15m"),
        "{model}: its predictions have shifted, score {value}",
        "What {model} predicts is not distributed as in its reference profile: score {value}, "
        "threshold {threshold}, and above what sampling alone would give.",
        _with_profile(_drift),
        "number",
        "models[].drift",
    ),
    Alert(
        "MultivariateDrift",
        ("warning", "critical"),
        Duration.parse("15m"),
        "{model}: its features together have drifted, AUC {value}",
        "Rows that {model} gets can be told from those of its reference with an AUC of {value} "
        "(0.5 is not at all), threshold {threshold}, and not by chance. No feature needs to have "
        "drifted by itself.",
        _with_profile(_multivariate),
        "number",
        "models[].drift.multivariate",
    ),
    Alert(
        "ConceptDrift",
        ("warning",),
        Duration.parse("15m"),
        "{model}: what it learned no longer holds",
        "Given what {model} predicts, the labels are not distributed as in its reference profile: "
        "the relation between its inputs and the truth has changed.",
        _with_profile(lambda _, __: {"": 0.0}),
        "none",
        "models[].profile",
    ),
    Alert(
        "DataQuality",
        ("warning",),
        Duration.parse("15m"),
        "{model}: {value} of the values of {feature} fail: {objective}",
        "Over the drift window, {value} of the values of {feature} that {model} got are bad "
        "({objective}); the limit is {threshold}.",
        _with_profile(_quality),
        "percent",
        "models[].data_quality",
    ),
    Alert(
        "FeatureStale",
        ("warning",),
        Duration.parse("5m"),
        "{model} gets no value of {feature} any more",
        "Requests arrive, but none of them had a value of {feature} for longer than "
        "data_quality.freshness allows.",
        _with_profile(lambda _, __: {"": 0.0}),
        "none",
        "models[].data_quality.freshness",
    ),
    Alert(
        "AccuracyDecay",
        ("error",),
        Duration.parse("15m"),
        "{model} has become worse: {objective} is {value}",
        "By the labels that came, {objective} of {model} is {value} and was promised not to be "
        "worse than {threshold}; the difference is more than chance.",
        _performance,
        "number",
        "models[].performance",
    ),
    Alert(
        "EstimatedDecay",
        ("warning",),
        Duration.parse("15m"),
        "{model} has probably become worse: {objective} is estimated at {value}",
        "By its confidences, {objective} of {model} is now {value} and was promised not to be "
        "worse than {threshold}. That is an estimate: confidences must mean what they did.",
        _estimated,
        "number",
        "models[].performance",
    ),
    Alert(
        "LabelsMissing",
        ("warning",),
        Duration.parse("1h"),
        "{model}: labels came for {value} of its predictions",
        "Over the longest window of performance, labels came for {value} of the predictions of "
        "{model}; the limit is {threshold}. How right it is can't be told without them.",
        _of_labels("LabelsMissing", 0.1),
        "percent",
        "models[].alerts.LabelsMissing.threshold",
        asked=True,
        never_to=0.0,
    ),
    Alert(
        "LabelsLate",
        ("warning",),
        Duration.parse("1h"),
        "{model}: labels come {value} after their predictions",
        "Half of the labels of {model} come more than {value} after their predictions; the limit "
        "is {threshold}. What is known of its quality is as old.",
        _of_labels("LabelsLate", 86_400.0),
        "duration",
        "models[].alerts.LabelsLate.threshold",
        asked=True,
    ),
    Alert(
        "BusinessRatioLow",
        ("warning",),
        Duration.parse("15m"),
        "{model}: {objective} is only {value}",
        "Over the last hour, {objective} of {model} was {value}; at least {threshold} is expected.",
        _business,
        "percent",
        "models[].business",
    ),
)
