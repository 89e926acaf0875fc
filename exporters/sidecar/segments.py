"""Outcomes by segment: by the category that a feature had when the model was asked.

A label comes long after its prediction, so the segment travels with the prediction through the
log, as whole steps of 2 on its score: a score of 0.7 of segment 3 is kept as 6.7, and no score of
segment 3 as 7.5. So no store had to change, and what was kept before there were segments is of
none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import OTHER
from exporters.sidecar.layout import Categories, Layout

__all__ = ["ERRORS", "MAX_CLASSES", "Segments", "part", "together"]

ERRORS: Final = ("samples", "absolute", "squared", "quartic", "positive", "negative")
"""What is summed up of a regressor's errors in each segment: how many there are, |e|, e^2, e^4, and
|e| where the prediction was too high, and too low."""

MAX_CLASSES: Final = 10
"""Classes of a model that is sliced: series are segments times classes squared."""

_STEP: Final = 2.0
_UNKNOWN: Final = 1.5
"""A score that there is none of; real ones end at 1."""

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Segments:
    """The features that a model's outcomes are sliced by, with their categories."""

    known: tuple[tuple[str, Categories], ...]

    @classmethod
    def of(cls, layout: Layout) -> Segments:
        """Those that models.yaml names, as far as they are categories of the profile."""
        if layout.classifies and not 0 < len(layout.classes.names) <= MAX_CLASSES:
            return cls(())
        names = dict.fromkeys(layout.model.segments)
        return cls(
            tuple((name, layout.categories[name]) for name in names if name in layout.categories)
        )

    @property
    def names(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Features and their categories, other last: what tells two of these apart."""
        return tuple((name, (*own.names, OTHER)) for name, own in self.known)

    def codes(self, rows: Sequence[Any]) -> Floats:
        """The segment of each row of features (a mapping, or None); 0 is none. Shape [rows]."""
        codes = np.zeros(len(rows))
        for name, own in self.known:
            places = [_place(row, name, own) for row in rows]
            codes = codes * (len(own.names) + 2) + np.array(places, np.float64)
        return codes

    def codes_of(self, categories: Mapping[str, Places]) -> Floats:
        """As `codes`, from the places of each feature's categories; none is one beyond other."""
        codes: Floats = np.zeros(0)
        for name, own in self.known:
            places = np.where(categories[name] > own.other, 0, categories[name] + 1)
            codes = places + (codes * (len(own.names) + 2) if len(codes) else 0.0)
        return codes

    def places(self, codes: Floats) -> list[Places]:
        """Of each feature, the places of the rows' categories, -1 for none; shape [rows] each."""
        found: list[Places] = []
        left = codes.astype(np.intp)
        for _, own in reversed(self.known):
            size = len(own.names) + 2
            found.append(left % size - 1)
            left //= size
        return found[::-1]


def _place(row: Mapping[str, Any] | None, name: str, own: Categories) -> int:
    value = None if row is None else row.get(name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 0
    return own.place(value) + 1


def together(scores: Floats, codes: Floats) -> Floats:
    """Scores (NaN: none) with the segments that they are of."""
    held = _STEP * codes + np.where(np.isnan(scores), _UNKNOWN, scores)
    return np.where(codes > 0, held, scores)


def part(held: Floats) -> tuple[Floats, Floats]:
    """Scores and segments out of what `together` made of them."""
    codes = np.floor(np.nan_to_num(held) / _STEP)
    scores = held - _STEP * codes
    return np.where((codes > 0) & (scores > 1.25), np.nan, scores), codes
