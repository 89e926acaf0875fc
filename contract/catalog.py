"""Every metric this project exposes: name, type, labels, unit, help, and who exposes it.

The exporters write these objects, the generator's queries read them and docs/metrics.md prints
them, so that a misspelt name fails in the type checker and not on a dashboard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["METRICS", "Exporter", "Metric", "Type", "Unit"]


class Type(StrEnum):
    """The types of classic Prometheus exposition that are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """Base units of Prometheus's naming practice; NONE is a plain number or count."""

    NONE = ""
    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"
    JOULES = "joules"
    WATTS = "watts"
    CELSIUS = "celsius"
    HERTZ = "hertz"
    BYTES_PER_SECOND = "bytes_per_second"


class Exporter(StrEnum):
    """Who exposes a metric."""

    SIDECAR = "sidecar"
    DRIFT = "drift"
    GPU = "gpu"
    RESPONDER = "responder"
    EVERY = "every"


_NAME = re.compile(r"ml(_[a-z0-9]+)+")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family. `labels` are the names every one of its series carries, in order."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...]
    exporter: Exporter
    unit: Unit = Unit.NONE

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"metric {self.name!r}: names are ml_ and lower-case words")
        if (self.type is Type.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"metric {self.name}: counters, and only they, end in _total")
        stem = self.name.removesuffix("_total")
        if self.unit is not Unit.NONE and not stem.endswith(f"_{self.unit}"):
            raise ValueError(f"metric {self.name}: its name does not end in its unit {self.unit}")
        if not all(_LABEL.fullmatch(label) for label in self.labels) or "le" in self.labels:
            raise ValueError(f"metric {self.name}: bad label among {self.labels}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"metric {self.name}: a label stands twice in {self.labels}")

    def __hash__(self) -> int:
        # Names are unique, and Python keeps their hashes: exporters look metrics up a lot.
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    @property
    def bucket(self) -> str:
        """The bucket series of a histogram."""
        return self._part("_bucket")

    @property
    def count(self) -> str:
        """The count series of a histogram."""
        return self._part("_count")

    @property
    def sum(self) -> str:
        """The sum series of a histogram."""
        return self._part("_sum")

    def _part(self, suffix: str) -> str:
        if self.type is not Type.HISTOGRAM:
            raise ValueError(f"metric {self.name} is a {self.type} and has no {suffix} series")
        return self.name + suffix


MODEL: Final = ("model_name", "model_version")
GPU: Final = ("gpu_id", "gpu_uuid")
TORCH: Final = (*MODEL, "gpu_uuid", "device")


def _counter(
    name: str, labels: tuple[str, ...], exporter: Exporter, text: str, unit: Unit = Unit.NONE
) -> Metric:
    return Metric(name, Type.COUNTER, text, labels, exporter, unit)


def _gauge(
    name: str, labels: tuple[str, ...], exporter: Exporter, text: str, unit: Unit = Unit.NONE
) -> Metric:
    return Metric(name, Type.GAUGE, text, labels, exporter, unit)


def _histogram(
    name: str, labels: tuple[str, ...], exporter: Exporter, text: str, unit: Unit = Unit.NONE
) -> Metric:
    return Metric(name, Type.HISTOGRAM, text, labels, exporter, unit)


# Traffic

INFERENCE_REQUESTS: Final = _counter(
    "ml_inference_requests_total",
    (*MODEL, "status"),
    Exporter.SIDECAR,
    "Prediction events by status: success, error, rejected.",
)
INFERENCE_LATENCY: Final = _histogram(
    "ml_inference_latency_seconds",
    MODEL,
    Exporter.SIDECAR,
    "Time a prediction took; the model's SLO thresholds are always bucket edges.",
    Unit.SECONDS,
)
INFERENCE_STAGE_LATENCY: Final = _histogram(
    "ml_inference_stage_latency_seconds",
    (*MODEL, "stage"),
    Exporter.SIDECAR,
    "Time spent in one stage of a prediction: preprocess, inference, postprocess, or other.",
    Unit.SECONDS,
)
INFERENCE_BATCH_SIZE: Final = _histogram(
    "ml_inference_batch_size",
    MODEL,
    Exporter.SIDECAR,
    "Rows in one call of the model.",
)
INFERENCE_IN_PROGRESS: Final = _gauge(
    "ml_inference_requests_in_progress",
    MODEL,
    Exporter.SIDECAR,
    "Calls of the model that have begun and not ended, by the client's reports and the proxy.",
)
QUEUE_DEPTH: Final = _gauge(
    "ml_queue_depth",
    (*MODEL, "queue_name"),
    Exporter.SIDECAR,
    "What waits in a queue of the model server, as its processes report it.",
)
MODEL_INFO: Final = _gauge(
    "ml_model_info",
    (*MODEL, "framework", "task", "team"),
    Exporter.SIDECAR,
    "Always 1; what models.yaml says of the model.",
)
MODEL_TRAINED_TIMESTAMP: Final = _gauge(
    "ml_model_trained_timestamp_seconds",
    MODEL,
    Exporter.SIDECAR,
    "When the model was trained (Unix time), where models.yaml says so.",
    Unit.SECONDS,
)
MODEL_ARTIFACT_MATCHES: Final = _gauge(
    "ml_model_artifact_matches",
    (*MODEL, "source"),
    Exporter.SIDECAR,
    "1 where the artifact is the one that models.yaml declares, 0 where it is another or gone: the "
    "file that the sidecar reads (file), and what processes say they loaded (server).",
)
UNREGISTERED_VERSION_EVENTS: Final = _counter(
    "ml_unregistered_version_events_total",
    (*MODEL, "unregistered_version"),
    Exporter.SIDECAR,
    "Prediction events of the model that were refused because models.yaml does not have their "
    "version; model_version is the one that it has, the last of several.",
)

# The model server's processes, by the reports of the client

CLIENT_PROCESSES: Final = _gauge(
    "ml_client_processes",
    MODEL,
    Exporter.SIDECAR,
    "Processes that serve the model and report to the sidecar now.",
)
CLIENT_DROPPED: Final = _counter(
    "ml_client_dropped_total",
    (),
    Exporter.SIDECAR,
    "Events that clients dropped because their queue was full or a value was no JSON.",
)
MODEL_MEMORY: Final = _gauge(
    "ml_model_memory_bytes",
    MODEL,
    Exporter.SIDECAR,
    "Resident memory of the processes that serve the model; one that serves two counts for both.",
    Unit.BYTES,
)
TORCH_ALLOCATED: Final = _gauge(
    "ml_torch_memory_allocated_bytes",
    TORCH,
    Exporter.SIDECAR,
    "CUDA memory that tensors hold in the processes that serve the model.",
    Unit.BYTES,
)
TORCH_RESERVED: Final = _gauge(
    "ml_torch_memory_reserved_bytes",
    TORCH,
    Exporter.SIDECAR,
    "CUDA memory that torch's allocator holds, its cache with it.",
    Unit.BYTES,
)
TORCH_PEAK: Final = _gauge(
    "ml_torch_memory_peak_bytes",
    TORCH,
    Exporter.SIDECAR,
    "The most CUDA memory that tensors held at once, added up over processes.",
    Unit.BYTES,
)
TORCH_RETRIES: Final = _counter(
    "ml_torch_allocation_retries_total",
    TORCH,
    Exporter.SIDECAR,
    "CUDA allocations that succeeded only after torch freed its cache.",
)

# Predictions and features

PREDICTION_VALUE: Final = _histogram(
    "ml_prediction_value",
    MODEL,
    Exporter.SIDECAR,
    "Numeric predictions, on the bins of the reference profile.",
)
PREDICTION_CLASS: Final = _counter(
    "ml_prediction_class_total",
    (*MODEL, "predicted_class"),
    Exporter.SIDECAR,
    "Predictions by class; classes that the profile does not know count as other.",
)
PREDICTION_CONFIDENCE: Final = _histogram(
    "ml_prediction_confidence",
    MODEL,
    Exporter.SIDECAR,
    "The model's own probability of what it predicted, 0 to 1.",
)
PREDICTION_CLASS_CONFIDENCE: Final = _histogram(
    "ml_prediction_class_confidence",
    (*MODEL, "predicted_class"),
    Exporter.SIDECAR,
    "Confidence by predicted class, where the profile knows how right confidences are.",
)
FEATURE_VALUE: Final = _histogram(
    "ml_feature_value",
    (*MODEL, "feature_name"),
    Exporter.SIDECAR,
    "Values of a numeric feature, on the bins of the reference profile.",
)
FEATURE_CATEGORY: Final = _counter(
    "ml_feature_category_total",
    (*MODEL, "feature_name", "category"),
    Exporter.SIDECAR,
    "Values of a categorical feature; categories that the profile does not know count as other.",
)
FEATURE_MISSING: Final = _counter(
    "ml_feature_missing_total",
    (*MODEL, "feature_name"),
    Exporter.SIDECAR,
    "Events in which a feature of the profile was absent, null or NaN.",
)
FEATURE_INVALID: Final = _counter(
    "ml_feature_invalid_total",
    (*MODEL, "feature_name", "reason"),
    Exporter.SIDECAR,
    "Values that are no number (type), beyond the range of models.yaml or, without one, farther "
    "outside of the training data than those are wide (range), or new (category).",
)

# Labels

LABELS: Final = _counter(
    "ml_labels_total",
    (*MODEL, "result"),
    Exporter.SIDECAR,
    "True labels received, by what became of them: matched, unmatched (there is no prediction), "
    "duplicate, late (after label_ttl).",
)
OUTCOMES: Final = _counter(
    "ml_outcomes_total",
    (*MODEL, "predicted_class", "actual_class"),
    Exporter.SIDECAR,
    "Labelled predictions of a classifier: a confusion matrix of counters.",
)
LABEL_DELAY: Final = _histogram(
    "ml_label_delay_seconds",
    MODEL,
    Exporter.SIDECAR,
    "Time from a prediction to its label, where the two were joined.",
    Unit.SECONDS,
)
OUTCOME_SCORE: Final = _histogram(
    "ml_outcome_score",
    (*MODEL, "actual_class"),
    Exporter.SIDECAR,
    "Probability of a binary classifier's positive class (the profile's last), by what was true.",
)
SCORE_LOSS: Final = _counter(
    "ml_outcome_score_loss_total",
    (*MODEL, "loss"),
    Exporter.SIDECAR,
    "Sums over the scores of ml_outcome_score: -ln of the probability of what was true (log, at "
    "most 36 each) and its square (log_squared), the squared distance of score and truth (squared) "
    "and its square (quartic).",
)
ABSOLUTE_ERROR: Final = _counter(
    "ml_absolute_error_total",
    MODEL,
    Exporter.SIDECAR,
    "Sum of |prediction - actual| over labelled predictions of a regressor.",
)
SQUARED_ERROR: Final = _counter(
    "ml_squared_error_total",
    MODEL,
    Exporter.SIDECAR,
    "Sum of (prediction - actual)^2 over labelled predictions of a regressor.",
)
ERROR_SAMPLES: Final = _counter(
    "ml_error_samples_total",
    MODEL,
    Exporter.SIDECAR,
    "Labelled predictions of a regressor: what the error sums are divided by.",
)
ACTUAL: Final = _counter(
    "ml_actual_total",
    (*MODEL, "sign"),
    Exporter.SIDECAR,
    "Sum of |actual| over labels of a regressor, positive and negative apart, so that both grow.",
)
SIGNED_ERROR: Final = _counter(
    "ml_signed_error_total",
    (*MODEL, "sign"),
    Exporter.SIDECAR,
    "Sum of |prediction - actual| where the prediction was too high (positive) and too low "
    "(negative): their difference is the bias.",
)
QUARTIC_ERROR: Final = _counter(
    "ml_quartic_error_total",
    MODEL,
    Exporter.SIDECAR,
    "Sum of (prediction - actual)^4: how sure the squared error is.",
)
SQUARED_ACTUAL: Final = _counter(
    "ml_squared_actual_total",
    MODEL,
    Exporter.SIDECAR,
    "Sum of actual^2 over labels of a regressor.",
)

SEGMENT_OUTCOMES: Final = _counter(
    "ml_segment_outcomes_total",
    (*MODEL, "feature_name", "category", "predicted_class", "actual_class"),
    Exporter.SIDECAR,
    "Labelled predictions of a classifier by the category of a feature that models.yaml names "
    "under segments.",
)
SEGMENT_ERRORS: Final = _counter(
    "ml_segment_errors_total",
    (*MODEL, "feature_name", "category", "sum"),
    Exporter.SIDECAR,
    "Sums over labelled predictions of a regressor by segment, as over all: how many (samples), "
    "|error| (absolute), error^2 (squared), error^4 (quartic), |error| where it was too high "
    "(positive) and too low (negative).",
)

# What else a model tells

BUSINESS_EVENTS: Final = _counter(
    "ml_business_events_total",
    (*MODEL, "event"),
    Exporter.SIDECAR,
    "Business events by name, as models.yaml names them in ratios; others count as other.",
)

# The sidecar itself

SIDECAR_EVENTS: Final = _counter(
    "ml_sidecar_events_total",
    ("result",),
    Exporter.SIDECAR,
    "Events that arrived at the sidecar: accepted or rejected.",
)
SIDECAR_REJECTED: Final = _counter(
    "ml_sidecar_rejected_total",
    ("reason",),
    Exporter.SIDECAR,
    "Events and requests refused: decode, field, model, size, log (it could not be written).",
)
SIDECAR_DUPLICATES: Final = _counter(
    "ml_sidecar_duplicates_total",
    (),
    Exporter.SIDECAR,
    "Accepted events whose prediction_id was known already; they counted nowhere else.",
)
SIDECAR_SAMPLED_OUT: Final = _counter(
    "ml_sidecar_sampled_out_total",
    (),
    Exporter.SIDECAR,
    "Predictions that were counted but not kept for a label, and labels for such predictions.",
)
SIDECAR_LOG_BYTES: Final = _gauge(
    "ml_sidecar_log_bytes",
    (),
    Exporter.SIDECAR,
    "Size of the prediction log.",
    Unit.BYTES,
)
SIDECAR_LOG_OLDEST: Final = _gauge(
    "ml_sidecar_log_oldest_timestamp_seconds",
    (),
    Exporter.SIDECAR,
    "When the oldest prediction in the log arrived (Unix time); absent where it is empty.",
    Unit.SECONDS,
)
SIDECAR_LOG_PENDING: Final = _gauge(
    "ml_sidecar_log_pending",
    (),
    Exporter.SIDECAR,
    "Events and labels that wait to be written.",
)
SIDECAR_LOG_FAILURES: Final = _counter(
    "ml_sidecar_log_failures_total",
    (),
    Exporter.SIDECAR,
    "Groups of events that could not be written; their senders were told to try again.",
)

# The proxy

PROXY_REQUESTS: Final = _counter(
    "ml_proxy_requests_total",
    ("kind",),
    Exporter.SIDECAR,
    "Requests at the proxy: inference, other, or refused because they were not right HTTP.",
)
PROXY_UNREAD: Final = _counter(
    "ml_proxy_unread_total",
    ("reason",),
    Exporter.SIDECAR,
    "Inference bodies forwarded but not read: size, encoding, body (not its protocol), "
    "dropped (the sidecar was too slow), error (a fault of the sidecar).",
)
PROXY_UPSTREAM_FAILURES: Final = _counter(
    "ml_proxy_upstream_failures_total",
    ("reason",),
    Exporter.SIDECAR,
    "Requests that the upstream gave no whole answer to: connect, timeout, closed, malformed.",
)
PROXY_CONNECTIONS: Final = _gauge(
    "ml_proxy_connections",
    (),
    Exporter.SIDECAR,
    "Connections of clients that the proxies have open.",
)
PROXY_RESTARTS: Final = _counter(
    "ml_proxy_restarts_total",
    (),
    Exporter.SIDECAR,
    "Times that a forwarding process ended by itself and was started again.",
)
CLOUD_EVENTS: Final = _counter(
    "ml_cloudevents_total",
    ("result",),
    Exporter.SIDECAR,
    "Events of KServe's logger: joined (a request and its response), unmatched (the other half "
    "never came), rejected.",
)

# The upstream

MODEL_LOADED: Final = _gauge(
    "ml_model_loaded",
    MODEL,
    Exporter.SIDECAR,
    "1 where the last probe found the model ready at its upstream, else 0; absent without one.",
)
UPSTREAM_PROBES: Final = _counter(
    "ml_upstream_probes_total",
    MODEL,
    Exporter.SIDECAR,
    "Probes of the health of a model's upstream.",
)
UPSTREAM_PROBE_FAILURES: Final = _counter(
    "ml_upstream_probe_failures_total",
    MODEL,
    Exporter.SIDECAR,
    "Probes that found no model ready; over ml_upstream_probes_total: 1 - availability.",
)

# Drift and promises

FEATURE_DRIFT_SCORE: Final = _gauge(
    "ml_feature_drift_score",
    (*MODEL, "feature_name", "method", "window"),
    Exporter.DRIFT,
    "Distance of a feature's counts over the window from its reference profile, in the units of "
    "its method (psi, kl: nats; wasserstein: the reference's standard deviations; else 0 to 1).",
)
DRIFT_NOISE_FLOOR: Final = _gauge(
    "ml_drift_noise_floor",
    (*MODEL, "kind", "feature_name", "method", "window"),
    Exporter.DRIFT,
    "The score that sampling alone exceeds in 1 of 100 windows without drift.",
)
MODEL_STATE: Final = _gauge(
    "ml_model_state_info",
    (*MODEL, "state"),
    Exporter.DRIFT,
    "Always 1; whether models.yaml says that the version is registered, live or retired.",
)
MODEL_DEPLOYED_TIMESTAMP: Final = _gauge(
    "ml_model_deployed_timestamp_seconds",
    MODEL,
    Exporter.DRIFT,
    "When the version last became live (Unix time), where models.yaml says so.",
    Unit.SECONDS,
)
DRIFT_THRESHOLD: Final = _gauge(
    "ml_drift_threshold",
    (*MODEL, "kind", "severity"),
    Exporter.DRIFT,
    "The threshold of models.yaml that the score is held against.",
)
DRIFT_DETECTED: Final = _gauge(
    "ml_drift_detected",
    (*MODEL, "kind", "feature_name", "severity"),
    Exporter.DRIFT,
    "1 where the score is above max(threshold, noise floor) and the window has min_samples.",
)
DRIFTED_FEATURES: Final = _gauge(
    "ml_drifted_features_ratio",
    (*MODEL, "window"),
    Exporter.DRIFT,
    "Of the features with min_samples, those that drifted, the false discovery rate held at 1%.",
    Unit.RATIO,
)
DRIFT_WINDOW_SAMPLES: Final = _gauge(
    "ml_drift_window_samples",
    (*MODEL, "kind", "feature_name", "window"),
    Exporter.DRIFT,
    "Values counted over the window.",
)
DRIFT_REFERENCE: Final = _gauge(
    "ml_drift_reference_ratio",
    (*MODEL, "kind", "feature_name", "bin", "values", "above", "upto"),
    Exporter.DRIFT,
    "Share of the reference's values that lie in a bin (above, upto] or are of a category; absent "
    "for models of more than 200 columns, and beyond 50,000 series of all models.",
    Unit.RATIO,
)
MULTIVARIATE_SCORE: Final = _gauge(
    "ml_multivariate_drift_score",
    (*MODEL, "method"),
    Exporter.DRIFT,
    "From rows, all features together: how well a classifier tells them from the reference's (auc, "
    "0.5 not at all), and by how much worse they are reconstructed (pca, 1 as well as those).",
)
MULTIVARIATE_P_VALUE: Final = _gauge(
    "ml_multivariate_drift_p_value",
    (*MODEL, "method"),
    Exporter.DRIFT,
    "How often rows that do not differ give such a score, by permutations: 0.002 at the least.",
)
MULTIVARIATE_DETECTED: Final = _gauge(
    "ml_multivariate_drift_detected",
    (*MODEL, "severity"),
    Exporter.DRIFT,
    "1 where the auc is above drift.multivariate's threshold with a p-value of at most 1%, else 0.",
)
MULTIVARIATE_ROWS: Final = _gauge(
    "ml_multivariate_drift_rows",
    MODEL,
    Exporter.DRIFT,
    "Rows of the window that were held against the reference's.",
)
DRIFT_EVALUATION_TIMESTAMP: Final = _gauge(
    "ml_drift_evaluation_timestamp_seconds",
    MODEL,
    Exporter.DRIFT,
    "When the model's drift was last evaluated (Unix time); too few samples count as evaluated.",
    Unit.SECONDS,
)
DRIFT_ERRORS: Final = _counter(
    "ml_drift_errors_total",
    (*MODEL, "reason"),
    Exporter.DRIFT,
    "Evaluations of a model that failed: prometheus, bins, reference, rows.",
)
_VERSIONS: Final = (*MODEL, "baseline_version")
VERSION_BASELINE: Final = _gauge(
    "ml_version_baseline_info",
    _VERSIONS,
    Exporter.DRIFT,
    "Always 1; the older version that this one is compared with, while both have traffic.",
)
VERSION_COMPARISON: Final = _gauge(
    "ml_version_comparison",
    (*_VERSIONS, "objective", "side"),
    Exporter.DRIFT,
    "An aspect (objective) of two versions at the same times, of the newer and of the older one: "
    "the share of errors and of slow requests, confidence, accuracy, mae, business ratios; of "
    "predictions the share that falls into other classes.",
)
VERSION_COMPARISON_SAMPLES: Final = _gauge(
    "ml_version_comparison_samples",
    (*_VERSIONS, "objective", "side"),
    Exporter.DRIFT,
    "What the aspect was counted of, on each side: requests, labels or events.",
)
VERSION_COMPARISON_P_VALUE: Final = _gauge(
    "ml_version_comparison_p_value",
    (*_VERSIONS, "objective"),
    Exporter.DRIFT,
    "How often equal versions would differ as much by chance, to the newer one's disadvantage.",
)
VERSION_WORSE: Final = _gauge(
    "ml_version_worse",
    (*_VERSIONS, "objective"),
    Exporter.DRIFT,
    "1 where the newer version is worse by more than comparison of models.yaml allows and by more "
    "than chance, all aspects considered; else 0.",
)
PREDICTION_DRIFT_SCORE: Final = _gauge(
    "ml_prediction_drift_score",
    (*MODEL, "method", "window"),
    Exporter.DRIFT,
    "Distance of the model's predictions over the window from those of its reference profile, in "
    "the units of its method, as for features.",
)
DATA_QUALITY: Final = _gauge(
    "ml_data_quality_ratio",
    (*MODEL, "feature_name", "check"),
    Exporter.DRIFT,
    "Share of a feature's values over the drift window that are absent, null or NaN (missing), "
    "beyond the range of models.yaml (range), no number (type), or new (category).",
    Unit.RATIO,
)
DATA_QUALITY_FAILED: Final = _gauge(
    "ml_data_quality_failed",
    (*MODEL, "feature_name", "check"),
    Exporter.DRIFT,
    "1 where a check's share is above data_quality of models.yaml by more than chance; and where "
    "a feature had no value for as long as freshness there, while there was traffic (freshness).",
)
# Performance

MODEL_PERFORMANCE: Final = _gauge(
    "ml_model_performance",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "A metric of the model's predictions whose labels came within the window; absent where those "
    "are fewer than performance.min_samples, or do not define it.",
)
MODEL_PERFORMANCE_LIMIT: Final = _gauge(
    "ml_model_performance_limit",
    (*MODEL, "metric", "window", "bound"),
    Exporter.DRIFT,
    "Ends of the 95% confidence interval of ml_model_performance: lower, upper.",
)
MODEL_PERFORMANCE_BASELINE: Final = _gauge(
    "ml_model_performance_baseline",
    (*MODEL, "metric"),
    Exporter.DRIFT,
    "What models.yaml says that the metric was when the model went into service.",
)
MODEL_PERFORMANCE_DROP: Final = _gauge(
    "ml_model_performance_drop",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "How much worse the metric is than its baseline, in its own units; negative is better.",
)
MODEL_PERFORMANCE_DECAYED: Final = _gauge(
    "ml_model_performance_decayed",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "1 where the metric is worse than models.yaml promises and by more than chance, else 0.",
)
MODEL_PERFORMANCE_SAMPLES: Final = _gauge(
    "ml_model_performance_samples",
    (*MODEL, "window"),
    Exporter.DRIFT,
    "Predictions whose labels came within the window.",
)
MODEL_PERFORMANCE_ESTIMATED: Final = _gauge(
    "ml_model_performance_estimated",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "The metric as estimated without labels, from confidences and how right they were in the "
    "profile's data.",
)
MODEL_PERFORMANCE_ESTIMATED_LIMIT: Final = _gauge(
    "ml_model_performance_estimated_limit",
    (*MODEL, "metric", "window", "bound"),
    Exporter.DRIFT,
    "Ends of the 95% interval of ml_model_performance_estimated, lower and upper; it holds as "
    "long as confidences are as right as they were.",
)
MODEL_PERFORMANCE_ESTIMATED_DECAYED: Final = _gauge(
    "ml_model_performance_estimated_decayed",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "1 where the estimate is worse than models.yaml promises and by more than chance, else 0.",
)
MODEL_PERFORMANCE_ESTIMATION_ERROR: Final = _gauge(
    "ml_model_performance_estimation_error",
    (*MODEL, "metric", "window"),
    Exporter.DRIFT,
    "The estimate less what labels gave over the same window, where there are enough of them.",
)
SEGMENT_PERFORMANCE: Final = _gauge(
    "ml_segment_performance",
    (*MODEL, "feature_name", "category", "metric", "window"),
    Exporter.DRIFT,
    "ml_model_performance of the predictions for which a feature had that category; absent below "
    "performance.min_samples labels.",
)
SEGMENT_PERFORMANCE_LIMIT: Final = _gauge(
    "ml_segment_performance_limit",
    (*MODEL, "feature_name", "category", "metric", "window", "bound"),
    Exporter.DRIFT,
    "Ends of the 95% confidence interval of ml_segment_performance: lower, upper.",
)
SEGMENT_PERFORMANCE_DECAYED: Final = _gauge(
    "ml_segment_performance_decayed",
    (*MODEL, "feature_name", "category", "metric", "window"),
    Exporter.DRIFT,
    "1 where the metric of a segment is worse than models.yaml promises of the whole model, and by "
    "more than chance, else 0.",
)
SEGMENT_SAMPLES: Final = _gauge(
    "ml_segment_samples",
    (*MODEL, "feature_name", "category", "window"),
    Exporter.DRIFT,
    "Predictions of a segment whose labels came within the window.",
)
LABEL_COVERAGE: Final = _gauge(
    "ml_label_coverage_ratio",
    (*MODEL, "window"),
    Exporter.DRIFT,
    "Labels that were joined over the window, of its successful predictions; at most 1.",
    Unit.RATIO,
)
LABEL_DELAY_MEDIAN: Final = _gauge(
    "ml_label_delay_median_seconds",
    (*MODEL, "window"),
    Exporter.DRIFT,
    "Median time from a prediction to its label, of the labels that came within the window.",
    Unit.SECONDS,
)

# Promises

SLO_OBJECTIVE: Final = _gauge(
    "ml_slo_objective_ratio",
    (*MODEL, "objective", "kind", "limit", "period", "source"),
    Exporter.DRIFT,
    "The share of events that must be good over the period. Of latency, limit is the bucket's le; "
    "of freshness, how old the last prediction may be. Source: the sidecar's counters, or rates.",
    Unit.RATIO,
)
ALERT_THRESHOLD: Final = _gauge(
    "ml_alert_threshold",
    (*MODEL, "team", "alert", "severity", "hold", "objective"),
    Exporter.DRIFT,
    "What models.yaml promises: the threshold of one alert of one model; hold is the alert's for, "
    "objective which promise, where the alert watches several.",
)
ALERT_ESCALATION: Final = _gauge(
    "ml_alert_escalation_seconds",
    (*MODEL, "alert", "severity"),
    Exporter.DRIFT,
    "How long an alert of that severity may be true before it becomes the next severity.",
    Unit.SECONDS,
)
MODEL_TARGET_INFO: Final = _gauge(
    "ml_model_target_info",
    (*MODEL, "team", "target"),
    Exporter.DRIFT,
    "Always 1; a target of models.yaml (host:port) that serves the model.",
)

# The GPUs of a machine

GPU_NVML_UP: Final = _gauge(
    "ml_gpu_nvml_up",
    (),
    Exporter.GPU,
    "1 where the NVIDIA driver's library answers, 0 where it is missing or fails.",
)
GPU_DEVICES: Final = _gauge(
    "ml_gpu_devices",
    (),
    Exporter.GPU,
    "GPUs that NVML shows; absent where NVML does not answer.",
)
GPU_EXPECTED_DEVICES: Final = _gauge(
    "ml_gpu_expected_devices",
    (),
    Exporter.GPU,
    "GPUs that this machine should have (gpu.expected of models.yaml); absent where nobody said.",
)
GPU_DRIVER_INFO: Final = _gauge(
    "ml_gpu_driver_info",
    ("driver_version", "nvml_version", "cuda_version"),
    Exporter.GPU,
    "Always 1; the versions of the driver, of its NVML, and of the newest CUDA it can run.",
)
GPU_SIMULATED: Final = _gauge(
    "ml_gpu_simulated",
    (),
    Exporter.GPU,
    "1 where the driver is the demo's simulation and no GPU stands behind the numbers, else 0.",
)
GPU_READING_AGE: Final = _gauge(
    "ml_gpu_reading_age_seconds",
    ("tier",),
    Exporter.GPU,
    "Time since a tier (fast, slow) of readings was last finished; grows while the driver hangs.",
    Unit.SECONDS,
)
GPU_METRIC_SUPPORTED: Final = _gauge(
    "ml_gpu_metric_supported",
    (*GPU, "metric"),
    Exporter.GPU,
    "1 where the GPU and its driver give the metric, 0 where they do not and it is absent.",
)
GPU_READ_ERRORS: Final = _counter(
    "ml_gpu_read_errors_total",
    ("metric", "error"),
    Exporter.GPU,
    "Values that could not be read, by metric and NVML's error; rare errors are other.",
)
GPU_NVML_CALLS: Final = _counter(
    "ml_gpu_nvml_calls_total",
    ("call",),
    Exporter.GPU,
    "Calls of NVML by function.",
)
GPU_NVML_CALL_SECONDS: Final = _counter(
    "ml_gpu_nvml_call_seconds_total",
    ("call",),
    Exporter.GPU,
    "Time spent in calls of NVML by function.",
    Unit.SECONDS,
)

# Each GPU

GPU_INFO: Final = _gauge(
    "ml_gpu_info",
    (*GPU, "gpu_name", "driver_version"),
    Exporter.GPU,
    "Always 1; what the GPU is.",
)
GPU_UP: Final = _gauge(
    "ml_gpu_up",
    GPU,
    Exporter.GPU,
    "1 where the GPU answered its last reading, 0 where it was seen before and is lost.",
)
GPU_UTILIZATION: Final = _gauge(
    "ml_gpu_utilization_ratio",
    GPU,
    Exporter.GPU,
    "Share of the driver's sample period in which a kernel ran.",
    Unit.RATIO,
)
GPU_MEMORY_UTILIZATION: Final = _gauge(
    "ml_gpu_memory_utilization_ratio",
    GPU,
    Exporter.GPU,
    "Share of the driver's sample period in which GPU memory was read or written.",
    Unit.RATIO,
)
GPU_ENCODER_UTILIZATION: Final = _gauge(
    "ml_gpu_encoder_utilization_ratio", GPU, Exporter.GPU, "Use of the video encoder.", Unit.RATIO
)
GPU_DECODER_UTILIZATION: Final = _gauge(
    "ml_gpu_decoder_utilization_ratio", GPU, Exporter.GPU, "Use of the video decoder.", Unit.RATIO
)
GPU_MEMORY_USED: Final = _gauge(
    "ml_gpu_memory_used_bytes", GPU, Exporter.GPU, "GPU memory in use.", Unit.BYTES
)
GPU_MEMORY_FREE: Final = _gauge(
    "ml_gpu_memory_free_bytes", GPU, Exporter.GPU, "GPU memory that is free.", Unit.BYTES
)
GPU_MEMORY_TOTAL: Final = _gauge(
    "ml_gpu_memory_total_bytes", GPU, Exporter.GPU, "GPU memory of the device.", Unit.BYTES
)
GPU_MEMORY_RESERVED: Final = _gauge(
    "ml_gpu_memory_reserved_bytes",
    GPU,
    Exporter.GPU,
    "GPU memory that driver and firmware keep; part of the total, in neither used nor free.",
    Unit.BYTES,
)
GPU_BAR1_USED: Final = _gauge(
    "ml_gpu_bar1_memory_used_bytes",
    GPU,
    Exporter.GPU,
    "Used part of the window (BAR1) through which CPU and peers reach GPU memory.",
    Unit.BYTES,
)
GPU_BAR1_TOTAL: Final = _gauge(
    "ml_gpu_bar1_memory_total_bytes", GPU, Exporter.GPU, "Size of the BAR1 window.", Unit.BYTES
)
GPU_TEMPERATURE: Final = _gauge(
    "ml_gpu_temperature_celsius", GPU, Exporter.GPU, "Temperature of the GPU.", Unit.CELSIUS
)
GPU_MEMORY_TEMPERATURE: Final = _gauge(
    "ml_gpu_memory_temperature_celsius",
    GPU,
    Exporter.GPU,
    "Temperature of the GPU's memory.",
    Unit.CELSIUS,
)
GPU_TEMPERATURE_MARGIN: Final = _gauge(
    "ml_gpu_temperature_margin_celsius",
    GPU,
    Exporter.GPU,
    "Degrees left until the GPU slows itself down: the driver's own figure, else slowdown "
    "threshold - temperature.",
    Unit.CELSIUS,
)
GPU_SLOWDOWN_TEMPERATURE: Final = _gauge(
    "ml_gpu_slowdown_temperature_celsius",
    GPU,
    Exporter.GPU,
    "Temperature at which the GPU slows itself down.",
    Unit.CELSIUS,
)
GPU_SHUTDOWN_TEMPERATURE: Final = _gauge(
    "ml_gpu_shutdown_temperature_celsius",
    GPU,
    Exporter.GPU,
    "Temperature at which the GPU switches itself off.",
    Unit.CELSIUS,
)
GPU_POWER: Final = _gauge("ml_gpu_power_watts", GPU, Exporter.GPU, "Power drawn.", Unit.WATTS)
GPU_POWER_LIMIT: Final = _gauge(
    "ml_gpu_power_limit_watts",
    GPU,
    Exporter.GPU,
    "Power that the GPU may draw: the lowest of all limits in force.",
    Unit.WATTS,
)
GPU_ENERGY: Final = _counter(
    "ml_gpu_energy_joules_total",
    GPU,
    Exporter.GPU,
    "Energy used since the driver was loaded.",
    Unit.JOULES,
)
GPU_SM_CLOCK: Final = _gauge(
    "ml_gpu_sm_clock_hertz", GPU, Exporter.GPU, "Clock of the multiprocessors.", Unit.HERTZ
)
GPU_SM_CLOCK_LIMIT: Final = _gauge(
    "ml_gpu_sm_clock_limit_hertz",
    GPU,
    Exporter.GPU,
    "Highest clock of the multiprocessors.",
    Unit.HERTZ,
)
GPU_MEMORY_CLOCK: Final = _gauge(
    "ml_gpu_memory_clock_hertz", GPU, Exporter.GPU, "Clock of the GPU's memory.", Unit.HERTZ
)
GPU_MEMORY_CLOCK_LIMIT: Final = _gauge(
    "ml_gpu_memory_clock_limit_hertz",
    GPU,
    Exporter.GPU,
    "Highest clock of the GPU's memory.",
    Unit.HERTZ,
)
GPU_PERFORMANCE_STATE: Final = _gauge(
    "ml_gpu_performance_state",
    GPU,
    Exporter.GPU,
    "Performance state: 0 is the fastest (P0), 15 the slowest (P15).",
)
GPU_PERSISTENCE_MODE: Final = _gauge(
    "ml_gpu_persistence_mode",
    GPU,
    Exporter.GPU,
    "1 where the driver stays loaded while nothing uses the GPU.",
)
GPU_COMPUTE_MODE: Final = _gauge(
    "ml_gpu_compute_mode",
    (*GPU, "mode"),
    Exporter.GPU,
    "1 for the mode that holds, 0 for the others: default, exclusive_thread, prohibited, "
    "exclusive_process.",
)
GPU_PCIE_TRANSMIT: Final = _gauge(
    "ml_gpu_pcie_transmit_bytes_per_second",
    GPU,
    Exporter.GPU,
    "Bytes a second that the GPU sends over PCIe, as the driver measured over 20 ms.",
    Unit.BYTES_PER_SECOND,
)
GPU_PCIE_RECEIVE: Final = _gauge(
    "ml_gpu_pcie_receive_bytes_per_second",
    GPU,
    Exporter.GPU,
    "Bytes a second that the GPU receives over PCIe, as the driver measured over 20 ms.",
    Unit.BYTES_PER_SECOND,
)
GPU_PCIE_REPLAYS: Final = _counter(
    "ml_gpu_pcie_replays_total", GPU, Exporter.GPU, "Packets that PCIe had to send again."
)
GPU_NVLINK_TRANSMIT: Final = _counter(
    "ml_gpu_nvlink_transmit_bytes_total",
    GPU,
    Exporter.GPU,
    "Bytes of data sent over all NVLinks of the GPU.",
    Unit.BYTES,
)
GPU_NVLINK_RECEIVE: Final = _counter(
    "ml_gpu_nvlink_receive_bytes_total",
    GPU,
    Exporter.GPU,
    "Bytes of data received over all NVLinks of the GPU.",
    Unit.BYTES,
)
GPU_NVLINK_ERRORS: Final = _counter(
    "ml_gpu_nvlink_errors_total",
    (*GPU, "error"),
    Exporter.GPU,
    "Errors on all NVLinks of the GPU: crc_flit, crc_data, replay, recovery.",
)
GPU_NVLINK_ACTIVE: Final = _gauge(
    "ml_gpu_nvlink_active_links", GPU, Exporter.GPU, "NVLinks that are up."
)

# The health of each GPU

GPU_CLOCK_EVENT_SECONDS: Final = _counter(
    "ml_gpu_clock_event_seconds_total",
    (*GPU, "reason"),
    Exporter.GPU,
    "Time for which a reason held the clocks down: gpu_idle, applications_clocks_setting, "
    "sw_power_cap, hw_slowdown, sync_boost, sw_thermal_slowdown, hw_thermal_slowdown, "
    "hw_power_brake_slowdown, display_clock_setting.",
    Unit.SECONDS,
)
GPU_CLOCK_EVENT_EXACT: Final = _gauge(
    "ml_gpu_clock_event_exact",
    (*GPU, "reason"),
    Exporter.GPU,
    "1 where the driver itself counts the time of the reason, 0 where it is summed up from "
    "readings, which miss what is shorter than their interval.",
)
GPU_XID_ERRORS: Final = _counter(
    "ml_gpu_xid_errors_total",
    (*GPU, "xid"),
    Exporter.GPU,
    "XID errors by code since this exporter started; codes that call for a reset or reboot exist "
    "at 0, codes that nobody knows are other.",
)
GPU_XID_LAST: Final = _gauge(
    "ml_gpu_xid_last_timestamp_seconds",
    (*GPU, "xid"),
    Exporter.GPU,
    "When the last XID error of that code came (Unix time).",
    Unit.SECONDS,
)
GPU_ECC_ENABLED: Final = _gauge(
    "ml_gpu_ecc_enabled", GPU, Exporter.GPU, "1 where the memory's error correction is on."
)
GPU_ECC_ERRORS: Final = _counter(
    "ml_gpu_ecc_errors_total",
    (*GPU, "error"),
    Exporter.GPU,
    "Memory errors (corrected, uncorrected) since the driver was loaded.",
)
GPU_ECC_LIFETIME_ERRORS: Final = _counter(
    "ml_gpu_ecc_lifetime_errors_total",
    (*GPU, "error"),
    Exporter.GPU,
    "Memory errors (corrected, uncorrected) over the life of the GPU.",
)
GPU_RETIRED_PAGES: Final = _gauge(
    "ml_gpu_retired_pages",
    (*GPU, "cause"),
    Exporter.GPU,
    "Memory pages taken out of use, by cause: single_bit (several of them), double_bit.",
)
GPU_RETIRED_PAGES_PENDING: Final = _gauge(
    "ml_gpu_retired_pages_pending",
    GPU,
    Exporter.GPU,
    "1 where pages will be taken out of use at the next restart.",
)
GPU_REMAPPED_ROWS: Final = _gauge(
    "ml_gpu_remapped_rows",
    (*GPU, "cause"),
    Exporter.GPU,
    "Memory rows replaced by spare ones, by cause: corrected, uncorrected.",
)
GPU_ROW_REMAP_PENDING: Final = _gauge(
    "ml_gpu_row_remap_pending",
    GPU,
    Exporter.GPU,
    "1 where rows will be replaced at the next reset of the GPU.",
)
GPU_ROW_REMAP_FAILED: Final = _gauge(
    "ml_gpu_row_remap_failed",
    GPU,
    Exporter.GPU,
    "1 where a row could not be replaced: the GPU has to be.",
)

# What each GPU works on: profiling figures (GPM) of Hopper and later

GPU_SM_ACTIVE: Final = _gauge(
    "ml_gpu_sm_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of multiprocessor time with at least one warp, between two samples.",
    Unit.RATIO,
)
GPU_SM_OCCUPANCY: Final = _gauge(
    "ml_gpu_sm_occupancy_ratio",
    GPU,
    Exporter.GPU,
    "Warps on the multiprocessors, of the most that they could hold, between two samples.",
    Unit.RATIO,
)
GPU_TENSOR_ACTIVE: Final = _gauge(
    "ml_gpu_tensor_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of time in which the tensor cores worked, between two samples.",
    Unit.RATIO,
)
GPU_DRAM_ACTIVE: Final = _gauge(
    "ml_gpu_dram_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of the memory bandwidth in use, between two samples.",
    Unit.RATIO,
)
GPU_FP64_ACTIVE: Final = _gauge(
    "ml_gpu_fp64_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of time in which the FP64 units worked, between two samples.",
    Unit.RATIO,
)
GPU_FP32_ACTIVE: Final = _gauge(
    "ml_gpu_fp32_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of time in which the FP32 units worked, between two samples.",
    Unit.RATIO,
)
GPU_FP16_ACTIVE: Final = _gauge(
    "ml_gpu_fp16_active_ratio",
    GPU,
    Exporter.GPU,
    "Share of time in which the FP16 units worked, between two samples.",
    Unit.RATIO,
)

# The MIG instances of each GPU

GPU_MIG_ENABLED: Final = _gauge(
    "ml_gpu_mig_enabled", GPU, Exporter.GPU, "1 where the GPU is split into MIG instances."
)
GPU_INSTANCE_INFO: Final = _gauge(
    "ml_gpu_instance_info",
    (*GPU, "gpu_instance", "compute_instance", "instance_uuid", "instance_name"),
    Exporter.GPU,
    "Always 1; a MIG device of the GPU. The id of its GPU instance stands on all its figures.",
)
GPU_INSTANCE_MEMORY_USED: Final = _gauge(
    "ml_gpu_instance_memory_used_bytes",
    (*GPU, "gpu_instance"),
    Exporter.GPU,
    "Memory of a MIG instance in use.",
    Unit.BYTES,
)
GPU_INSTANCE_MEMORY_FREE: Final = _gauge(
    "ml_gpu_instance_memory_free_bytes",
    (*GPU, "gpu_instance"),
    Exporter.GPU,
    "Memory of a MIG instance that is free.",
    Unit.BYTES,
)
GPU_INSTANCE_MEMORY_TOTAL: Final = _gauge(
    "ml_gpu_instance_memory_total_bytes",
    (*GPU, "gpu_instance"),
    Exporter.GPU,
    "Memory of a MIG instance.",
    Unit.BYTES,
)

# Which models use each GPU

GPU_MODEL_MEMORY: Final = _gauge(
    "ml_gpu_model_memory_bytes",
    (*GPU, *MODEL),
    Exporter.GPU,
    "GPU memory held by the processes of a model; those of no known model are model other.",
    Unit.BYTES,
)
GPU_MODEL_SM_UTILIZATION: Final = _gauge(
    "ml_gpu_model_sm_utilization_ratio",
    (*GPU, *MODEL),
    Exporter.GPU,
    "Use of the multiprocessors by the processes of a model, since the last reading.",
    Unit.RATIO,
)
GPU_MODEL_PROCESSES: Final = _gauge(
    "ml_gpu_model_processes",
    (*GPU, *MODEL),
    Exporter.GPU,
    "Processes of a model on the GPU.",
)
GPU_PROCESS_SOURCE_ERRORS: Final = _counter(
    "ml_gpu_process_source_errors_total",
    (*MODEL, "source"),
    Exporter.GPU,
    "Times that a model's processes could not be looked up; source is what models.yaml names: "
    "pid_file, command, container, pod, sidecar.",
)

# Notifications

NOTIFICATIONS: Final = _counter(
    "ml_notifications_total",
    ("status", "severity"),
    Exporter.RESPONDER,
    "Alerts that Alertmanager delivered to the responder, by status: firing, resolved.",
)
NOTIFICATIONS_FAILED: Final = _counter(
    "ml_notifications_failed_total",
    ("reason",),
    Exporter.RESPONDER,
    "Webhook calls that could not be taken (decode) or written down (write).",
)

CHANNEL_NOTIFICATIONS: Final = _counter(
    "ml_channel_notifications_total",
    ("channel", "result"),
    Exporter.RESPONDER,
    "Notifications handed to a channel of one's own, by result: delivered, failed, timeout, "
    "dropped.",
)
CHANNEL_PENDING: Final = _gauge(
    "ml_channel_pending",
    ("channel",),
    Exporter.RESPONDER,
    "Notifications that wait for a channel of one's own.",
)

# Remediation

REMEDIATION_ACTIONS: Final = _counter(
    "ml_remediation_actions_total",
    (*MODEL, "action", "outcome"),
    Exporter.RESPONDER,
    "What became of actions about alerts: succeeded, failed, unknown, dry_run; or why one was left "
    "out: cooldown, limit, breaker.",
)
REMEDIATION_VERIFIED: Final = _counter(
    "ml_remediation_verified_total",
    (*MODEL, "action", "result"),
    Exporter.RESPONDER,
    "Actions that were done, by whether the alert resolved within verify_within: resolved, "
    "unresolved.",
)
REMEDIATION_PENDING: Final = _gauge(
    "ml_remediation_pending",
    (),
    Exporter.RESPONDER,
    "Actions that wait for their time while their alerts fire.",
)
REMEDIATION_BREAKER: Final = _gauge(
    "ml_remediation_breaker_open",
    (*MODEL, "team", "action"),
    Exporter.RESPONDER,
    "1 where an action failed so often in a row that it is not tried for now.",
)
REMEDIATION_DRY_RUN: Final = _gauge(
    "ml_remediation_dry_run",
    (),
    Exporter.RESPONDER,
    "1 where actions are only written down (remediation.dry_run).",
)

# Every exporter

EXPORTER_BUILD_INFO: Final = _gauge(
    "ml_exporter_build_info",
    ("exporter", "version", "python_version"),
    Exporter.EVERY,
    "Always 1; which exporter this is.",
)
EXPORTER_COLLECTION_SUCCESS: Final = _gauge(
    "ml_exporter_collection_success",
    ("exporter",),
    Exporter.EVERY,
    "1 where the last collection succeeded, 0 where it failed; absent before the first.",
)
EXPORTER_COLLECTION_DURATION: Final = _gauge(
    "ml_exporter_collection_duration_seconds",
    ("exporter",),
    Exporter.EVERY,
    "Time the last collection took.",
    Unit.SECONDS,
)
EXPORTER_COLLECTION_TIMESTAMP: Final = _gauge(
    "ml_exporter_collection_timestamp_seconds",
    ("exporter",),
    Exporter.EVERY,
    "When the last collection ended (Unix time).",
    Unit.SECONDS,
)
EXPORTER_ERRORS: Final = _counter(
    "ml_exporter_errors_total",
    ("exporter", "reason"),
    Exporter.EVERY,
    "Errors of the exporter by reason.",
)
EXPORTER_SPEC_OK: Final = _gauge(
    "ml_exporter_spec_ok",
    ("exporter",),
    Exporter.EVERY,
    "1 where models.yaml as it is now is in force, 0 where it is refused and the one before holds.",
)
EXPORTER_RESTART_NEEDED: Final = _gauge(
    "ml_exporter_restart_needed",
    ("exporter",),
    Exporter.SIDECAR,
    "1 where models.yaml says something new that only a restart takes over; the log says what.",
)
EXPORTER_MEMORY: Final = _gauge(
    "ml_exporter_memory_bytes",
    ("exporter",),
    Exporter.EVERY,
    "Resident memory of the exporter's process.",
    Unit.BYTES,
)
EXPORTER_CPU: Final = _counter(
    "ml_exporter_cpu_seconds_total",
    ("exporter",),
    Exporter.EVERY,
    "CPU time that the exporter's process has used.",
    Unit.SECONDS,
)

METRICS: Final[tuple[Metric, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
"""All of them, in the order of this file; the order of docs/metrics.md."""
