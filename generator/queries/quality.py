"""What the dashboard of quality and drift asks: is the model still right, and what moved?"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import Metric
from contract.spec import Severity
from generator.queries.selection import RATE_INTERVAL, chosen

__all__ = [
    "baseline",
    "calibration",
    "decayed",
    "decayed_metrics",
    "drop",
    "estimated",
    "estimated_decayed_metrics",
    "estimated_limit",
    "estimation_error",
    "feature_difference",
    "feature_limit",
    "feature_now",
    "feature_quantile",
    "feature_reference",
    "feature_score",
    "feature_variable",
    "label_coverage",
    "label_delay",
    "limit",
    "measured",
    "metric_variable",
    "prediction_difference",
    "prediction_limit",
    "prediction_now",
    "prediction_of_limit",
    "prediction_reference",
    "prediction_score",
    "samples",
    "when_decayed",
    "when_drifted",
    "window_variable",
]

_METRIC: Final = 'metric="$metric"'
_WINDOW: Final = 'window="$window"'
_FEATURE: Final = 'feature_name="$feature"'
_FEW: Final = 10
"""Labelled predictions below which a share of them says nothing."""
_BINS: Final = "by (bin, values, above, upto)"


# What is chosen


def metric_variable() -> str:
    """Metrics that are measured or estimated."""
    measured = f'__name__=~"{catalog.MODEL_PERFORMANCE}(_estimated)?"'
    return f"label_values({chosen('', measured)}, metric)"


def window_variable() -> str:
    """Times over which labels are counted."""
    return f"label_values({chosen(catalog.MODEL_PERFORMANCE_SAMPLES)}, window)"


def feature_variable() -> str:
    """Features that drift is looked for in."""
    return f"label_values({chosen(catalog.DRIFT_WINDOW_SAMPLES, _kind('feature'))}, feature_name)"


# Performance


def _of_window(metric: Metric, matchers: str = "", by: str = "metric") -> str:
    together = ", ".join(filter(None, (_WINDOW, matchers)))
    return f"max by ({by}) ({chosen(metric, together)})"


def measured(matchers: str = "") -> str:
    """Each metric, as labels tell it over the window."""
    return _of_window(catalog.MODEL_PERFORMANCE, matchers)


def limit(bound: str, matchers: str = "") -> str:
    """The lower or upper end of its 95% interval."""
    matchers = ", ".join(filter(None, (f'bound="{bound}"', matchers)))
    return _of_window(catalog.MODEL_PERFORMANCE_LIMIT, matchers)


def baseline(matchers: str = "") -> str:
    """What each metric was when the model went into service."""
    return f"max by (metric) ({chosen(catalog.MODEL_PERFORMANCE_BASELINE, matchers)})"


def drop() -> str:
    """How much worse than that each metric is."""
    return _of_window(catalog.MODEL_PERFORMANCE_DROP)


def estimated(matchers: str = "") -> str:
    """Each metric, as estimated without labels."""
    return _of_window(catalog.MODEL_PERFORMANCE_ESTIMATED, matchers)


def estimated_limit(bound: str) -> str:
    """The lower or upper end of the 95% interval of the chosen metric's estimate."""
    return _of_window(catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT, f'{_METRIC}, bound="{bound}"')


def estimation_error() -> str:
    """The estimate less what was measured."""
    return _of_window(catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR)


def decayed() -> str:
    """1 where a metric is worse than promised and by more than chance."""
    return _of_window(catalog.MODEL_PERFORMANCE_DECAYED)


def decayed_metrics() -> str:
    """How many are."""
    return f"sum({decayed()})"


def estimated_decayed_metrics() -> str:
    """How many are by their estimates."""
    return f"sum({_of_window(catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED)})"


def when_decayed() -> str:
    """Over time, 1 while a metric was worse than promised, measured or else estimated."""
    guess = f"{_of_window(catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED)}"
    named = f'label_replace({guess}, "metric", "$1, estimated", "metric", "(.+)")'
    return f"{decayed()} or {named}"


def samples() -> str:
    """Labelled predictions of the window."""
    return f"max({chosen(catalog.MODEL_PERFORMANCE_SAMPLES, _WINDOW)})"


def label_coverage() -> str:
    """Of the window's predictions, the share that has a label."""
    return f"max({chosen(catalog.LABEL_COVERAGE, _WINDOW)})"


def label_delay() -> str:
    """Median seconds from a prediction to its label."""
    return f"max({chosen(catalog.LABEL_DELAY_MEDIAN, _WINDOW)})"


def calibration() -> str:
    """Per tenth of the score: the share of positives among what was scored there.

    PromQL does not know which class is the positive one: it is the one with the higher mean score.
    """
    total, count = (
        f"sum by (actual_class) (increase({chosen(part)}[$__range]))"
        for part in (catalog.OUTCOME_SCORE.sum, catalog.OUTCOME_SCORE.count)
    )
    shares = " or ".join(_positives(tenth) for tenth in range(10))
    return f"max by (score) (({shares}) and on (actual_class) topk(1, {total} / ({count} > 0)))"


