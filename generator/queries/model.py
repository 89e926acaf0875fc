"""What the model dashboard asks of one version of one model: is it broken, and why?"""

from __future__ import annotations

from contract import catalog
from contract.catalog import MODEL, Metric
from contract.spec import QUANTILES, Severity
from generator.queries import recorded
from generator.queries.recorded import quantile_of
from generator.queries.selection import (
    ALERTS,
    ALERTS_SINCE,
    FIRING,
    RATE_INTERVAL,
    chosen,
)

__all__ = [
    "absolute_error",
    "accuracy",
    "alerts",
    "buckets",
    "classes",
    "confidence",
    "confidence_quantile",
    "confusion",
    "drift_age",
    "drift_age_of_limit",
    "drift_limit",
    "drift_of_limit",
    "drift_score",
    "drift_threshold",
    "drifted_features",
    "error_limit",
    "error_ratio",
    "errors_of_limit",
    "feature_invalid",
    "feature_missing",
    "feature_samples",
    "firing",
    "labels",
    "latency",
    "latency_buckets",
    "latency_limits",
    "mean_latency",
    "noise_floor",
    "promised_latency",
    "requests",
    "requests_by_status",
    "root_mean_squared_error",
    "stage_latency",
    "targets_up",
    "top_drift_of_limit",
    "top_drift_scores",
    "top_invalid",
    "top_missing",
    "worst_latency_of_limit",
    "worst_noise_floor",
]

OUTCOME_WINDOW = "1h"
"""Labels come late and few: quality over less is noise."""

_BY_FEATURE = "by (feature_name)"


# Is it broken?


def firing() -> str:
    """How many alerts of the model fire; 0 where none does."""
    return f"count({chosen(ALERTS, FIRING)}) or vector(0)"


def targets_up() -> str:
    """Each target of the model: 1 where Prometheus can scrape it, else 0."""
    return f"max by (target) ({chosen(recorded.TARGET_UP)})"


def requests() -> str:
    """Requests per second."""
    return chosen(recorded.REQUESTS)


def error_ratio() -> str:
    """Share of requests that failed."""
    return chosen(recorded.ERROR_RATIO)


def errors_of_limit() -> str:
    """The error ratio as a share of the threshold of HighErrorRatio: 1 is the limit."""
    return f"{error_ratio()} / on () group_left () {error_limit()}"


def latency(quantile: str) -> str:
    """Latency quantile in seconds; `quantile` is p50, p90, p95, p99 or p999.

    Taken from the buckets of the chosen model where it is not recorded of all.
    """
    measured = chosen(recorded.LATENCY_QUANTILES[quantile])
    if quantile == recorded.QUANTILE_OF_ALL:
        return measured
    share = next(share for share, name in QUANTILES.items() if name == quantile)
    buckets = f"sum by ({', '.join((*MODEL, 'le'))}) ({chosen(recorded.LATENCY_BUCKETS)})"
    return f"{measured} or {quantile_of(buckets, share)}"


def promised_latency(quantile: str) -> str:
    """The same, where models.yaml promises something of that quantile."""
    matchers = f'alert="HighLatency{quantile.upper()}"'
    measured = chosen(recorded.LATENCY_QUANTILES[quantile])
    return f"{measured} and on () {chosen(recorded.THRESHOLD, matchers)}"


def worst_latency_of_limit() -> str:
    """The worst of the promised latency quantiles as a share of its threshold: 1 is the limit."""
    return chosen(recorded.LATENCY_OF_LIMIT)


def drifted_features() -> str:
    """Features above their threshold and their noise floor."""
    drifted = f"count(max {_BY_FEATURE} ({chosen(recorded.DRIFT_DETECTED)}))"
    # Only drifted features have a series; a model that was judged and has none has 0. The time of
    # an evaluation would not do: it stays when the verdicts are too old to show.
    return f"{drifted} or 0 * max({chosen(recorded.DRIFTED_FEATURES)})"


def drift_age() -> str:
    """Seconds since drift was last evaluated."""
    return f"time() - {chosen(recorded.DRIFT_EVALUATED)}"


