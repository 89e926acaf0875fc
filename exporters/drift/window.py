"""Counts over windows: what the sidecars counted, asked from Prometheus and laid into arrays.

One query per metric and distinct window answers for all models at once, summed over replicas.
A count is what PromQL's `increase` gives: resets are seen, and it is extrapolated to the window's
ends by a factor that is nearly the same for all bins of a column, so shares are right and totals
are a few percent off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from contract import catalog
from contract.catalog import MODEL
from contract.profile import NumericBins
from contract.quantity import Duration
from exporters.drift.layout import Layout, Row
from exporters.drift.prometheus import PrometheusError, Sample

__all__ = ["Counts", "Failure", "Query", "read_counts"]

Reason = Literal["prometheus", "bins"]
Query = Callable[[str], Sequence[Sample]]
"""Gives the instant vector of an expression. Raises PrometheusError."""

BUCKETS: Final = catalog.FEATURE_VALUE.bucket
CATEGORIES: Final = catalog.FEATURE_CATEGORY.name
MISSING: Final = catalog.FEATURE_MISSING.name


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a model has no counts."""

    reason: Reason
    text: str


@dataclass(slots=True)
class Counts:
    """Counts per row and bin, shape [rows, width] as in the layout, and the models without."""

    values: NDArray[np.float64]
    failures: dict[int, Failure] = field(default_factory=dict)

    def fail(self, model: int, failure: Failure) -> None:
        """Note why a model has no counts; the first reason stands."""
        self.failures.setdefault(model, failure)


def read_counts(layout: Layout, query: Query) -> Counts:
    """Counts of all models over their windows.

    Models whose window could not be asked for, or whose bins differ from their profile's, are in
    `failures`; the counts of the others stand.
    """
    counts = Counts(np.zeros((len(layout.rows), layout.width)))
    seen = np.zeros((len(layout.rows), layout.width), dtype=np.bool_)
    for window in dict.fromkeys(layout.windows):
        models = {number for number, own in enumerate(layout.windows) if own == window}
        try:
            answers = {metric: query(text) for metric, text in expressions(window).items()}
        except PrometheusError as error:
            for model in models:
                counts.fail(model, Failure("prometheus", str(error)))
            continue
        for metric, samples in answers.items():
            _lay(metric, samples, layout, models, counts, seen)
    _check_whole(layout, counts, seen)
    counts.values = _bin_counts(layout, counts.values)
    return counts


def expressions(window: Duration) -> dict[str, str]:
    """The queries of one window, by the metric they read."""
    by = {BUCKETS: "le", CATEGORIES: "category", MISSING: None}
    return {
        metric: (
            f"sum by ({', '.join([*MODEL, 'feature_name', *([label] if label else [])])}) "
            f"(increase({metric}[{window}]))"
        )
        for metric, label in by.items()
    }


def _lay(
    metric: str,
    samples: Sequence[Sample],
    layout: Layout,
    models: set[int],
    counts: Counts,
    seen: NDArray[np.bool_],
) -> None:
    """Put every sample of these models at its place; what has none is a failure of its model."""
    edges: dict[str, float | None] = {}
    for sample in samples:
        labels = sample.metric
        name, version = labels.get("model_name", ""), labels.get("model_version", "")
        number = layout.index.get((name, version, "feature", labels.get("feature_name", "")))
        if number is None or (row := layout.rows[number]).model not in models:
            continue
        value = float(sample.value[1])
        if not math.isfinite(value):
            continue
        column = 0 if metric == MISSING else _column(metric, labels, row, edges)
        if column is None:
            counts.fail(row.model, Failure("bins", _difference(metric, labels, row)))
            continue
        counts.values[number, column] = value
        seen[number, column] = True


def _column(
    metric: str, labels: dict[str, str], row: Row, edges: dict[str, float | None]
) -> int | None:
    """The array column of a bucket or category, or None where the profile has none such."""
    if metric == CATEGORIES:
        return None if isinstance(row.bins, NumericBins) else _find(row, labels.get("category"))
    # The same edge may be written 1, 1.0 or 1e0: numbers are compared, each text read once.
    text = labels.get("le", "")
    if text not in edges:
        edges[text] = _edge(text)
    return _find(row, edges[text]) if isinstance(row.bins, NumericBins) else None


def _find(row: Row, key: float | str | None) -> int | None:
    columns: dict[float | str | None, int] = row.columns  # type: ignore[assignment]  # read only
    return columns.get(key)


def _edge(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _difference(metric: str, labels: dict[str, str], row: Row) -> str:
    what = f'le="{labels.get("le")}"' if metric == BUCKETS else f"category {labels.get('category')}"
    return f"feature {row.name} is counted with {what}, which its profile does not have"


def _check_whole(layout: Layout, counts: Counts, seen: NDArray[np.bool_]) -> None:
    """A histogram of which some buckets are missing was counted on other bins."""
    lacking = layout.used & ~seen
    lacking[:, 0] = False
    counted = seen[:, 1:].any(axis=1)
    for number in np.flatnonzero(lacking.any(axis=1) & counted & layout.cumulative):
        row = layout.rows[number]
        column = int(np.flatnonzero(lacking[number])[0])
        edge = next(edge for edge, at in row.columns.items() if at == column)
        text = f'feature {row.name} is not counted at le="{edge}", which its profile has'
        counts.fail(row.model, Failure("bins", text))


def _bin_counts(layout: Layout, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Buckets hold all counts up to their edge: take from each the one below it."""
    below = np.zeros_like(values)
    below[:, 2:] = values[:, 1:-1]
    bins = np.where(layout.cumulative[:, np.newaxis], values - below, values)
    # Extrapolation treats each bucket by itself, so one may fall short of its neighbour by a hair.
    return np.where(layout.used, np.maximum(bins, 0.0), 0.0)
