"""Counts against profiles: scores, noise floors and verdicts, for all models in one go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exporters.drift import noise
from exporters.drift.discovery import discoveries
from exporters.drift.layout import Layout
from exporters.drift.past import Held
from exporters.drift.statistics import STATISTICS, Sides
from exporters.drift.window import Counts, Failure

__all__ = ["FALSE_DISCOVERIES", "SEVERITIES", "Evaluation", "evaluate"]

SEVERITIES = ("warning", "critical")

FALSE_DISCOVERIES: Final = 0.01
"""Of the features that count towards a model's share, at most so many by chance alone; so a model
without any drift has one in at most so many evaluations."""

_BLOCK: Final = 2048
"""Rows at a time: what lies between stays in the processor's cache, and memory bounded."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found at `time` (Unix). Arrays have one entry per row of the layout.

    `score` and `floor` (in the units of the row's method) are NaN where a row has no samples; rows
    of models in `failures` mean nothing.
    """

    layout: Layout
    time: float
    samples: NDArray[np.int64]
    score: Array
    floor: Array
    detected: dict[str, NDArray[np.bool_]]
    """By severity."""
    confirmed: NDArray[np.bool_]
    """Per row: it has drifted by warning, and is a discovery among the rows of its model."""
    share: Array
    """Per model, the share of its features that drifted; NaN where none has min_samples."""
    reference: Array
    """The counts that were compared with, missing values first; shape [rows, width]."""
    failures: dict[int, Failure]
    counts: Array
    """What was held against the reference; shape [rows, bins]."""

    def evaluated(self) -> NDArray[np.bool_]:
        """Whether the model of each row was evaluated; shape [rows]."""
        return ~np.isin(self.layout.model_of, list(self.failures))


def evaluate(
    layout: Layout, counts: Counts, *, time: float, held: Held | None = None
) -> Evaluation:
    """Hold counts against the profiles, or against another reference.

    A row has drifted where its score is above both the threshold and the noise floor and its
    window has min_samples. It counts towards its model's share where its score is above the
    warning threshold and it is a discovery among the model's features, which judges it by how
    many there are.
    """
    n = counts.values.sum(axis=1)
    held = held or Held(layout.reference, layout.places, {})
    score, floor, p_value = _compare(layout, counts.values, held)
    enough = np.rint(n) >= layout.per_row([model.drift.min_samples for model in layout.models])
    thresholds = {
        severity: layout.per_row([getattr(model.drift, severity) for model in layout.models])
        for severity in SEVERITIES
    }
    above_noise = enough & (score > floor)
    judged = enough & ~np.isnan(score) & layout.is_feature
    found = discoveries(np.where(judged, p_value, np.nan), layout.model_of, FALSE_DISCOVERIES)
    found &= above_noise & (score > thresholds["warning"])
    with np.errstate(invalid="ignore"):
        share = _per_model(layout, found) / _per_model(layout, judged)
    return Evaluation(
        layout=layout,
        time=time,
        samples=np.rint(n).astype(np.int64),
        score=score,
        floor=np.where(np.isnan(score), np.nan, floor),
        detected={name: above_noise & (score > value) for name, value in thresholds.items()},
        confirmed=found,
        share=share,
        reference=held.counts,
        failures=dict(counts.failures),
        counts=counts.values,
    )


def _compare(layout: Layout, current: Array, held: Held) -> tuple[Array, Array, Array]:
    """Score, noise floor and p-value of each row."""
    score, floor, p_value = (np.full(len(layout.rows), np.nan) for _ in range(3))
    for method in dict.fromkeys(layout.methods.tolist()):
        rows = np.flatnonzero(layout.methods == method)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            sides, places = Sides(held.counts[block], current[block]), held.places[block]
            score[block] = STATISTICS[method](sides, places)
            p_value[block] = noise.p_values(sides)
            floor[block] = noise.raised_floor(
                noise.floor(method, sides, places), score[block], p_value[block]
            )
    return score, floor, p_value


def _per_model(layout: Layout, rows: NDArray[np.bool_]) -> Array:
    return np.bincount(layout.model_of[rows], minlength=len(layout.models)).astype(np.float64)