def drift_age_of_limit() -> str:
    """That age as a share of the threshold of DriftEvaluationStale: 1 is the limit."""
    threshold = chosen(recorded.THRESHOLD, 'alert="DriftEvaluationStale"')
    return f"({drift_age()}) / on () group_left () max({threshold})"


def alerts() -> str:
    """The model's alerts, as the time (Unix, ms) since which the reason of each holds."""
    return f"{chosen(ALERTS)} * ignoring (alertstate) group_left () {ALERTS_SINCE} * 1000"


# Traffic and latency


def _rate(series: Metric | str, by: str) -> str:
    return f"sum by ({by}) (rate({chosen(series)}[{RATE_INTERVAL}]))"


def requests_by_status() -> str:
    """Requests per second of each status."""
    failed = f"sum({chosen(recorded.ERRORS)})"
    succeeded = f"sum({chosen(recorded.REQUESTS)}) - {failed}"
    # Where no sidecar counts them, a serving runtime says which failed.
    told = " or ".join(
        f'label_replace({rate}, "status", "{status}", "", "")'
        for status, rate in (("success", succeeded), ("error", failed))
    )
    return f"{_rate(catalog.INFERENCE_REQUESTS, 'status')} or on () ({told})"


def error_limit() -> str:
    """The threshold of HighErrorRatio."""
    threshold = chosen(recorded.THRESHOLD, 'alert="HighErrorRatio"')
    return f"max({threshold})"


def mean_latency() -> str:
    """Mean time of a request in seconds."""
    return chosen(recorded.LATENCY_MEAN)


def latency_limits() -> str:
    """The threshold of every promised quantile, with a label `quantile` such as 99."""
    thresholds = chosen(recorded.THRESHOLD, 'alert=~"HighLatency.+"')
    limits = f"max by (alert) ({thresholds})"
    return f'label_replace({limits}, "quantile", "$1", "alert", "HighLatencyP(.+)")'


def stage_latency() -> str:
    """Mean seconds a request spent in each stage."""
    total = _rate(catalog.INFERENCE_STAGE_LATENCY.sum, "stage")
    return f"{total} / ({_rate(catalog.INFERENCE_STAGE_LATENCY.count, 'stage')} > 0)"


def buckets(histogram: Metric) -> str:
    """Values per second in each bucket, for a heatmap."""
    return _rate(histogram.bucket, "le")


def latency_buckets() -> str:
    """The same of latency: as the sidecar counts it, or else as a serving runtime does."""
    told = f"sum by (le) ({chosen(recorded.LATENCY_BUCKETS)})"
    return f"{buckets(catalog.INFERENCE_LATENCY)} or on () {told}"


# Predictions


def classes() -> str:
    """Predictions per second of each class."""
    return chosen(recorded.CLASS_RATE)


def confidence() -> str:
    """Mean probability the model gave to what it predicted."""
    return chosen(recorded.CONFIDENCE_MEAN)


def confidence_quantile(quantile: float) -> str:
    """The share `quantile` of predictions that the model was least sure of lie below this."""
    rates = _rate(catalog.PREDICTION_CONFIDENCE.bucket, "le")
    return f"histogram_quantile({quantile:g}, {rates}) >= 0"


# Features


def drift_score() -> str:
    """The score of each feature."""
    return f"max {_BY_FEATURE} ({chosen(recorded.DRIFT_SCORE)})"


def top_drift_scores(count: int = 5) -> str:
    """The lines of the few features that moved furthest within the time range."""
    series = chosen(recorded.DRIFT_SCORE)
    over_range = f"max_over_time({series}[$__range] @ end())"
    return f"{series} and on (feature_name) topk({count}, {over_range})"


def drift_threshold(severity: Severity) -> str:
    """The score at which models.yaml calls a feature drifted."""
    matchers = _feature(f'severity="{severity}"')
    return f"max({chosen(catalog.DRIFT_THRESHOLD, matchers)})"


def noise_floor() -> str:
    """The score of each feature that sampling alone exceeds in 1 of 100 windows."""
    return f"max {_BY_FEATURE} ({chosen(catalog.DRIFT_NOISE_FLOOR, _feature())})"


