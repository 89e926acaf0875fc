"""What reports ask, over any time: each function gives the PromQL of what was within `over`.

`who` are matchers that choose models. Whole-period figures are counts, so that those of two times
that follow each other add up: events of objectives as they were counted, latency's buckets as what
their rates add up to. Only of gauges is a mean over time the mean.
"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries import recorded, recorded_gpu, recorded_quality, recorded_serving, slo
from generator.queries.recorded import Recorded
from generator.queries.selection import ALERTS, BY_MODEL, FIRING, ON_MODEL, with_matchers
from generator.queries.slo_events import BAD_COUNTED, EVENTS_COUNTED
from generator.queries.stack import OLDEST_SAMPLE
from generator.queries.windows import FIVE_MINUTES, ONE_MINUTE, TEN_MINUTES, window

__all__ = [
    "AGGREGATIONS",
    "ALERT",
    "GAUGES",
    "QUALITY",
    "TIMED_VERDICTS",
    "actual_outcomes",
    "alert_seconds",
    "alert_starts",
    "alerts_at",
    "bad_events",
    "buckets",
    "count_moments",
    "counts",
    "decayed_seconds",
    "drift_limits",
    "drift_moments",
    "drift_seconds",
    "drifted_now",
    "energy",
    "error_samples",
    "errors_total",
    "evaluated_seconds",
    "events",
    "first_and_last_alert",
    "first_and_last_request",
    "gauge",
    "latency_total",
    "latency_weight",
    "left_of_period",
    "oldest_sample",
    "owners",
    "promised",
    "quality",
    "score",
    "timed_verdict",
    "up_share",
]

ALERT: Final = ("alertname", "severity", *MODEL)
"""What tells one alert of a report from another: whichever feature or target it is about."""

_BY_ALERT: Final = f"by ({', '.join(ALERT)})"
_AVAILABILITY: Final = 'objective="availability"'


def _minutes(series: str, over: Duration, spec: Spec) -> tuple[str, float]:
    """A series each minute, and a minute's seconds: however often it was recorded in the past."""
    minute = spec.clock(ONE_MINUTE)
    return f"({series})[{over}:{minute}]", minute.seconds


def _five_minutes(spec: Spec) -> Duration:
    """The window of recorded rates: asked once in each, all time is covered, none of it twice."""
    return window(spec, FIVE_MINUTES)


# Counts of events


def events(who: str, over: Duration) -> str:
    """Events of each objective."""
    return f"sum_over_time({with_matchers(EVENTS_COUNTED, who)}[{over}])"


def bad_events(who: str, over: Duration) -> str:
    """Those of them that break the promise."""
    return f"sum_over_time({with_matchers(BAD_COUNTED, who)}[{over}])"


def counts(who: str, over: Duration) -> str:
    """How often requests were counted at all: what is missing of it, nobody knows."""
    return f"count_over_time({_requests(who)}[{over}])"


def _requests(who: str) -> str:
    return with_matchers(EVENTS_COUNTED, who, _AVAILABILITY)


def oldest_sample() -> str:
    """When Prometheus's first sample is of (Unix time), where it scrapes itself.

    It says the end of time before it has any.
    """
    return f"min(clamp_max({OLDEST_SAMPLE}, time()))"


def count_moments(who: str, over: Duration, spec: Spec) -> tuple[str, str]:
    """When requests were counted first and last (Unix times)."""
    return _first_and_last(_requests(who), over, _five_minutes(spec))


def first_and_last_request(who: str, over: Duration, spec: Spec) -> tuple[str, str]:
    """The ends of the first and of the last count that has requests (Unix times)."""
    return _first_and_last(f"({_requests(who)} > 0)", over, _five_minutes(spec))


def _first_and_last(series: str, over: Duration, step: Duration) -> tuple[str, str]:
    times = f"(0 * {series} + time())[{over}:{step}]"
    return f"min_over_time({times})", f"max_over_time({times})"