def _positives(tenth: int) -> str:
    inside = _up_to(tenth + 1) + (f" - {_up_to(tenth)}" if tenth else "")
    share = f"({inside}) / on () group_left () (sum({inside}) >= {_FEW})"
    return f'label_replace({share}, "score", "{tenth * 10}% to {tenth * 10 + 10}%", "", "")'


def _up_to(tenth: int) -> str:
    le = f'le="0.{tenth}"' if tenth < 10 else 'le=~"1([.]0)?"'
    bucket = chosen(catalog.OUTCOME_SCORE.bucket, le)
    return f"sum by (actual_class) (increase({bucket}[$__range]))"


# Drift


def _kind(kind: str) -> str:
    return f'kind="{kind}"'


def when_drifted(count: int = 10) -> str:
    """Over time, 1 while a feature was drifted; of those that were for the longest."""
    drifted = chosen(catalog.DRIFT_DETECTED, f'{_kind("feature")}, severity="warning"')
    longest = f"sum by (feature_name) (sum_over_time({drifted}[$__range] @ end())) > 0"
    return f"max by (feature_name) ({drifted}) and on (feature_name) topk({count}, {longest})"


def feature_score() -> str:
    """The score of the chosen feature."""
    return f"max by (feature_name) ({chosen(catalog.FEATURE_DRIFT_SCORE, _FEATURE)})"


def feature_limit(which: Severity | None) -> str:
    """What the chosen feature's score is held against: a threshold, or (None) its noise floor."""
    return _limit("feature", which, _FEATURE)


def prediction_score() -> str:
    """How far predictions are from the reference."""
    return f"max({chosen(catalog.PREDICTION_DRIFT_SCORE)})"


def prediction_limit(which: Severity | None) -> str:
    """What that is held against: a threshold, or (None) its noise floor."""
    return _limit("prediction", which, "")


def prediction_of_limit() -> str:
    """The score of the predictions as a share of what counts as drift."""
    floor, threshold = prediction_limit(None), prediction_limit("warning")
    return f"{prediction_score()} / ({floor} > {threshold} or {threshold})"


def _limit(kind: str, which: Severity | None, matchers: str) -> str:
    if which is None:
        both = ", ".join(filter(None, (_kind(kind), matchers)))
        return f"max({chosen(catalog.DRIFT_NOISE_FLOOR, both)})"
    severity = f'{_kind(kind)}, severity="{which}"'
    return f"max({chosen(catalog.DRIFT_THRESHOLD, severity)})"


def feature_quantile(quantile: float) -> str:
    """Below which value that share of the chosen feature's values lie."""
    buckets = chosen(catalog.FEATURE_VALUE.bucket, _FEATURE)
    return f"histogram_quantile({quantile:g}, sum by (le) (rate({buckets}[{RATE_INTERVAL}])))"


# Distributions: a row for each bin


def feature_reference() -> str:
    """Share of the reference's values in each bin of the chosen feature."""
    return f"max {_BINS} ({_reference('feature', _FEATURE)})"


def feature_now() -> str:
    """The same of the values of the time range."""
    return _share(
        _reference("feature", _FEATURE),
        chosen(catalog.FEATURE_VALUE.bucket, _FEATURE),
        chosen(catalog.FEATURE_CATEGORY, _FEATURE),
        "category",
    )


def feature_difference() -> str:
    """Now less the reference."""
    return f"{feature_now()} - {feature_reference()}"


def prediction_reference() -> str:
    """Share of the reference's predictions in each bin."""
    return f"max {_BINS} ({_reference('prediction', '')})"


def prediction_now() -> str:
    """The same of the predictions of the time range."""
    return _share(
        _reference("prediction", ""),
        chosen(catalog.PREDICTION_VALUE.bucket),
        chosen(catalog.PREDICTION_CLASS),
        "predicted_class",
    )


def prediction_difference() -> str:
    """Now less the reference."""
    return f"{prediction_now()} - {prediction_reference()}"


def _reference(kind: str, matchers: str) -> str:
    return chosen(catalog.DRIFT_REFERENCE, ", ".join(filter(None, (_kind(kind), matchers))))


def _share(reference: str, buckets: str, categories: str, category: str) -> str:
    """Counts by the bins of the reference, of all that was counted.

    Buckets count all up to an edge: what is in a bin is the bucket that ends with it less the one
    that ends where it begins. Prometheus 3 writes edges as 1.0 where its forerunners had 1.
    """
    bins = f"group {_BINS} ({reference})"

    def at(edge: str) -> str:
        counted = f"increase({buckets}[$__range])"
        named = f'label_replace({counted}, "{edge}", "$1", "le", "(.+?)([.]0)?")'
        return f"{bins} * on ({edge}) group_left () sum by ({edge}) ({named})"

    counted = f"increase({categories}[$__range])"
    named = f'label_replace({counted}, "values", "$1", "{category}", "(.+)")'
    words = f"{bins} * on (values) group_left () sum by (values) ({named})"
    counts = f"({at('upto')} - ({at('above')}) or {at('upto')} or {words})"
    return f"{counts} / on () group_left () (sum({counts}) > 0)"
