"""What is promised of a model's predictions, and of the data that it gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from contract.quantity import Duration, Ratio, parse_ratio, problem
from contract.spec.section import AT_LEAST_ONE, Section

__all__ = [
    "CLASS_METRICS",
    "ESTIMATED_METRICS",
    "LOWER_IS_BETTER",
    "METRICS_OF_TASK",
    "REGRESSION_METRICS",
    "SCORE_METRICS",
    "DataQuality",
    "Performance",
    "Promise",
]

AVERAGED_METRICS: Final = (
    "accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
)
CLASS_METRICS: Final = (*AVERAGED_METRICS, "precision", "recall", "f1")
"""Of a confusion matrix; the last three are of a binary classifier's positive class."""

SCORE_METRICS: Final = ("auc", "average_precision", "log_loss", "brier", "calibration_error")
"""Of a binary classifier's scores."""

REGRESSION_METRICS: Final = ("mae", "rmse", "r2", "bias")

ESTIMATED_METRICS: Final = (*CLASS_METRICS, "auc")
"""What can be estimated without labels."""

LOWER_IS_BETTER: Final = frozenset(
    {"log_loss", "brier", "calibration_error", "mae", "rmse", "bias"}
)
"""Metrics of which less is better. Of bias it is the distance from 0 that counts."""

METRICS_OF_TASK: Final = {
    "binary_classification": (*CLASS_METRICS, *SCORE_METRICS),
    "multiclass_classification": AVERAGED_METRICS,
    "regression": REGRESSION_METRICS,
}


def _number(value: object) -> object:
    """A percentage as a share; other numbers as they are."""
    if isinstance(value, str) and value.endswith("%"):
        return parse_ratio(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Number = Annotated[float, BeforeValidator(_number, json_schema_input_type=float | str)]
_Positive = Annotated[
    float, BeforeValidator(_number, json_schema_input_type=float | str), Field(ge=0)
]


class Promise(Section):
    """What is promised of one metric of performance: numbers, or for shares percentages."""

    baseline: _Number | None = None
    """What it was when the model went into service."""
    max_drop: _Positive | None = None
    """How much worse than the baseline it may be, in the metric's own units."""
    min: _Number | None = None
    """What it must at least be, whatever it was before."""
    max: _Number | None = None
    """For errors and losses: what it must at most be."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.max_drop is not None and self.baseline is None:
            raise problem("has a max_drop from no baseline", "add baseline: what it was in tests")
        if self.baseline is None and self.min is None and self.max is None:
            raise problem("promises nothing", "write min, max, or baseline with max_drop")
        return self


def _known_windows(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,) if value is not None else value


def _distinct(windows: tuple[Duration, ...]) -> tuple[Duration, ...]:
    if len(set(windows)) != len(windows):
        raise problem("names a window twice")
    return windows


class Performance(Section):
    """How well a model predicts, as labels tell: over which windows, and what is promised."""

    windows: Annotated[
        tuple[Duration, ...],
        BeforeValidator(_known_windows, json_schema_input_type=Duration | list[Duration]),
        AT_LEAST_ONE,
        AfterValidator(_distinct),
    ] = (Duration.parse("1h"), Duration.parse("1d"))
    """The times over which labels are counted: one, or a list."""
    min_samples: int = Field(default=100, gt=0)
    """Labelled predictions that a window needs; with fewer, nothing is said of it."""
    accuracy: Promise | None = None
    """The share of right answers."""
    precision: Promise | None = None
    """Of what was predicted as the positive class (the profile's last), the share that was."""
    recall: Promise | None = None
    """Of what was the positive class, the share that was predicted as it."""
    f1: Promise | None = None
    """The harmonic mean of precision and recall."""
    precision_macro: Promise | None = None
    """The mean of the precisions of all classes."""
    recall_macro: Promise | None = None
    """The mean of the recalls of all classes."""
    f1_macro: Promise | None = None
    """The mean of the F1 of all classes."""
    precision_weighted: Promise | None = None
    """The mean of precisions, weighted by how frequent classes are."""
    recall_weighted: Promise | None = None
    """The mean of recalls, weighted by how frequent classes are; the accuracy."""
    f1_weighted: Promise | None = None
    """The mean of F1, weighted by how frequent classes are."""
    auc: Promise | None = None
    """The area under the ROC curve."""
    average_precision: Promise | None = None
    """The area under the curve of precision by recall."""
    log_loss: Promise | None = None
    """The mean of -ln of the probability of what was true."""
    brier: Promise | None = None
    """The mean squared distance of the score from 0 or 1, whichever was true."""
    calibration_error: Promise | None = None
    """The mean distance of scores from how often they were right."""
    mae: Promise | None = None
    """The mean absolute error."""
    rmse: Promise | None = None
    """The root of the mean squared error."""
    r2: Promise | None = None
    """The share of the variance that is explained."""
    bias: Promise | None = None
    """The mean of prediction - actual; what counts is its distance from 0."""

    def promises(self) -> Iterator[tuple[str, Promise]]:
        """The metrics that something is promised of."""
        for metric in (*CLASS_METRICS, *SCORE_METRICS, *REGRESSION_METRICS):
            promise: Promise | None = getattr(self, metric)
            if promise is not None:
                yield metric, promise

    @model_validator(mode="after")
    def _bounds_that_bind(self) -> Self:
        for metric, promise in self.promises():
            wrong, right = ("min", "max") if metric in LOWER_IS_BETTER else ("max", "min")
            if getattr(promise, wrong) is not None:
                raise problem(
                    f"bounds {metric} by {wrong}, and it is good where it is "
                    f"{'small' if right == 'max' else 'large'}",
                    f"write {right}",
                )
        return self


class DataQuality(Section):
    """At most how much of each feature may be bad, over the drift window."""

    missing: Ratio = 0.05
    """Absent, null or NaN, on top of the share in the reference profile."""
    range: Ratio = 0.01
    """Beyond the model's `ranges`."""
    type: Ratio = 0.01
    """No number where the profile has numbers."""
    category: Ratio = 0.05
    """Categories that the profile does not know, on top of its own share of others."""
    freshness: Duration = Duration.parse("15m")
    """How long a feature may have no value at all while there is traffic."""

    def limit(self, check: Literal["missing", "range", "type", "category"]) -> float:
        """The share above which a check fails."""
        share: float = getattr(self, check)
        return share
