"""What is promised of a model's predictions, and of the data that it gets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contract.quantity import Duration, Ratio, parse_ratio, problem
from contract.spec.section import AT_LEAST_ONE, Section

__all__ = [
    "CLASS_METRICS",
    "ESTIMATED_METRICS",
    "FROM_TRAINING",
    "LOWER_IS_BETTER",
    "METRICS_OF_TASK",
    "REGRESSION_METRICS",
    "SCORE_METRICS",
    "DataQuality",
    "Drop",
    "Measured",
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

OWN_UNITS: Final = frozenset({"log_loss", "mae", "rmse", "bias"})
"""Metrics that are no shares, so that 5% of them is 5% of something else."""

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


Measured = Annotated[float, BeforeValidator(_number, json_schema_input_type=float | str)]
"""A value of a metric: a number, or for a share a percentage."""

FROM_TRAINING: Final = "from_training"


def _baseline(value: object) -> object:
    number = value if value == FROM_TRAINING else _number(value)
    if number != FROM_TRAINING and not (isinstance(number, float) and math.isfinite(number)):
        raise problem(f"is not a number: {value!r}", f"write 0.99, 99% or {FROM_TRAINING}")
    return number


_Baseline = Annotated[
    float | Literal["from_training"],
    BeforeValidator(_baseline, json_schema_input_type=float | str),
    Field(examples=[FROM_TRAINING]),
]


_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)%( of baseline)?")


@dataclass(frozen=True, slots=True)
class Drop:
    """How much worse than its baseline a metric may be."""

    amount: float
    unit: Literal["", "%", "% of baseline"] = ""
    """The metric's own, a share that was written as a percentage, or a share of the baseline."""

    @classmethod
    def parse(cls, value: object) -> Drop:
        """Read `0.05`, `5%` or `5% of baseline`. Raises a validation error with a suggestion."""
        if isinstance(value, Drop):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            if 0 <= value < math.inf:
                return cls(float(value))
        elif isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
            return cls(round(float(found[1]) / 100, 12), "% of baseline" if found[2] else "%")
        raise problem(f"is not how much: {value!r}", "write 0.05, 5% or 5% of baseline")

    def below(self, baseline: float) -> float:
        """The drop from this baseline, in the metric's own units."""
        return self.amount * abs(baseline) if self.unit == "% of baseline" else self.amount

    def __str__(self) -> str:
        return f"{self.amount * 100:.10g}{self.unit}" if self.unit else f"{self.amount:g}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        percent = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%( of baseline)?$"}
        return {"anyOf": [{"type": "number", "minimum": 0}, percent]}


class Promise(Section):
    """What is promised of one metric of performance: numbers, or for shares percentages."""

    written_baseline: _Baseline | None = Field(
        default=None, alias="baseline", examples=["from_training"]
    )
    """What it was when the model went into service: a number, or `from_training` for what
    `training.metrics` says of the metric, so that each version brings its own."""
    written_drop: Drop | None = Field(default=None, alias="max_drop", examples=["5%"])
    """How much worse than the baseline it may be: in the metric's own units (for shares, 5% is
    0.05), or as a share of the baseline: 5% of baseline."""
    min: Measured | None = None
    """What it must at least be, whatever it was before."""
    max: Measured | None = None
    """For errors and losses: what it must at most be."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.written_drop is not None and self.written_baseline is None:
            raise problem("has a max_drop from no baseline", "add baseline: what it was in tests")
        if self.written_baseline is None and self.min is None and self.max is None:
            raise problem("promises nothing", "write min, max, or baseline with max_drop")
        return self

    @property
    def baseline(self) -> float | None:
        """What it was; None also while it is still to be taken from training."""
        return None if self.written_baseline == FROM_TRAINING else self.written_baseline

    @property
    def max_drop(self) -> float | None:
        """How much worse than the baseline it may be, in the metric's own units."""
        if self.written_drop is None or self.baseline is None:
            return None
        return self.written_drop.below(self.baseline)


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

    def over_training(self, metrics: Mapping[str, float]) -> Self:
        """With each baseline `from_training` that `metrics` has a value for."""
        update = {
            metric: promise.model_copy(update={"written_baseline": metrics[metric]})
            for metric, promise in self.promises()
            if promise.written_baseline == FROM_TRAINING and metric in metrics
        }
        return self.model_copy(update=update) if update else self

    @model_validator(mode="after")
    def _drops_of_something(self) -> Self:
        for metric, promise in self.promises():
            drop = promise.written_drop
            if metric in OWN_UNITS and drop is not None and drop.unit == "%":
                raise problem(
                    f"lets {metric} become worse by {drop}, and {metric} is no share",
                    f"write max_drop: {drop} of baseline, or a number in its own units",
                )
        return self

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
