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
    """What is promised of one metric of performance: a number, or for shares a percentage.

    `max_drop` is how much worse than `baseline` it may be, in the metric's own units; `min` and
    `max` (for errors and losses) bound it whatever it was before.
    """

    baseline: _Number | None = None
    max_drop: _Positive | None = None
    min: _Number | None = None
    max: _Number | None = None

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
    """How well a model predicts, as labels tell: over which windows, and what is promised.

    Below `min_samples` labelled predictions in a window nothing is said of it.
    """

    windows: Annotated[
        tuple[Duration, ...],
        BeforeValidator(_known_windows, json_schema_input_type=Duration | list[Duration]),
        AT_LEAST_ONE,
        AfterValidator(_distinct),
    ] = (Duration.parse("1h"), Duration.parse("1d"))
    min_samples: int = Field(default=100, gt=0)
    accuracy: Promise | None = None
    precision: Promise | None = None
    recall: Promise | None = None
    f1: Promise | None = None
    precision_macro: Promise | None = None
    recall_macro: Promise | None = None
    f1_macro: Promise | None = None
    precision_weighted: Promise | None = None
    recall_weighted: Promise | None = None
    f1_weighted: Promise | None = None
    auc: Promise | None = None
    average_precision: Promise | None = None
    log_loss: Promise | None = None
    brier: Promise | None = None
    calibration_error: Promise | None = None
    mae: Promise | None = None
    rmse: Promise | None = None
    r2: Promise | None = None
    bias: Promise | None = None

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
    """What the values of each feature may be, over the drift window: at most so much of each.

    `missing` (absent, null, NaN) and `category` (new ones) are what comes on top of the share in
    the reference profile; `type` are values that are no number, `range` those beyond `ranges`. A
    feature that had no value at all for longer than `freshness`, while there was traffic, is stale.
    """

    missing: Ratio = 0.05
    range: Ratio = 0.01
    type: Ratio = 0.01
    category: Ratio = 0.05
    freshness: Duration = Duration.parse("15m")

    def limit(self, check: Literal["missing", "range", "type", "category"]) -> float:
        """The share above which a check fails."""
        share: float = getattr(self, check)
        return share
