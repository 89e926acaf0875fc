"""Counts against profiles: scores, noise floors and verdicts, for all models in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.drift.layout import Layout
from exporters.drift.statistics import Sides, noise_floor, occupied_bins, psi
from exporters.drift.window import Counts, Failure

__all__ = ["SEVERITIES", "Evaluation", "evaluate"]

SEVERITIES = ("warning", "critical")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found at `time` (Unix). Arrays have one entry per row of the layout.

    `score` and `floor` (nats) are NaN where a row has no samples; rows of models in `failures`
    mean nothing.
    """

    layout: Layout
    time: float
    samples: NDArray[np.int64]
    score: NDArray[np.float64]
    floor: NDArray[np.float64]
    detected: dict[str, NDArray[np.bool_]]
    """By severity."""
    failures: dict[int, Failure]

    def evaluated(self) -> NDArray[np.bool_]:
        """Whether the model of each row was evaluated; shape [rows]."""
        return ~np.isin(self.layout.model_of, list(self.failures))


def evaluate(layout: Layout, counts: Counts, *, time: float) -> Evaluation:
    """Hold counts against the profiles.

    A row has drifted where its score is above both the threshold and the noise floor and its
    window has min_samples.
    """
    reference, current = layout.reference, counts.values
    n, m = current.sum(axis=1), reference.sum(axis=1)
    score = psi(Sides(reference, current))
    floor = noise_floor(occupied_bins(reference, current), n, m)
    enough = np.rint(n) >= layout.per_row([model.drift.min_samples for model in layout.models])
    above_noise = enough & (score > floor)
    thresholds = {
        severity: layout.per_row([getattr(model.drift, severity) for model in layout.models])
        for severity in SEVERITIES
    }
    return Evaluation(
        layout=layout,
        time=time,
        samples=np.rint(n).astype(np.int64),
        score=score,
        floor=np.where(np.isnan(score), np.nan, floor),
        detected={name: above_noise & (score > value) for name, value in thresholds.items()},
        failures=dict(counts.failures),
    )
