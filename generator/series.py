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
from contract.spec import Model, Spec, Task
from contract.spec.performance import ESTIMATED_METRICS, METRICS_OF_TASK
from generator.queries import recorded_quality, recorded_versions
from generator.queries.recorded import Recorded

__all__ = ["LABELS", "Shape", "countable", "recorded_series", "series_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides how many series a model has; models of one shape have as many.

    `edges` are those of all numeric features together, `categories` those of all others, and
    `segments` those of the features that outcomes are sliced by.
    """

    task: Task
    numeric: int
    edges: int
    categorical: int
    categories: int
    classes: int
    output_edges: int
    latency_edges: int
    objectives: int
    profiled: bool
    calibrated: bool
    trained: bool
    deployed: bool
    several: bool
    on_gpu: bool
    upstream: bool
    business: int
    ranges: int
    segments: int
    windows: int
    promises: int
    targets: int
    actions: int

    @classmethod
    def of(cls, model: Model, spec: Spec) -> Shape:
        """The shape of a resolved model."""
        profile = _read_profile(spec.path(model.profile)) if model.profile else {}
        features = profile.get("features", {})
        edges = [len(each["edges"]) for each in features.values() if each["kind"] == "numeric"]
        named = {
            name: len(each["categories"]) + 1
            for name, each in features.items()
            if each["kind"] != "numeric"
        }
        output = profile.get("prediction") or {}
        own_edges = {pair.threshold.seconds for pair in model.slo.latency} - _LATENCY_EDGES
        return cls(
            task=model.task,
            numeric=len(edges),
            edges=sum(edges),
            categorical=len(named),
            categories=sum(named.values()),
            classes=len(output.get("categories", ())),
            output_edges=len(output.get("edges", ())),
            latency_edges=len(_LATENCY_EDGES) + len(own_edges),
            objectives=len(list(objectives(model))),
            profiled=bool(profile),
            calibrated=bool(profile.get("calibration")),
            trained=model.trained_at is not None,
            several=sum(other.name == model.name for other in spec.models) > 1,
            deployed=model.deployed_at is not None,
            on_gpu=model.gpu is not None,
            upstream=model.serving.upstream is not None,
            business=len(model.business),
            ranges=len(model.ranges),
            segments=sum(named.get(name, 0) for name in model.segments),
            windows=len(model.performance.windows),
            promises=len(tuple(model.performance.promises())),
            targets=len(model.serving.scraped),
            actions=len({action.label for action in model.remediation}),
        )

    @property
    def features(self) -> int:
        """Features of both kinds."""
        return self.numeric + self.categorical

    @property
    def classifies(self) -> bool:
        """Whether it predicts classes."""
        return self.task != "regression"

    @property
    def binary(self) -> bool:
        """Whether labels give scores by class."""
        return self.classes == 2 and self.classifies

    @property
    def metrics(self) -> int:
        """Metrics of performance of its task."""
        return len(METRICS_OF_TASK[self.task])


@cache
def _read_profile(path: Path) -> dict[str, Any]:
    """A profile as it lies there: checked already, and only its lengths count here."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    return data


_LATENCY_EDGES: Final = frozenset(
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
)


# One metric


_VERDICTS: Final = (
    recorded_quality.PREDICTION_DRIFT_DETECTED,
    recorded_quality.MULTIVARIATE_DRIFT,
    recorded_quality.CONCEPT_DRIFT,
    recorded_quality.DATA_FAILED,
    recorded_quality.FEATURE_STALE,
    recorded_quality.DECAYED,
    recorded_quality.ESTIMATED_DECAYED,
    recorded_versions.UNREGISTERED,
    recorded_versions.WORSE,
)
"""Recorded only where something is wrong."""


def recorded_series(rule: Recorded, shape: Shape) -> float:
    """Series that a rule records for a model; none where what it is named after has none."""
    if rule in _VERDICTS:
        return 0
    sources = _sources(str(rule))
    exact = [
        source
        for source in sources
        if source.labels == rule.labels and source.type is not Type.HISTOGRAM
    ]
    if exact:
        return series_of(exact[0], shape)
    there = any(series_of(source, shape) for source in sources) or not sources
    return _by_labels(rule.labels, shape) if there else 0


@cache
def _sources(name: str) -> tuple[Metric, ...]:
    """The metrics that a recorded series is named after."""
    stem = name.split(":")[1]
    return tuple(m for m in METRICS if stem.startswith(m.name.removesuffix("_total")))


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
    **dict.fromkeys(("limit", "period", "source", "state", "unregistered_version"), _one),
    **dict.fromkeys(("baseline_version",), _one),
    **dict.fromkeys(("gpu_uuid", "gpu_id", "instance", "device", "targets"), _one),
    "status": lambda _: 3,
    "stage": lambda _: 4,
    "result": lambda _: 4,
    "reason": lambda _: 3,
    "sign": lambda _: 2,
    "side": lambda _: 2,
    "bound": lambda _: 2,
    "severity": lambda _: 2,
    "loss": lambda _: 4,
    "check": lambda _: 4,
    "target": lambda shape: shape.targets,
    "feature_name": lambda shape: shape.features,
    "predicted_class": lambda shape: shape.classes + 1,
    "actual_class": lambda shape: shape.classes + 1,
    "event": lambda shape: 2 * shape.business + 1,
    "le": lambda shape: shape.latency_edges + 1,
    "metric": lambda shape: shape.metrics,
    "objective": lambda shape: shape.objectives,
    "action": lambda shape: shape.actions,
    "outcome": lambda _: 7,
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
    return shape.on_gpu


def _upstream(shape: Shape) -> bool:
    return shape.upstream


def _classifies(shape: Shape) -> bool:
    return shape.classifies


def _regresses(shape: Shape) -> bool:
    return not shape.classifies


def _profiled(shape: Shape) -> bool:
    return shape.profiled


def _calibrated(shape: Shape) -> bool:
    return shape.calibrated


_NEEDS: Final[Mapping[Metric, _Rule]] = {
    **dict.fromkeys(
        (
            catalog.VERSION_BASELINE,
            catalog.VERSION_COMPARISON,
            catalog.VERSION_COMPARISON_SAMPLES,
            catalog.VERSION_COMPARISON_P_VALUE,
            catalog.VERSION_WORSE,
        ),
        lambda shape: shape.several,
    ),
    catalog.MODEL_DEPLOYED_TIMESTAMP: lambda shape: shape.deployed,
    catalog.MODEL_TRAINED_TIMESTAMP: lambda shape: shape.trained,
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
    catalog.SEGMENT_OUTCOMES: lambda shape: shape.classes > 0,
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
            catalog.SEGMENT_ERRORS,
        ),
        _regresses,
    ),
    catalog.BUSINESS_EVENTS: lambda shape: shape.business > 0,
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
    return 3 * shape.features + shape.categorical + shape.ranges


