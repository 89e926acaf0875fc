"""How many series a model has, metric by metric, from what models.yaml and its profile say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from contract import catalog
from contract.catalog import METRICS, Metric, Type
from contract.slo import objectives
from contract.spec import Model, Spec
from contract.spec.performance import ESTIMATED_METRICS, METRICS_OF_TASK
from generator.queries.recorded import Recorded

__all__ = ["LABELS", "Shape", "countable", "recorded_series", "series_of"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides how many series a model has. `edges` are those of all numeric features."""

    model: Model
    numeric: int
    edges: int
    categorical: int
    categories: int
    classes: int
    output_edges: int
    latency_edges: int
    profiled: bool
    calibrated: bool
    promised: int
    replicas: int

    @classmethod
    def of(cls, model: Model, spec: Spec, promised: int) -> Shape:
        """The shape of a model with so many thresholds of alerts."""
        profile = _read_profile(spec.path(model.profile)) if model.profile else {}
        features = profile.get("features", {}).values()
        numeric = [each for each in features if each["kind"] == "numeric"]
        categorical = [each for each in features if each["kind"] != "numeric"]
        output = profile.get("prediction") or {}
        own_edges = {pair.threshold.seconds for pair in model.slo.latency} - _LATENCY_EDGES
        return cls(
            model=model,
            numeric=len(numeric),
            edges=sum(len(each["edges"]) for each in numeric),
            categorical=len(categorical),
            categories=sum(len(each["categories"]) + 1 for each in categorical),
            classes=len(output.get("categories", ())),
            output_edges=len(output.get("edges", ())),
            latency_edges=len(_LATENCY_EDGES) + len(own_edges),
            profiled=bool(profile),
            calibrated=bool(profile.get("calibration")),
            promised=promised,
            replicas=len(model.serving.sidecars),
        )

    @property
    def features(self) -> int:
        """Features of both kinds."""
        return self.numeric + self.categorical

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""
        return self.model.task != "regression"

    @property
    def binary(self) -> bool:
        """Whether labels give scores by class."""
        return self.classes == 2 and self.classifies

    @property
    def metrics(self) -> int:
        """Metrics of performance of its task."""
        return len(METRICS_OF_TASK[self.model.task])