# Promises


def promised(who: str, over: Duration) -> str:
    """What was promised last, with the labels of the objective: of versions that are gone."""
    return f"last_over_time({with_matchers(slo.OBJECTIVES, who)}[{over}])"


def left_of_period(who: str) -> str:
    """What is left of the budget of the promise's own period, as it was worked out last."""
    return f"last_over_time({with_matchers(slo.REMAINING, who)}[{TEN_MINUTES}])"


def owners(who: str, over: Duration) -> str:
    """The team of each model, as it was last."""
    return f"last_over_time({with_matchers(recorded.OWNER, who)}[{over}])"


def up_share(who: str, over: Duration) -> str:
    """The share of the time that a model's targets could be scraped, all of them together."""
    return f"avg {BY_MODEL} (avg_over_time({with_matchers(recorded.TARGET_UP, who)}[{over}]))"


# Latency


def buckets(who: str, over: Duration, spec: Spec) -> str:
    """Requests that took at most le."""
    series = with_matchers(recorded.LATENCY_BUCKETS, who)
    by = f"by ({', '.join(recorded.LATENCY_BUCKETS.labels)})"
    step = _five_minutes(spec)
    return f"sum {by} (sum_over_time({series}[{over}:{step}])) * {step.seconds:g}"


def _timed(who: str) -> str:
    """Requests per second whose time is known; of runtimes without buckets, all."""
    largest = 'le="+Inf"'
    timed = f"sum {BY_MODEL} ({with_matchers(recorded.LATENCY_BUCKETS, who, largest)})"
    return f"({timed} or {with_matchers(recorded.REQUESTS, who)})"


def latency_total(who: str, over: Duration, spec: Spec) -> str:
    """The time that all requests took, by the count of latency_weight: their ratio is the mean."""
    each = f"{with_matchers(recorded.LATENCY_MEAN, who)} * {ON_MODEL} {_timed(who)}"
    return f"sum_over_time(({each})[{over}:{_five_minutes(spec)}])"


def latency_weight(who: str, over: Duration, spec: Spec) -> str:
    """The requests of latency_total."""
    each = f"{_timed(who)} and {ON_MODEL} {with_matchers(recorded.LATENCY_MEAN, who)}"
    return f"sum_over_time(({each})[{over}:{_five_minutes(spec)}])"


# Gauges

GAUGES: Final[dict[str, Recorded | Metric]] = {
    "throughput_requests_per_second": recorded.REQUESTS,
    "error_ratio": recorded.ERROR_RATIO,
    "latency_mean_seconds": recorded.LATENCY_MEAN,
    "latency_p50_seconds": recorded.LATENCY_QUANTILES["p50"],
    "latency_p99_seconds": recorded.LATENCY_QUANTILES["p99"],
    "in_progress_requests": recorded_serving.IN_PROGRESS,
    "queue_depth_requests": recorded_serving.QUEUE_DEPTH,
    "batch_size_rows": recorded_serving.BATCH_SIZE,
    "memory_bytes": catalog.MODEL_MEMORY,
    "gpu_memory_bytes": recorded_gpu.MODEL_MEMORY,
    "gpu_utilization_gpus": recorded_gpu.MODEL_SM,
    "gpu_power_watts": recorded_gpu.MODEL_POWER,
    "gpu_energy_joules_per_1000_requests": recorded_gpu.JOULES_PER_1000_REQUESTS,
    "time_to_first_token_p99_seconds": recorded_serving.TIME_TO_FIRST_TOKEN_QUANTILES["p99"],
    "inter_token_latency_mean_seconds": recorded_serving.INTER_TOKEN_LATENCY_MEAN,
    "prompt_tokens_per_second": recorded_serving.PROMPT_TOKENS,
    "generated_tokens_per_second": recorded_serving.GENERATED_TOKENS,
    "kv_cache_usage_ratio": recorded_serving.KV_CACHE_USAGE,
}
"""What has a value at each moment, under the name it has in a report, which ends in its unit."""