def worst_noise_floor() -> str:
    """The highest of those."""
    return f"max({chosen(catalog.DRIFT_NOISE_FLOOR, _feature())})"


def drift_limit() -> str:
    """What a feature's score must exceed to count as drifted: its floor or the threshold."""
    floor, threshold = noise_floor(), drift_threshold("warning")
    return (
        f"({floor} > on () group_left () {threshold}"
        f" or 0 * {floor} + on () group_left () {threshold})"
    )


def drift_of_limit() -> str:
    """The score of each feature as a share of that limit: above 1 it has drifted."""
    return f"{drift_score()} / on (feature_name) {drift_limit()}"


def top_drift_of_limit(count: int = 10) -> str:
    """That share for the few features where it is highest now, the highest first."""
    return f"sort_desc(topk({count}, {drift_of_limit()}))"


def feature_samples() -> str:
    """Values of each feature counted over the drift window."""
    return f"max {_BY_FEATURE} ({chosen(catalog.DRIFT_WINDOW_SAMPLES, _feature())})"


def _feature(matchers: str = "") -> str:
    return ", ".join(filter(None, ('kind="feature"', matchers)))


def _of_requests(counter: Metric) -> str:
    total = f"sum(rate({chosen(catalog.INFERENCE_REQUESTS)}[{RATE_INTERVAL}]))"
    return f"{_rate(counter, 'feature_name')} / on () group_left () ({total} > 0)"


def feature_missing() -> str:
    """Share of requests in which each feature was absent, null or NaN."""
    return _of_requests(catalog.FEATURE_MISSING)


def feature_invalid() -> str:
    """Share of requests in which each feature had a wrong type or an unknown category."""
    return _of_requests(catalog.FEATURE_INVALID)


def top_missing(count: int = 3) -> str:
    """The lines of the few features that were missing most often within the time range."""
    return _top(feature_missing(), catalog.FEATURE_MISSING, count)


def top_invalid(count: int = 3) -> str:
    """The lines of the few features that were invalid most often within the time range."""
    return _top(feature_invalid(), catalog.FEATURE_INVALID, count)


def _top(shares: str, counter: Metric, count: int) -> str:
    over_range = f"sum {_BY_FEATURE} (increase({chosen(counter)}[$__range] @ end()))"
    return f"{shares} and on (feature_name) topk({count}, {over_range})"


# Outcomes


def labels() -> str:
    """True labels that arrive per second, by whether their prediction was found."""
    return _rate(catalog.LABELS, "result")


def confusion() -> str:
    """Labelled predictions of the time range by predicted and actual class."""
    counts = f"increase({chosen(catalog.OUTCOMES)}[$__range])"
    return f"round(sum by (predicted_class, actual_class) ({counts}))"


def accuracy() -> str:
    """Share of labelled predictions whose class was the actual one."""
    counts = (
        f"sum by (predicted_class, actual_class)"
        f" (increase({chosen(catalog.OUTCOMES)}[{OUTCOME_WINDOW}]))"
    )
    # PromQL can't compare two labels: both are copied to a third one, and match where it agrees.
    predicted = f'label_replace({counts}, "class", "$1", "predicted_class", "(.*)")'
    actual = f'label_replace({counts}, "class", "$1", "actual_class", "(.*)")'
    return f"sum({predicted} and {actual}) / (sum({counts}) > 0)"


def absolute_error() -> str:
    """Mean of |prediction - actual| over labelled predictions."""
    return _mean_error(catalog.ABSOLUTE_ERROR)


def root_mean_squared_error() -> str:
    """Root of the mean of (prediction - actual)^2 over labelled predictions."""
    return f"sqrt({_mean_error(catalog.SQUARED_ERROR)})"


def _mean_error(total: Metric) -> str:
    errors = f"sum(increase({chosen(total)}[{OUTCOME_WINDOW}]))"
    samples = f"sum(increase({chosen(catalog.ERROR_SAMPLES)}[{OUTCOME_WINDOW}]))"
    return f"{errors} / ({samples} > 0)"
