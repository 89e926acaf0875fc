"""How the values of each column are distributed in the reference, for dashboards to set beside now.

A bin of numbers has its edges as labels, written as the histogram writes its `le` but without a
trailing `.0`, so that PromQL finds the buckets that belong to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np

from contract import catalog
from contract.profile import OTHER, NumericBins
from exporters.drift.evaluate import Evaluation
from exporters.drift.layout import Layout, Row
from exporters.expose import Family, Series, series

__all__ = ["LARGEST", "MOST", "Shapes"]

LARGEST: Final = 200
"""Columns of a model beyond which its reference is not shown: nobody looks at all of them, and it
has as many series as what it is compared with."""


MOST: Final = 50_000
"""Series of all models together: those further down in models.yaml are not shown beyond."""


class Shapes:
    """The series of all bins of a layout, prepared once."""

    def __init__(self, layout: Layout) -> None:
        columns = np.bincount(layout.model_of, minlength=len(layout.models))
        bins = [len(row.bins.counts) for row in layout.rows]
        series_of = np.bincount(layout.model_of, bins, minlength=len(layout.models))
        series_of[columns > LARGEST] = 0
        shown = (columns <= LARGEST) & (np.cumsum(series_of) <= MOST)
        self._rows = np.flatnonzero(shown[layout.model_of]).tolist()
        self._bins = {number: self._series(layout, layout.rows[number]) for number in self._rows}

    def _series(self, layout: Layout, row: Row) -> list[Series]:
        model = layout.models[row.model]
        return [
            series(
                catalog.DRIFT_REFERENCE,
                model_name=model.name,
                model_version=model.version,
                kind=row.kind,
                feature_name=row.name,
                bin=f"{index:02d}",
                values=values,
                above=above,
                upto=upto,
            )
            for index, (values, above, upto) in enumerate(_bins(row), start=1)
        ]

    def family(self, evaluation: Evaluation) -> Family:
        """Shares of the reference that was compared with, of models that could be evaluated."""
        return Family(catalog.DRIFT_REFERENCE, list(self._shares(evaluation)))

    def _shares(self, evaluation: Evaluation) -> Iterator[tuple[Series, float]]:
        evaluated = evaluation.evaluated()
        for number in self._rows:
            bins = self._bins[number]
            counts = evaluation.reference[number, 1 : len(bins) + 1]
            total = float(counts.sum())
            if evaluated[number] and total > 0:
                yield from zip(bins, (counts / total).tolist(), strict=True)


def _bins(row: Row) -> Iterator[tuple[str, str, str]]:
    """Each bin for people, its lower and its upper edge; categories have no edges."""
    if not isinstance(row.bins, NumericBins):
        yield from ((name, "", "") for name in (*row.bins.categories, OTHER))
        return
    edges = row.bins.edges
    yield f"up to {edges[0]:.4g}", "-Inf", _edge(edges[0])
    for low, high in itertools.pairwise(edges):
        yield f"{low:.4g} to {high:.4g}", _edge(low), _edge(high)
    yield f"above {edges[-1]:.4g}", _edge(edges[-1]), "+Inf"


def _edge(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