AGGREGATIONS: Final = {
    "mean": "avg_over_time({}[{}])",
    "min": "min_over_time({}[{}])",
    "max": "max_over_time({}[{}])",
    "median": "quantile_over_time(0.5, {}[{}])",
}
"""What is told of such values."""

_SUMMED: Final = ("queue_depth_requests", "memory_bytes")
"""Those with several series a model."""


def gauge(aggregation: str, who: str, over: Duration, spec: Spec) -> str:
    """Every gauge, aggregated over time, with its name as the label `measure`."""
    parts = []
    for name, series in GAUGES.items():
        chosen, span = with_matchers(series, who), str(over)
        if name in _SUMMED:
            chosen = f"(sum {BY_MODEL} ({chosen}))"
            span = f"{over}:{spec.clock(ONE_MINUTE)}"
        told = AGGREGATIONS[aggregation].format(chosen, span)
        parts.append(f'label_replace({told}, "measure", "{name}", "", "")')
    return "\nor\n".join(parts)


def energy(who: str, over: Duration, spec: Spec) -> str:
    """Joules: each model's part of what its GPUs took."""
    each, seconds = _minutes(with_matchers(recorded_gpu.MODEL_POWER, who), over, spec)
    return f"sum_over_time({each}) * {seconds:g}"


# Alerts


def _firing(who: str, offset: str = "") -> str:
    return f"group {_BY_ALERT} ({with_matchers(ALERTS, FIRING, who)}{offset})"


def _evaluations(over: Duration, spec: Spec) -> str:
    return f"[{over}:{spec.clock(spec.stack.evaluation_interval)}]"


def alert_seconds(who: str, over: Duration, spec: Spec) -> str:
    """For how long each alert fired."""
    seconds = spec.clock(spec.stack.evaluation_interval).seconds
    return f"count_over_time(({_firing(who)}){_evaluations(over, spec)}) * {seconds:g}"


def alert_starts(who: str, over: Duration, spec: Spec) -> str:
    """How often each began to fire."""
    before = _firing(who, f" offset {spec.clock(spec.stack.evaluation_interval)}")
    began = f"{_firing(who)} unless {before}"
    return f"count_over_time(({began}){_evaluations(over, spec)})"


def alerts_at(who: str) -> str:
    """Which fire at a moment."""
    return _firing(who)


def first_and_last_alert(who: str, over: Duration, spec: Spec) -> tuple[str, str]:
    """When each fired first and last (Unix times)."""
    step = spec.clock(spec.stack.evaluation_interval)
    return _first_and_last(_firing(who), over, step)


# Drift

_FEATURE: Final = 'kind="feature"'
_WARNING: Final = 'severity="warning"'
_SCORES: Final = {
    "feature": recorded.DRIFT_SCORE,
    "prediction": recorded_quality.PREDICTION_DRIFT,
}
_DETECTED: Final = {
    "feature": recorded.DRIFT_DETECTED,
    "prediction": recorded_quality.PREDICTION_DRIFT_DETECTED,
}


def score(kind: str, function: str, who: str, over: Duration) -> str:
    """Scores of features or predictions: `function` is avg, max or last."""
    return f"{function}_over_time({with_matchers(_SCORES[kind], who)}[{over}])"


def drift_limits(who: str, over: Duration) -> tuple[str, str]:
    """The thresholds by kind and severity, and the noise floors by kind and feature, as last."""
    of_feature = f"by ({', '.join((*MODEL, 'kind', 'feature_name'))})"
    floors = f"last_over_time({with_matchers(catalog.DRIFT_NOISE_FLOOR, who)}[{over}])"
    return (
        f"last_over_time({with_matchers(catalog.DRIFT_THRESHOLD, who)}[{over}])",
        f"max {of_feature} ({floors})",
    )


