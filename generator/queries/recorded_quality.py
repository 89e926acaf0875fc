"""The drift collector's verdicts on predictions, data and performance, as alerts read them.

Where a verdict is that nothing is wrong there is no series: most of the time, most of them.
"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric, Unit
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.recorded import Group, Recorded

__all__ = [
    "CONCEPT_DRIFT",
    "DATA_FAILED",
    "DECAYED",
    "ESTIMATED_DECAYED",
    "FEATURE_STALE",
    "LABEL_COVERAGE",
    "LABEL_DELAY",
    "MULTIVARIATE_DRIFT",
    "PREDICTION_DRIFT",
    "PREDICTION_DRIFT_DETECTED",
    "QUALITY_RECORDED",
]

_QUALITY: Final = Group("model-quality", slowly=Duration.parse("1m"))
_OBJECTIVE: Final = (*MODEL, "objective", "window")


def _by(*labels: str) -> str:
    return f"by ({', '.join((*MODEL, *labels))})"


def _verdict(kind: str, *labels: str) -> str:
    return f'max {_by(*labels)} ({catalog.DRIFT_DETECTED}{{kind="{kind}"}} == 1)'


def _named(expression: str, label: str) -> str:
    """With the label `objective`, as thresholds have it, in place of another."""
    renamed = f'label_replace(\n  {expression},\n  "objective", "$1", "{label}", "(.+)"\n)'
    return f"max {_by('objective', 'window')} ({renamed})"


def _decayed(value: Metric, verdict: Metric) -> str:
    return _named(f"{value} and on ({', '.join(verdict.labels)}) {verdict} == 1", "metric")


def _failed(_: Spec) -> str:
    on = f"on ({', '.join((*MODEL, 'feature_name', 'check'))})"
    failed = f"{catalog.DATA_QUALITY} and {on} {catalog.DATA_QUALITY_FAILED} == 1"
    labels = _by("feature_name", "objective")
    return f'max {labels} (label_replace(\n  {failed},\n  "objective", "$1", "check", "(.+)"\n))'


PREDICTION_DRIFT: Final = Recorded(
    name="model:ml_prediction_drift_score",
    labels=catalog.PREDICTION_DRIFT_SCORE.labels,
    help="How far the model's predictions over the window are from those of its reference.",
    group=_QUALITY,
    expression=lambda _: f"max {_by('method', 'window')} ({catalog.PREDICTION_DRIFT_SCORE})",
)
PREDICTION_DRIFT_DETECTED: Final = Recorded(
    name="model:ml_prediction_drift_detected",
    labels=(*MODEL, "severity"),
    help="1 where predictions have drifted; absent where not.",
    group=_QUALITY,
    expression=lambda _: _verdict("prediction", "severity"),
)
MULTIVARIATE_DRIFT: Final = Recorded(
    name="model:ml_multivariate_drift_score:detected",
    labels=MODEL,
    help="How well rows can be told from the reference's (AUC), where that is drift.",
    group=_QUALITY,
    expression=lambda _: (
        f'max {_by()} (\n  {catalog.MULTIVARIATE_SCORE}{{method="auc"}}\n'
        f"  and on ({', '.join(MODEL)}) {catalog.MULTIVARIATE_DETECTED} == 1\n)"
    ),
)
CONCEPT_DRIFT: Final = Recorded(
    name="model:ml_concept_drift_detected",
    labels=MODEL,
    help="1 where labels are no longer what the model's predictions used to mean; absent where "
    "not.",
    group=_QUALITY,
    expression=lambda _: _verdict("concept"),
)
DATA_FAILED: Final = Recorded(
    name="model:ml_data_quality:failed_ratio",
    labels=(*MODEL, "feature_name", "objective"),
    help="The share of a feature's values that fail a check (objective), where that is too many.",
    group=_QUALITY,
    expression=_failed,
    unit=Unit.RATIO,
)
FEATURE_STALE: Final = Recorded(
    name="model:ml_feature_stale",
    labels=(*MODEL, "feature_name"),
    help="1 where a feature had no value for longer than its freshness, while there was traffic.",
    group=_QUALITY,
    expression=lambda _: (
        f'max {_by("feature_name")} ({catalog.DATA_QUALITY_FAILED}{{check="freshness"}} == 1)'
    ),
)
DECAYED: Final = Recorded(
    name="model:ml_model_performance:decayed",
    labels=_OBJECTIVE,
    help="A metric of performance (objective), where it is worse than promised and not by chance.",
    group=_QUALITY,
    expression=lambda _: _decayed(catalog.MODEL_PERFORMANCE, catalog.MODEL_PERFORMANCE_DECAYED),
)
ESTIMATED_DECAYED: Final = Recorded(
    name="model:ml_model_performance_estimated:decayed",
    labels=_OBJECTIVE,
    help="The same of metrics that are estimated without labels.",
    group=_QUALITY,
    expression=lambda _: _decayed(
        catalog.MODEL_PERFORMANCE_ESTIMATED, catalog.MODEL_PERFORMANCE_ESTIMATED_DECAYED
    ),
)
LABEL_COVERAGE: Final = Recorded(
    name="model:ml_label_coverage_ratio",
    labels=(*MODEL, "window"),
    help="Labels that came over the window, of its predictions.",
    group=_QUALITY,
    expression=lambda _: f"max {_by('window')} ({catalog.LABEL_COVERAGE})",
    unit=Unit.RATIO,
)
LABEL_DELAY: Final = Recorded(
    name="model:ml_label_delay_median_seconds",
    labels=(*MODEL, "window"),
    help="Median time from a prediction to its label.",
    group=_QUALITY,
    expression=lambda _: f"max {_by('window')} ({catalog.LABEL_DELAY_MEDIAN})",
    unit=Unit.SECONDS,
)

QUALITY_RECORDED: Final = (
    PREDICTION_DRIFT,
    PREDICTION_DRIFT_DETECTED,
    MULTIVARIATE_DRIFT,
    CONCEPT_DRIFT,
    DATA_FAILED,
    FEATURE_STALE,
    DECAYED,
    ESTIMATED_DECAYED,
    LABEL_COVERAGE,
    LABEL_DELAY,
)
"""All of them, in the order in which they are evaluated."""
