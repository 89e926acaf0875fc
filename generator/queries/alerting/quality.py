"""When the alerts on predictions, data and performance fire.

The collector judges, for the most part; the rules add whose model it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contract.alerts import LEAST_BUSINESS
from generator.queries import recorded_business, recorded_quality, recorded_versions
from generator.queries.alerting.promise import ON_MODEL, Promise, above, compare
from generator.queries.recorded import Recorded

__all__ = ["QUALITY_EXPRESSIONS"]


def _predictions(promise: Promise) -> str:
    return (
        f"{compare(str(recorded_quality.PREDICTION_DRIFT), '>', promise)}\n"
        f"and {ON_MODEL}\n"
        f'{recorded_quality.PREDICTION_DRIFT_DETECTED}{{severity="{promise.severity}"}}'
    )


def _judged(series: Recorded) -> Callable[[Promise], str]:
    """What the collector found worse than promised, whichever way is worse.

    The threshold, to the power of 0, only adds the team.
    """

    def expression(promise: Promise) -> str:
        on = "on (model_name, model_version, objective)"
        return f"{series}\n* {on} group_left (team)\n{promise.thresholds} ^ 0"

    return expression


def _business(promise: Promise) -> str:
    low = compare(str(recorded_business.BUSINESS_RATIO), "<", promise, by="objective")
    return (
        f"{low}\nand on (model_name, model_version, objective)\n"
        f"{recorded_business.BUSINESS_EVENTS} >= {LEAST_BUSINESS}"
    )


QUALITY_EXPRESSIONS: Final[dict[str, Callable[[Promise], str]]] = {
    "PredictionDrift": _predictions,
    "MultivariateDrift": above(recorded_quality.MULTIVARIATE_DRIFT, guarded=False),
    "ConceptDrift": above(recorded_quality.CONCEPT_DRIFT, guarded=False),
    "DataQuality": lambda promise: compare(
        str(recorded_quality.DATA_FAILED), ">", promise, by="objective"
    ),
    "FeatureStale": above(recorded_quality.FEATURE_STALE, guarded=False),
    "AccuracyDecay": _judged(recorded_quality.DECAYED),
    "EstimatedDecay": _judged(recorded_quality.ESTIMATED_DECAYED),
    "VersionWorse": _judged(recorded_versions.WORSE),
    "LabelsMissing": lambda promise: compare(
        str(recorded_quality.LABEL_COVERAGE), "<", promise, by="window"
    ),
    "LabelsLate": lambda promise: compare(
        str(recorded_quality.LABEL_DELAY), ">", promise, by="window"
    ),
    "BusinessRatioLow": _business,
}
"""By name; the series carry model_name, model_version and team."""