@cache
def _read_profile(path: Path) -> dict[str, Any]:
    """A profile as it lies there: checked already, and only its lengths count here."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    return data


_LATENCY_EDGES: Final = frozenset(
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
)


# One metric


def recorded_series(rule: Recorded, shape: Shape) -> float:
    """Series that a rule records for a model; none where what it is named after has none."""
    stem = str(rule).split(":")[1]
    sources = [m for m in METRICS if stem.startswith(m.name.removesuffix("_total"))]
    exact = [
        source
        for source in sources
        if source.labels == rule.labels and source.type is not Type.HISTOGRAM
    ]
    if exact:
        return series_of(exact[0], shape)
    there = any(series_of(source, shape) for source in sources) or not sources
    return _by_labels(rule.labels, shape) if there else 0


def series_of(metric: Metric, shape: Shape) -> float:
    """Series of a metric for a model."""
    if not _NEEDS.get(metric, _always)(shape):
        return 0
    if metric in _OF:
        return _OF[metric](shape)
    edges = _EDGES.get(metric, _of_probability)(shape)
    buckets = edges + 3 if metric.type is Type.HISTOGRAM else 1
    return buckets * _by_labels(metric.labels, shape)


def _by_labels(labels: tuple[str, ...], shape: Shape) -> float:
    product = 1.0
    for label in labels:
        product *= LABELS.get(label, _one)(shape)
    return product


_Number = Callable[[Shape], float]


def _one(_: Shape) -> float:
    return 1


def _of_probability(_: Shape) -> float:
    return 20


LABELS: Final[Mapping[str, _Number]] = {
    **dict.fromkeys(("model_name", "model_version", "framework", "task", "team"), _one),
    **dict.fromkeys(("method", "window", "kind", "queue_name", "alert", "hold"), _one),
    **dict.fromkeys(("limit", "period", "source"), _one),
    **dict.fromkeys(("gpu_uuid", "gpu_id", "instance", "device", "targets"), _one),
    "status": lambda _: 3,
    "stage": lambda _: 4,
    "result": lambda _: 4,
    "reason": lambda _: 3,
    "sign": lambda _: 2,
    "bound": lambda _: 2,
    "severity": lambda _: 2,
    "loss": lambda _: 4,
    "check": lambda _: 4,
    "target": lambda shape: len(shape.model.serving.scraped),
    "feature_name": lambda shape: shape.features,
    "predicted_class": lambda shape: shape.classes + 1,
    "actual_class": lambda shape: shape.classes + 1,
    "event": lambda shape: 2 * len(shape.model.business) + 1,
    "le": lambda shape: shape.latency_edges + 1,
    "metric": lambda shape: shape.metrics,
    "objective": lambda shape: len(list(objectives(shape.model))),
}
"""How many values a label of a model has; those that come from data come from its profile."""

_EDGES: Final[Mapping[Metric, _Number]] = {
    catalog.INFERENCE_LATENCY: lambda shape: shape.latency_edges,
    catalog.INFERENCE_STAGE_LATENCY: lambda shape: shape.latency_edges,
    catalog.INFERENCE_BATCH_SIZE: lambda _: 11,
    catalog.PREDICTION_VALUE: lambda shape: shape.output_edges,
    catalog.LABEL_DELAY: lambda _: 12,
}
"""Edges of histograms; those of probabilities, which are the others, are 20."""


# Figures that only some models have

_Rule = Callable[[Shape], bool]


def _always(_: Shape) -> bool:
    return True


def _on_gpu(shape: Shape) -> bool:
    return shape.model.gpu is not None


def _upstream(shape: Shape) -> bool:
    return shape.model.serving.upstream is not None


def _classifies(shape: Shape) -> bool:
    return shape.classifies


def _regresses(shape: Shape) -> bool:
    return not shape.classifies


def _profiled(shape: Shape) -> bool:
    return shape.profiled


def _calibrated(shape: Shape) -> bool:
    return shape.calibrated


_NEEDS: Final[Mapping[Metric, _Rule]] = {
    catalog.MODEL_TRAINED_TIMESTAMP: lambda shape: shape.model.trained_at is not None,
    **dict.fromkeys(
        (
            catalog.TORCH_ALLOCATED,
            catalog.TORCH_RESERVED,
            catalog.TORCH_PEAK,
            catalog.TORCH_RETRIES,
        ),
        _on_gpu,
    ),
    **dict.fromkeys(
        (catalog.MODEL_LOADED, catalog.UPSTREAM_PROBES, catalog.UPSTREAM_PROBE_FAILURES), _upstream
    ),
    catalog.PREDICTION_VALUE: lambda shape: not shape.classifies and shape.output_edges > 0,
    catalog.PREDICTION_CLASS: _classifies,
    catalog.PREDICTION_CLASS_CONFIDENCE: _calibrated,
    catalog.OUTCOMES: lambda shape: shape.classes > 0,
    catalog.OUTCOME_SCORE: lambda shape: shape.binary,
    catalog.SCORE_LOSS: lambda shape: shape.binary,
    **dict.fromkeys(
        (
            catalog.ABSOLUTE_ERROR,
            catalog.SQUARED_ERROR,
            catalog.ERROR_SAMPLES,
            catalog.ACTUAL,
            catalog.SIGNED_ERROR,
            catalog.QUARTIC_ERROR,
            catalog.SQUARED_ACTUAL,
        ),
        _regresses,
    ),
    catalog.BUSINESS_EVENTS: lambda shape: bool(shape.model.business),
    **dict.fromkeys(
        (
            catalog.DRIFT_THRESHOLD,
            catalog.DRIFT_NOISE_FLOOR,
            catalog.DRIFT_DETECTED,
            catalog.DRIFT_WINDOW_SAMPLES,
            catalog.DRIFT_EVALUATION_TIMESTAMP,
            catalog.DRIFTED_FEATURES,
            catalog.DRIFT_REFERENCE,
            catalog.PREDICTION_DRIFT_SCORE,
        ),
        _profiled,
    ),
    **dict.fromkeys(
        (
            catalog.MODEL_PERFORMANCE_ESTIMATED,
            catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT,
            catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED,
            catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR,
        ),
        _calibrated,
    ),
}


# Figures whose labels do not tell how many they are


def _rows(shape: Shape) -> float:
    """What drift is measured of: the features and the predictions."""
    return shape.features + 1


def _bins(shape: Shape) -> float:
    of_features = shape.edges + shape.numeric + shape.categories
    return of_features + shape.output_edges + shape.classes + 1


def _checks(shape: Shape) -> float:
    """Freshness, missing and type of every feature, and range or category of some."""
    return 3 * shape.features + shape.categorical + len(shape.model.ranges)


def _by_metric(shape: Shape) -> float:
    return shape.metrics * len(shape.model.performance.windows)


def _estimated(shape: Shape) -> float:
    return len(ESTIMATED_METRICS) * len(shape.model.performance.windows)


def _promises(shape: Shape) -> float:
    return len(tuple(shape.model.performance.promises()))


def _windows(shape: Shape) -> float:
    return len(shape.model.performance.windows)


_OF: Final[Mapping[Metric, _Number]] = {
    catalog.FEATURE_VALUE: lambda shape: shape.edges + 3 * shape.numeric,
    catalog.FEATURE_CATEGORY: lambda shape: shape.categories,
    catalog.FEATURE_INVALID: lambda shape: 2 * shape.numeric + shape.categorical,
    catalog.OUTCOME_SCORE: lambda _: 2 * (20 + 3),
    catalog.DRIFT_NOISE_FLOOR: _rows,
    catalog.DRIFT_WINDOW_SAMPLES: _rows,
    catalog.DRIFT_DETECTED: lambda shape: 2 * _rows(shape) + 1,
    catalog.DRIFT_THRESHOLD: lambda _: 4,
    catalog.DRIFT_REFERENCE: _bins,
    catalog.DATA_QUALITY: lambda shape: _checks(shape) - shape.features,
    catalog.DATA_QUALITY_FAILED: _checks,
    catalog.MODEL_PERFORMANCE: _by_metric,
    catalog.MODEL_PERFORMANCE_LIMIT: lambda shape: 2 * _by_metric(shape),
    catalog.MODEL_PERFORMANCE_BASELINE: _promises,
    catalog.MODEL_PERFORMANCE_DROP: lambda shape: _promises(shape) * _windows(shape),
    catalog.MODEL_PERFORMANCE_DECAYED: lambda shape: _promises(shape) * _windows(shape),
    catalog.MODEL_PERFORMANCE_SAMPLES: _windows,
    catalog.MODEL_PERFORMANCE_ESTIMATED: _estimated,
    catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT: lambda shape: 2 * _estimated(shape),
    catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED: lambda shape: _promises(shape) * _windows(shape),
    catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR: _estimated,
    catalog.LABEL_COVERAGE: _windows,
    catalog.LABEL_DELAY_MEDIAN: _windows,
    catalog.ALERT_THRESHOLD: lambda shape: shape.promised,
}


def countable(what: Metric | Recorded) -> bool:
    """Whether it is known how many series of it a model has."""
    return what in _OF or all(label in LABELS for label in what.labels)
