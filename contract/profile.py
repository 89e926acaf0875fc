"""The reference profile: bins and counts of the data that a model was trained on.

Versioned JSON without raw rows. The sidecar counts live values on the same bins, so that drift is
a comparison of two lists of counts. Bins follow Prometheus's `le`: bin i holds
edges[i-1] < value <= edges[i]; the first bin is underflow (below the reference's smallest value),
the last overflow (above its largest), and neither holds a reference row.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

__all__ = [
    "CALIBRATION_EDGES",
    "CONFIDENCE_EDGES",
    "OTHER",
    "Calibration",
    "CategoryBins",
    "NumericBins",
    "Profile",
    "ProfileError",
    "build_profile",
    "count_numeric",
    "read_profile",
    "write_profile",
]

OTHER: Final = "other"
"""What values fold into that the profile does not know."""

CONFIDENCE_EDGES: Final = tuple(round(0.05 * i, 2) for i in range(1, 21))
"""Bins of a probability: steps of 0.05."""

CALIBRATION_EDGES: Final = (*CONFIDENCE_EDGES[:-1], 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
"""Bins of how right confidences are: finer at the end, where those of a good model crowd."""

MAX_CATEGORIES: Final = 50
"""Categories a profile names; rarer ones of the reference fold into OTHER."""

_LARGEST: Final = 1e300
"""Beyond it there is no room left for an edge above the largest value."""

Value = float | int | str | bool | None


class ProfileError(Exception):
    """A profile that cannot be built or read: which file or column, and why."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumericBins(_Frozen):
    """A numeric column: `len(edges) + 1` counts, the first underflow and the last overflow."""

    kind: Literal["numeric"] = "numeric"
    edges: tuple[float, ...] = Field(min_length=1)
    counts: tuple[int, ...]
    missing: int = Field(default=0, ge=0)
    mean: float = 0.0
    std: float = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> NumericBins:
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        if not all(map(math.isfinite, self.edges)):
            raise ValueError("edges must be finite")
        _check_counts(self.counts, len(self.edges) + 1)
        return self


class CategoryBins(_Frozen):
    """A categorical column: a count per category and, last, one for all others."""

    kind: Literal["category"] = "category"
    categories: tuple[str, ...]
    counts: tuple[int, ...]
    missing: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> CategoryBins:
        if len(set(self.categories)) != len(self.categories) or OTHER in self.categories:
            raise ValueError(f"categories must differ, and {OTHER!r} is reserved")
        if "" in self.categories:
            raise ValueError("a category must not be empty")
        _check_counts(self.counts, len(self.categories) + 1)
        return self


def _check_counts(counts: tuple[int, ...], expected: int) -> None:
    if len(counts) != expected or any(count < 0 for count in counts):
        raise ValueError(f"needs {expected} counts of 0 or more, got {len(counts)}")


Bins = Annotated[NumericBins | CategoryBins, Field(discriminator="kind")]


class Calibration(_Frozen):
    """How right a classifier's confidences were on labelled rows that it was not trained on.

    `predicted` and `correct` hold, for each class that was predicted and each bin of confidence,
    how many rows there were and how many of them were right; `confusion` rows by predicted and
    actual class, the last of both for all others. Classes are those of the profile's prediction.
    """

    edges: tuple[float, ...]
    predicted: tuple[tuple[int, ...], ...]
    correct: tuple[tuple[int, ...], ...]
    confusion: tuple[tuple[int, ...], ...]

    @model_validator(mode="after")
    def _consistent(self) -> Calibration:
        if len(self.predicted) != len(self.correct) or len(self.confusion) != len(self.correct) + 1:
            raise ValueError("predicted, correct and confusion need a line for each class")
        if not self.edges or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges must ascend")
        for predicted, correct in zip(self.predicted, self.correct, strict=True):
            _check_counts(predicted, len(self.edges) + 1)
            _check_counts(correct, len(self.edges) + 1)
            if any(right > all_ for right, all_ in zip(correct, predicted, strict=True)):
                raise ValueError("more rows are right than there are")
        for line in self.confusion:
            _check_counts(line, len(self.confusion))
        return self


