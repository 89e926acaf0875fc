"""Which row and column of the arrays belongs to which bin of which column of which model.

Every feature of every profile, and its prediction, is a row; rows are padded to the widest, so that
a statistic is one call for all models. Column 0 of a row holds missing values; its bins follow from
column 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.profile import OTHER, CategoryBins, NumericBins, Profile, read_profile
from contract.quantity import Duration
from contract.spec import Model, Spec
from exporters.drift.statistics import positions

__all__ = ["Kind", "Layout", "Row", "layout", "read_layout"]

Kind = Literal["feature", "prediction"]
"""What a row is about; the `kind` label. A prediction's row has no name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One column of one model: `columns` gives, by upper edge or by category, its array column."""

    model: int
    kind: Kind
    name: str
    bins: NumericBins | CategoryBins
    columns: dict[float, int] | dict[str, int]


@dataclass(frozen=True)
class Layout:
    """The models that have a profile and the rows of all of them, model after model."""

    models: tuple[Model, ...]
    windows: tuple[Duration, ...]
    """Per model, its drift window as Prometheus sees it."""
    rows: tuple[Row, ...]

    @cached_property
    def width(self) -> int:
        """Columns of the widest row, missing values included."""
        return max((len(row.bins.counts) + 1 for row in self.rows), default=1)

    @cached_property
    def index(self) -> dict[tuple[str, str, Kind, str], int]:
        """The row of (model name, model version, kind, column name)."""
        return {
            (*self.models[row.model].key, row.kind, row.name): number
            for number, row in enumerate(self.rows)
        }

    @cached_property
    def places_of(self) -> dict[str, dict[bytes, int | tuple[int, str]]]:
        """Where series of a metric were found to belong, by the JSON of their labels: a cache."""
        return {}

    @cached_property
    def model_of(self) -> NDArray[np.int64]:
        """The model of each row; shape [rows]."""
        return np.array([row.model for row in self.rows], dtype=np.int64)

    @cached_property
    def is_feature(self) -> NDArray[np.bool_]:
        """Whether a row is a feature's; shape [rows]."""
        return np.array([row.kind == "feature" for row in self.rows], dtype=np.bool_)

    @cached_property
    def cumulative(self) -> NDArray[np.bool_]:
        """Whether a row is counted by a histogram's buckets; shape [rows]."""
        return np.array([isinstance(row.bins, NumericBins) for row in self.rows], dtype=np.bool_)

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """Which cells are bins and not padding; shape [rows, width]."""
        widths = np.array([len(row.bins.counts) + 1 for row in self.rows], dtype=np.int64)
        used: NDArray[np.bool_] = np.arange(self.width) < widths[:, np.newaxis]
        return used

    @cached_property
    def reference(self) -> NDArray[np.float64]:
        """The counts of the profiles; shape [rows, width]."""
        counts = np.zeros((len(self.rows), self.width))
        for number, row in enumerate(self.rows):
            counts[number, : len(row.bins.counts) + 1] = (row.bins.missing, *row.bins.counts)
        return counts

    @cached_property
    def methods(self) -> NDArray[np.str_]:
        """The method of each row, a name of `statistics.STATISTICS`; shape [rows].

        It is the model's, but categories have no order: there total variation stands in for ks,
        being its largest difference over all sets of categories and not only those up to a value,
        and for wasserstein, which it is where any two categories are 1 apart.
        """
        return np.array([self._method(row) for row in self.rows], dtype=np.str_)

    def _method(self, row: Row) -> str:
        method = self.models[row.model].drift.method
        if method in ("ks", "wasserstein") and isinstance(row.bins, CategoryBins):
            return "total_variation"
        return method

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """Where the values of bins lie, as `statistics.positions` has it; shape [rows, width].

        Padding lies where the last bin does; categories and missing values lie at 0.
        """
        places = np.zeros((len(self.rows), self.width))
        for number, row in enumerate(self.rows):
            if isinstance(row.bins, NumericBins):
                own = positions(row.bins.edges, row.bins.counts)
                places[number, : len(own)] = own
                places[number, len(own) :] = own[-1]
        return places

    def per_row(self, values: Sequence[float]) -> NDArray[np.float64]:
        """A value of each model, repeated for each of its rows; shape [rows]."""
        return np.array(values, dtype=np.float64)[self.model_of]


def read_layout(spec: Spec) -> Layout:
    """The layout of all models with a profile. Raises ProfileError for one that cannot be read."""
    pairs = [
        (model, read_profile(spec.path(model.profile)))
        for model in spec.models
        if model.profile is not None
    ]
    return layout(
        [model for model, _ in pairs],
        [profile for _, profile in pairs],
        [spec.clock(model.drift.window) for model, _ in pairs],
    )


def layout(
    models: Sequence[Model], profiles: Sequence[Profile], windows: Sequence[Duration]
) -> Layout:
    """The layout of models, each with its profile and its window."""
    rows = []
    for number, profile in enumerate(profiles):
        rows += [
            Row(number, "feature", name, bins, _columns(bins))
            for name, bins in profile.features.items()
        ]
        if profile.prediction is not None:
            # What has no prediction is an error, not a value that is missing.
            bins = profile.prediction.model_copy(update={"missing": 0})
            rows.append(Row(number, "prediction", "", bins, _columns(bins)))
    return Layout(tuple(models), tuple(windows), tuple(rows))


def _columns(bins: NumericBins | CategoryBins) -> dict[float, int] | dict[str, int]:
    return _of_edges(bins.edges) if isinstance(bins, NumericBins) else _of_names(bins.categories)


# Versions of a model mostly have the same bins: they share a dictionary.


@lru_cache(maxsize=10_000)
def _of_edges(edges: tuple[float, ...]) -> dict[float, int]:
    return {edge: column for column, edge in enumerate((*edges, math.inf), start=1)}


@lru_cache(maxsize=10_000)
def _of_names(categories: tuple[str, ...]) -> dict[str, int]:
    return {name: column for column, name in enumerate((*categories, OTHER), start=1)}
