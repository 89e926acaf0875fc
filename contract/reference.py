"""The reference that live counts are held against: a profile built from training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from contract.profile import NumericBins, Profile, ProfileError, build_profile
from contract.table import Table, TableError, Value, read_table

__all__ = ["Columns", "build_reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a file of training data are, besides features."""

    prediction: str | None = None
    confidence: str | None = None
    label: str | None = None
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    """Columns that are categories even where they hold numbers."""


def build_reference(
    data: Path,
    *,
    name: str,
    version: str | None,
    task: str | None,
    columns: Columns,
    bins: int = 10,
    logged: bool = False,
) -> Profile:
    """Build the profile of a model from a file of its training data.

    With a classifier's `task` the prediction is a category even where classes are numbers; without
    a task, numbers are numbers. A file that is `logged`, an export of the prediction log, has
    columns that are known; of its rows the successful ones of this version count. Raises TableError
    or ProfileError with file, line and column.
    """
    table = read_table(data, without=columns.exclude)
    if logged:
        table, columns = _of_log(table, columns, version)
    for column in (columns.prediction, columns.confidence, columns.label, *columns.categories):
        if column is not None and column not in table.columns:
            known = ", ".join(table.columns)
            raise TableError(f"{data}: no column {column!r}; there are {known}")
    if columns.confidence is not None:
        _check_confidence(table, columns.confidence)
    categories = columns.categories
    if columns.prediction is not None and task is not None and task != "regression":
        categories = (*categories, columns.prediction)
    try:
        profile = build_profile(
            table.columns,
            model_name=name,
            model_version=version,
            prediction=columns.prediction,
            confidence=columns.confidence,
            label=columns.label,
            categories=categories,
            bins=bins,
        )
    except ProfileError as error:
        raise ProfileError(f"{data}: {error}") from None
    if not profile.features:
        raise ProfileError(f"{data}: has no feature besides prediction, confidence and label")
    if task == "regression" and profile.prediction is not None:
        _check_numeric_prediction(table, columns.prediction, profile)
    return profile


_LOGGED: Final = (
    "prediction_id",
    "model_version",
    "timestamp",
    "status",
    "prediction",
    "confidence",
    "label",
    "label_timestamp",
)
"""Columns of the log itself; a feature that is called like one of them is feature_NAME."""


def _of_log(table: Table, columns: Columns, version: str | None) -> tuple[Table, Columns]:
    """The features and outputs of an export of the prediction log, and which are outputs."""
    lacking = [name for name in _LOGGED if name not in table.columns]
    if lacking:
        raise TableError(
            f"{table.path}: is no export of the prediction log: no column {lacking[0]!r}; "
            "leave out --logged for other data"
        )
    kept = [
        row
        for row, (status, own) in enumerate(
            zip(table.columns["status"], table.columns["model_version"], strict=True)
        )
        if status == "success" and (version is None or _is_version(own, version))
    ]
    if not kept:
        of = "" if version is None else f" of version {version}"
        raise TableError(f"{table.path}: has no successful prediction{of}")
    outputs = {
        name: name
        for name in ("prediction", "confidence", "label")
        if any(table.columns[name][row] is not None for row in kept)
    }
    taken = {
        name.removeprefix("feature_")
        if name.startswith("feature_") and name.removeprefix("feature_") in _LOGGED
        else name: values
        for name, values in table.columns.items()
        if name not in _LOGGED
    }
    # A feature that is called like an output would hide it.
    hidden = [name for name in outputs if name in taken]
    if hidden:
        raise TableError(
            f"{table.path}: feature {hidden[0]} is called like a column of the log; --exclude "
            f"feature_{hidden[0]}"
        )
    taken |= {name: table.columns[name] for name in outputs}
    rows: dict[str, Sequence[Value]] = {
        name: [values[row] for row in kept] for name, values in taken.items()
    }
    lines = None if table.lines is None else [table.lines[row] for row in kept]
    found = replace(
        columns,
        prediction=outputs.get("prediction"),
        confidence=outputs.get("confidence"),
        label=outputs.get("label"),
    )
    return Table(path=table.path, columns=rows, lines=lines), found


def _is_version(value: object, version: str) -> bool:
    """Whether a cell names the version; a CSV file cannot tell 1.10 from 1.1."""
    if isinstance(value, int | float):
        try:
            return float(version) == value
        except ValueError:
            return False
    return value == version


def _check_confidence(table: Table, column: str) -> None:
    for row, value in enumerate(table.columns[column]):
        number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        # NaN is neither below nor above: it counts as missing.
        if not number or (isinstance(value, int | float) and (value < 0 or value > 1)):
            raise ProfileError(
                f"{table.place(row)}: column {column!r}: a confidence is from 0 to 1, got {value!r}"
            )


def _check_numeric_prediction(table: Table, column: str | None, profile: Profile) -> None:
    if column is None or isinstance(profile.prediction, NumericBins):
        return
    for row, value in enumerate(table.columns[column]):
        if isinstance(value, str | bool):
            raise ProfileError(
                f"{table.place(row)}: column {column!r}: the model is a regression, so its "
                f"predictions are numbers, got {value!r}"
            )