class Profile(_Frozen):
    """What a model's inputs and outputs looked like in training, or in a frozen window.

    Version 2 may have a calibration.
    """

    profile_version: Literal[1, 2] = 1
    model_name: str
    model_version: str | None = None
    rows: int = Field(ge=1)
    features: dict[str, Bins]
    prediction: Bins | None = None
    confidence: NumericBins | None = None
    calibration: Calibration | None = None

    @model_validator(mode="after")
    def _calibrates_its_classes(self) -> Profile:
        if self.calibration is None:
            return self
        classes = self.prediction.categories if isinstance(self.prediction, CategoryBins) else ()
        if len(self.calibration.predicted) != len(classes):
            raise ValueError("a calibration needs a line for each class of the prediction")
        return self


def count_numeric(edges: Sequence[float], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of finite `values` (shape [n]) over bins closed on the right; shape [edges + 1]."""
    index = np.searchsorted(np.asarray(edges), values, side="left")
    return np.bincount(index, minlength=len(edges) + 1)


def build_profile(
    columns: Mapping[str, Sequence[Value]],
    *,
    model_name: str,
    model_version: str | None = None,
    prediction: str | None = None,
    confidence: str | None = None,
    label: str | None = None,
    exclude: Sequence[str] = (),
    categories: Sequence[str] = (),
    bins: int = 10,
) -> Profile:
    """Bin every column: numbers by quantile (deciles unless told), the rest by category.

    `prediction` and `confidence` name the columns that are the model's output; a classifier's
    `label` tells with them how right its confidences are. Columns in `exclude` (an id) are left
    out; columns in `categories` (a predicted class, a code) are categories even where they hold
    numbers. Raises ProfileError naming the column.
    """
    if bins < 2:
        raise ProfileError(f"needs at least 2 bins, got {bins}")
    for name in (prediction, confidence, label, *exclude, *categories):
        if name is not None and name not in columns:
            raise ProfileError(f"no column {name!r}; there are {', '.join(columns)}")
    rows = {len(values) for values in columns.values()}
    if len(rows) != 1 or rows == {0}:
        raise ProfileError("needs columns of one length, with at least one row")
    outputs = {prediction, confidence, label, *exclude}

    def binned(name: str) -> NumericBins | CategoryBins:
        return _bin_column(name, columns[name], bins, as_category=name in categories)

    predicted = binned(prediction) if prediction else None
    sure = _bin_confidence(confidence, columns[confidence]) if confidence else None
    calibration = None
    if label and prediction and confidence and isinstance(predicted, CategoryBins):
        outcomes = zip(columns[prediction], columns[confidence], columns[label], strict=True)
        calibration = _calibrate(predicted.categories, outcomes)
    return Profile(
        profile_version=1 if calibration is None else 2,
        model_name=model_name,
        model_version=model_version,
        rows=rows.pop(),
        features={name: binned(name) for name in columns if name not in outputs},
        prediction=predicted,
        confidence=sure,
        calibration=calibration,
    )


def _calibrate(
    classes: Sequence[str], outcomes: Iterable[tuple[Value, Value, Value]]
) -> Calibration | None:
    """From rows of (prediction, confidence, label); None where no row has all three."""
    places = {name: place for place, name in enumerate(classes)}
    width = len(classes) + 1
    known = [
        (places.get(category_of(predicted), width - 1), sure, places.get(category_of(actual), -1))
        for predicted, sure, actual in (tuple(map(_plain, row)) for row in outcomes)
        if not (_is_missing(predicted) or _is_missing(sure) or _is_missing(actual))
    ]
    if not known:
        return None
    rows = np.array([row[0] for row in known])
    columns = np.array([row[2] for row in known]) % width
    bins = np.searchsorted(CALIBRATION_EDGES, np.array([row[1] for row in known], np.float64))
    predicted = np.zeros((width, len(CALIBRATION_EDGES) + 1), dtype=np.int64)
    correct, confusion = np.zeros_like(predicted), np.zeros((width, width), dtype=np.int64)
    np.add.at(predicted, (rows, bins), 1)
    np.add.at(correct, (rows, bins), rows == columns)
    np.add.at(confusion, (rows, columns), 1)

    def frozen(counts: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(line) for line in counts.tolist())

    return Calibration(
        edges=CALIBRATION_EDGES,
        predicted=frozen(predicted[:-1]),
        correct=frozen(correct[:-1]),
        confusion=frozen(confusion),
    )


def _bin_column(
    name: str, values: Sequence[Value], bins: int, *, as_category: bool
) -> NumericBins | CategoryBins:
    present = _present(name, values)
    numeric = not as_category and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in present
    )
    if numeric:
        numbers = np.asarray([_to_float(name, value) for value in present])
        return _numeric_bins(_quantile_edges(numbers, bins), numbers, len(values) - len(present))
    return _category_bins([category_of(value) for value in present], len(values) - len(present))


def _present(name: str, values: Sequence[Value]) -> list[Value]:
    """The values that are there; NumPy's scalars as Python's. Raises ProfileError for none."""
    present = [value for value in map(_plain, values) if not _is_missing(value)]
    if not present:
        raise ProfileError(f"column {name!r} has no value in any row; leave it out")
    return present


def _plain(value: Any) -> Value:
    plain: Value = value.item() if isinstance(value, np.generic) else value
    return plain


def _to_float(name: str, value: Value) -> float:
    try:
        number = float(value or 0)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise ProfileError(f"column {name!r} has an infinite value, or one beyond {_LARGEST:g}")
    return number


def _bin_confidence(name: str, values: Sequence[Value]) -> NumericBins:
    present = _present(name, values)
    try:
        numbers = np.asarray(present, dtype=np.float64)
    except ValueError:
        raise ProfileError(f"column {name!r} is not numeric, so it is no confidence") from None
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ProfileError(f"column {name!r} leaves 0 to 1, so it is no confidence")
    return _numeric_bins(CONFIDENCE_EDGES, numbers, len(values) - len(present))


def _numeric_bins(
    edges: Sequence[float], numbers: NDArray[np.float64], missing: int
) -> NumericBins:
    # Scaled where the squares of the numbers would not be finite.
    largest = float(np.abs(numbers).max())
    scale = largest if largest > 1e150 else 1.0
    return NumericBins(
        edges=tuple(edges),
        counts=tuple(count_numeric(edges, numbers).tolist()),
        missing=missing,
        mean=float((numbers / scale).mean()) * scale,
        std=float((numbers / scale).std()) * scale,
    )


def _category_bins(values: list[str], missing: int) -> CategoryBins:
    counted = Counter(values)
    # An empty label is no label to Prometheus, so an empty text can't be a category.
    others = counted.pop(OTHER, 0) + counted.pop("", 0)
    # By count, then by name, so that the same data give the same profile.
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    named = sorted(ordered[:MAX_CATEGORIES])
    others += sum(count for _, count in ordered[MAX_CATEGORIES:])
    return CategoryBins(
        categories=tuple(name for name, _ in named),
        counts=(*(count for _, count in named), others),
        missing=missing,
    )


def category_of(value: Value) -> str:
    """The category a value counts as: booleans as JSON writes them, whole numbers without .0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _is_missing(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _quantile_edges(numbers: NDArray[np.float64], bins: int) -> list[float]:
    """Edges just below the smallest value, at the quantiles, and at or above the largest.

    Rounded to six significant digits of the column's scale, since every edge is a label that is
    scraped again and again; kept exact where rounding would merge two quantiles.
    """
    exact = np.unique(
        np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf")
    )
    low, high = float(numbers.min()), float(numbers.max())
    # Below 1e-290 a millionth of the scale is no number any more.
    scale = max(abs(low), abs(high), 1e-290) if low or high else 1.0
    digits = 5 - math.floor(math.log10(scale))
    unit = 10.0**-digits
    below = round(math.floor(low / unit) * unit, max(digits, 0))
    if below >= low:
        below = round(below - unit, max(digits, 0))
    above = round(math.ceil(high / unit) * unit, max(digits, 0))
    rounded = np.unique([round(float(edge), digits) for edge in exact])
    inner = rounded if len(rounded) == len(exact) else exact
    edges = {float(edge) for edge in inner if below < edge < above} | {below, max(above, high)}
    return sorted(edges)


def read_profile(path: Path) -> Profile:
    """Read a profile. Raises ProfileError that says what is wrong with the file."""
    try:
        return Profile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ProfileError(f"{path.name}: {where}: {first['msg']}") from None


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile so that a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.write_text(_to_json(profile))
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def _to_json(profile: Profile) -> str:
    """Indented, one feature to a line, so that two profiles can be compared by eye."""
    head = profile.model_dump_json(exclude={"features"}, exclude_none=True)[1:-1]
    features = ",\n".join(
        f"    {json.dumps(name)}: {bins.model_dump_json()}"
        for name, bins in profile.features.items()
    )
    return f'{{\n  {head},\n  "features": {{\n{features}\n  }}\n}}\n'