def _by_metric(shape: Shape) -> float:
    return shape.metrics * shape.windows


def _estimated(shape: Shape) -> float:
    return len(ESTIMATED_METRICS) * shape.windows


def _aspects(shape: Shape) -> float:
    """What is compared of two versions."""
    return 5 + shape.business


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
    catalog.MODEL_PERFORMANCE_BASELINE: lambda shape: shape.promises,
    catalog.MODEL_PERFORMANCE_DROP: lambda shape: shape.promises * shape.windows,
    catalog.MODEL_PERFORMANCE_DECAYED: lambda shape: shape.promises * shape.windows,
    catalog.MODEL_PERFORMANCE_SAMPLES: lambda shape: shape.windows,
    catalog.MODEL_PERFORMANCE_ESTIMATED: _estimated,
    catalog.MODEL_PERFORMANCE_ESTIMATED_LIMIT: lambda shape: 2 * _estimated(shape),
    catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED: lambda shape: shape.promises * shape.windows,
    catalog.MODEL_PERFORMANCE_ESTIMATION_ERROR: _estimated,
    catalog.LABEL_COVERAGE: lambda shape: shape.windows,
    catalog.LABEL_DELAY_MEDIAN: lambda shape: shape.windows,
    catalog.ALERT_THRESHOLD: lambda _: 0,  # The alerts know: see generator.estimate.
    catalog.SEGMENT_OUTCOMES: lambda shape: shape.segments * (shape.classes + 1) ** 2,
    catalog.SEGMENT_ERRORS: lambda shape: shape.segments * 6,
    catalog.SEGMENT_PERFORMANCE: lambda shape: shape.segments * _by_metric(shape),
    catalog.SEGMENT_PERFORMANCE_LIMIT: lambda shape: 2 * shape.segments * _by_metric(shape),
    catalog.SEGMENT_PERFORMANCE_DECAYED: lambda shape: (
        shape.segments * shape.promises * shape.windows
    ),
    catalog.VERSION_COMPARISON: lambda shape: 2 * _aspects(shape),
    catalog.VERSION_COMPARISON_SAMPLES: lambda shape: 2 * _aspects(shape),
    catalog.VERSION_COMPARISON_P_VALUE: _aspects,
    catalog.VERSION_WORSE: _aspects,
    catalog.SEGMENT_SAMPLES: lambda shape: shape.segments * shape.windows,
}


def countable(what: Metric | Recorded) -> bool:
    """Whether it is known how many series of it a model has."""
    return what in _OF or all(label in LABELS for label in what.labels)
