"""Which of a model's outputs is the prediction, and which says how sure the model is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from exporters.sidecar.event import MAX_MAGNITUDE
from exporters.sidecar.layout import Layout
from exporters.sidecar.proxy.payload import scalar

__all__ = ["Answer", "choose_answers"]

Answer = tuple[float | str | bool | list[float] | None, float | None]
"""A row's prediction and confidence."""

_PREDICTIONS: Final = (
    "prediction",
    "predictions",
    "predict",
    "predicted_class",
    "label",
    "labels",
    "class",
    "classes",
    "class_ids",
)
_CONFIDENCES: Final = (
    "confidence",
    "confidences",
    "probability",
    "predict_proba",
    "probabilities",
    "score",
    "scores",
)


def choose_answers(columns: Mapping[str, Sequence[Any]], rows: int, layout: Layout) -> list[Answer]:
    """A prediction and a confidence for each row, as far as the outputs show them.

    Of several outputs, the one that is called a prediction is it, else the first that is a value a
    row. Probabilities of all classes give the confidence, and the prediction where nothing else
    does; a binary classifier's output between 0 and 1 is the probability of its second class.
    """
    fitting = {name: own for name, own in columns.items() if len(own) == rows and rows}
    singles = {name: found for name, own in fitting.items() if (found := _singles(own))}
    if not layout.classifies:
        numbers = {name: found for name, found in singles.items() if _all_numbers(found)}
        predictions = _first(numbers, _PREDICTIONS, [None] * rows)
        return [(_number(value), None) for value in predictions]
    classes = len(layout.classes.names)
    vectors = {name: found for name, own in fitting.items() if (found := _vectors(own, classes))}
    sure = _first({n: c for n, c in singles.items() if n in _CONFIDENCES}, _CONFIDENCES, [])
    sure = sure if all(_is_probability(value) for value in sure) else []
    left = {name: found for name, found in singles.items() if name not in _CONFIDENCES}
    chosen = _first(left, _PREDICTIONS, [])
    vector = _first(vectors, _CONFIDENCES, [])
    if chosen and classes in {0, 2} and not vector and not sure and _of_second_class(chosen):
        vector, chosen = [[1 - value, value] for value in chosen], []
    if chosen:
        confidences = [max(own) for own in vector] or [float(value) for value in sure]
        confidences = confidences or [None] * rows
        return [
            (_as_class(value), confidence)
            for value, confidence in zip(chosen, confidences, strict=True)
        ]
    return [(own, None) for own in vector] or [(None, None)] * rows


def _first(found: Mapping[str, list[Any]], names: Sequence[str], default: list[Any]) -> list[Any]:
    for name in names:
        if name in found:
            return found[name]
    return next(iter(found.values()), default)


def _singles(column: Sequence[Any]) -> list[Any]:
    """The column where each row has one value; empty where it has not."""
    values = [scalar(value) for value in column]
    return values if any(value is not None for value in values) else []


def _all_numbers(column: Sequence[Any]) -> bool:
    return all(_number(value) is not None or value is None for value in column)


def _vectors(column: Sequence[Any], classes: int) -> list[list[float]]:
    """The column where each row has a probability for each class; empty where it has not."""
    found = []
    for row in column:
        if not isinstance(row, list) or len(row) < 2 or (classes and len(row) != classes):
            return []
        if not all(_is_probability(value) for value in row):
            return []
        found.append([float(value) for value in row])
    return found


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _of_second_class(column: Sequence[Any]) -> bool:
    """Whether these are probabilities and no classes 0 and 1."""
    numbers = all(isinstance(value, float) and 0 <= value <= 1 for value in column)
    return numbers and not all(value in {0.0, 1.0} for value in column)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= MAX_MAGNITUDE and math.isfinite(value) else None


def _as_class(value: Any) -> float | str | bool | None:
    return value if isinstance(value, str | bool) else _number(value)
