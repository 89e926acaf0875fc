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
    "Feature values that could not be counted or are new: reason is type or category.",
)

# Labels

LABELS: Final = _counter(
    "ml_labels_total",
    (*MODEL, "result"),
    Exporter.SIDECAR,
    "True labels received, by whether their prediction was found: matched, unmatched, duplicate.",
)
OUTCOMES: Final = _counter(
    "ml_outcomes_total",
    (*MODEL, "predicted_class", "actual_class"),
    Exporter.SIDECAR,
    "Labelled predictions of a classifier: a confusion matrix of counters.",
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
    "Events and requests refused: decode, field, model, size.",
)

# Drift and promises

FEATURE_DRIFT_SCORE: Final = _gauge(
    "ml_feature_drift_score",
    (*MODEL, "feature_name", "method", "window"),
    Exporter.DRIFT,
    "Distance of a feature's counts over the window from its reference profile (psi: nats).",
)
DRIFT_NOISE_FLOOR: Final = _gauge(
    "ml_drift_noise_floor",
    (*MODEL, "kind", "feature_name", "method", "window"),
    Exporter.DRIFT,
    "The score that sampling alone exceeds in 1 of 100 windows without drift.",
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
DRIFT_WINDOW_SAMPLES: Final = _gauge(
    "ml_drift_window_samples",
    (*MODEL, "kind", "feature_name", "window"),
    Exporter.DRIFT,
    "Values counted over the window.",
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
    "Evaluations of a model that failed: prometheus, bins.",
)
ALERT_THRESHOLD: Final = _gauge(
    "ml_alert_threshold",
    (*MODEL, "team", "alert", "severity", "hold"),
    Exporter.DRIFT,
    "What models.yaml promises: the threshold of one alert of one model; hold is the alert's for.",
)
MODEL_TARGET_INFO: Final = _gauge(
    "ml_model_target_info",
    (*MODEL, "team", "target"),
    Exporter.DRIFT,
    "Always 1; a target of models.yaml (host:port) that serves the model.",
)

# GPUs

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
GPU_MEMORY_USED: Final = _gauge(
    "ml_gpu_memory_used_bytes", GPU, Exporter.GPU, "GPU memory in use.", Unit.BYTES
)
GPU_MEMORY_TOTAL: Final = _gauge(
    "ml_gpu_memory_total_bytes", GPU, Exporter.GPU, "GPU memory of the device.", Unit.BYTES
)
GPU_TEMPERATURE: Final = _gauge(
    "ml_gpu_temperature_celsius", GPU, Exporter.GPU, "Temperature of the GPU.", Unit.CELSIUS
)
GPU_POWER: Final = _gauge("ml_gpu_power_watts", GPU, Exporter.GPU, "Power drawn.", Unit.WATTS)
GPU_ENERGY: Final = _counter(
    "ml_gpu_energy_joules_total",
    GPU,
    Exporter.GPU,
    "Energy used since the driver was loaded.",
    Unit.JOULES,
)
GPU_READ_ERRORS: Final = _counter(
    "ml_gpu_read_errors_total",
    ("metric", "error"),
    Exporter.GPU,
    "Values that could not be read, by metric and by NVML's error; rare errors count as other.",
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

METRICS: Final[tuple[Metric, ...]] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
"""All of them, in the order of this file; the order of docs/metrics.md."""