def drift_seconds(kind: str, who: str, over: Duration, spec: Spec) -> str:
    """For how long each feature, or the predictions, were above their threshold and floor."""
    return _held(_DETECTED[kind], spec, over, who, _WARNING)


def drift_moments(kind: str, who: str, over: Duration, spec: Spec) -> tuple[str, str]:
    """When they were first and last (Unix times)."""
    series = with_matchers(_DETECTED[kind], who, _WARNING)
    return _first_and_last(series, over, spec.clock(ONE_MINUTE))


def drifted_now(kind: str, who: str) -> str:
    """Which features are, or whether the predictions are, at a moment."""
    return with_matchers(_DETECTED[kind], who, _WARNING)


def evaluated_seconds(who: str, over: Duration, spec: Spec) -> str:
    """For how long there were verdicts on drift at all."""
    return _held(recorded.DRIFTED_FEATURES, spec, over, who)


def _held(rule: Recorded, spec: Spec, over: Duration, *matchers: str) -> str:
    """How long a series was there, which is there only while something holds."""
    each, seconds = _minutes(with_matchers(rule, *matchers), over, spec)
    return f"count_over_time({each}) * {seconds:g}"


TIMED_VERDICTS: Final = {
    "concept_drift": recorded_quality.CONCEPT_DRIFT,
    "multivariate_drift": recorded_quality.MULTIVARIATE_DRIFT,
    "data_quality": recorded_quality.DATA_FAILED,
    "feature_stale": recorded_quality.FEATURE_STALE,
}
"""Other verdicts of the drift collector, which are there only while something is wrong."""


def timed_verdict(name: str, who: str, over: Duration, spec: Spec) -> str:
    """For how long one of those held."""
    return _held(TIMED_VERDICTS[name], spec, over, who)


# Quality

QUALITY: Final[dict[str, Recorded | Metric]] = {
    "measured": catalog.MODEL_PERFORMANCE,
    "limit": catalog.MODEL_PERFORMANCE_LIMIT,
    "baseline": catalog.MODEL_PERFORMANCE_BASELINE,
    "samples": catalog.MODEL_PERFORMANCE_SAMPLES,
    "estimated": catalog.MODEL_PERFORMANCE_ESTIMATED,
    "estimated_limit": catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT,
    "coverage": recorded_quality.LABEL_COVERAGE,
    "delay": recorded_quality.LABEL_DELAY,
}
"""What is known of performance, by the names that `quality` takes."""


def quality(what: str, aggregation: str, who: str, over: Duration) -> str:
    """A part of what is known of performance; `aggregation` is one of AGGREGATIONS, or last."""
    function = {**AGGREGATIONS, "last": "last_over_time({}[{}])"}[aggregation]
    return function.format(with_matchers(QUALITY[what], who), over)


def decayed_seconds(who: str, over: Duration, spec: Spec, *, estimated: bool = False) -> str:
    """For how long each metric was worse than promised, and not by chance."""
    rule = recorded_quality.ESTIMATED_DECAYED if estimated else recorded_quality.DECAYED
    return _held(rule, spec, over, who)


def actual_outcomes(who: str, over: Duration) -> str:
    """Labelled predictions by predicted and actual class."""
    return _increase(catalog.OUTCOMES, (*MODEL, "predicted_class", "actual_class"), who, over)


def errors_total(who: str, over: Duration) -> tuple[str, str]:
    """Sums of |prediction - actual| and of its square."""
    return (
        _increase(catalog.ABSOLUTE_ERROR, MODEL, who, over),
        _increase(catalog.SQUARED_ERROR, MODEL, who, over),
    )


def error_samples(who: str, over: Duration) -> str:
    """The labelled predictions that those are of."""
    return _increase(catalog.ERROR_SAMPLES, MODEL, who, over)


def _increase(counter: Metric, labels: tuple[str, ...], who: str, over: Duration) -> str:
    return f"sum by ({', '.join(labels)}) (increase({with_matchers(counter, who)}[{over}]))"
