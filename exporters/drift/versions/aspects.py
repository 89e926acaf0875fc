"""What is compared of two versions: errors, latency, confidence, predictions, quality, business."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract import catalog
from contract.profile import OTHER
from contract.spec import BusinessRatio, Model
from exporters.drift.discovery import discoveries
from exporters.drift.versions.significance import (
    Difference,
    Means,
    Shares,
    compare_distributions,
    compare_means,
    compare_shares,
)
from exporters.drift.versions.strata import Counted

__all__ = ["Aspect", "compare"]

Array = NDArray[np.float64]
Side = Sequence[Counted]
"""What was counted of one version, by stretches of time."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One aspect of two versions: values as people read them, the counts behind them, the verdict.

    `p_value` is None where nothing can be said; `worse`: the newer one, by more than its limit and
    by more than chance.
    """

    name: str
    newer: float
    older: float
    newer_samples: float
    older_samples: float
    p_value: float | None
    worse: bool = False


@dataclass(frozen=True, slots=True)
class _Compared:
    """A difference in which more is worse, before the verdict."""

    name: str
    difference: Difference
    samples: tuple[float, float]
    limit: float | None
    relative: bool = False
    shown: Callable[[float], float] = lambda value: value

    @property
    def too_much(self) -> bool:
        """Whether the newer side is worse by more than matters."""
        if self.limit is None:
            return False
        found = self.difference
        limit = self.limit * abs(self.shown(found.older)) if self.relative else self.limit
        return found.newer - found.older > limit


def compare(newer: Model, older: Model, counted: tuple[Side, Side]) -> list[Aspect]:
    """Every aspect that both versions have, from what was counted of both at the same times.

    The p-values of all aspects are judged together, at the false discovery rate of
    `comparison.significance`: of equal versions, any is believed with at most that probability.
    """
    settings = newer.comparison
    found = [
        one
        for one in _all(newer, older, counted)
        if min(one.samples) >= settings.min_samples and not math.isnan(one.difference.newer)
    ]
    p_values = np.array([one.difference.p_value for one in found])
    group = np.zeros(len(found), dtype=np.int64)
    believed = discoveries(p_values, group, settings.significance)
    return [
        Aspect(
            one.name,
            one.shown(one.difference.newer),
            one.shown(one.difference.older),
            *one.samples,
            None if math.isnan(one.difference.p_value) else one.difference.p_value,
            worse=bool(sure) and one.too_much,
        )
        for one, sure in zip(found, believed.tolist(), strict=True)
    ]


def _all(newer: Model, older: Model, counted: tuple[Side, Side]) -> Iterator[_Compared]:
    limits = newer.comparison
    yield _shares("errors", counted, _failed, limits.errors)
    if (edge := _promised(newer)) is not None:
        yield _shares("slow", counted, lambda own: _slower(own, edge), limits.slow)
    yield _confidence(counted, limits.confidence)
    if newer.task == older.task == "regression":
        yield _mae(counted, limits.mae)
        yield _predictions(counted, catalog.PREDICTION_VALUE.bucket, limits.predictions)
    elif "regression" not in (newer.task, older.task):
        yield _shares("accuracy", counted, _wrong, limits.accuracy, shown=lambda wrong: 1 - wrong)
        yield _predictions(counted, catalog.PREDICTION_CLASS.name, limits.predictions)
    theirs = {ratio.name: ratio for ratio in older.business}
    for ratio in newer.business:
        if theirs.get(ratio.name) and _is_share(ratio, counted):
            yield _business(ratio, counted, limits.business)


# Shares: hits and all of them, in one stretch


def _shares(
    name: str,
    counted: tuple[Side, Side],
    count: Callable[[Counted], tuple[float, float]],
    limit: float,
    *,
    relative: bool = False,
    shown: Callable[[float], float] = lambda value: value,
) -> _Compared:
    newer, older = (_share_of(map(count, side)) for side in counted)
    samples = _together(newer.n, older.n)
    return _Compared(name, compare_shares(newer, older), samples, limit, relative, shown)


def _share_of(pairs: Iterable[tuple[float, float]]) -> Shares:
    hits, n = np.array([*pairs], dtype=np.float64).reshape(-1, 2).T
    return Shares(np.minimum(hits, n), n)


def _together(newer: Array, older: Array) -> tuple[float, float]:
    """What both sides have in the stretches in which both have some."""
    both = (newer > 0) & (older > 0)
    return float(newer[both].sum()), float(older[both].sum())


def _failed(own: Counted) -> tuple[float, float]:
    return own.get(catalog.INFERENCE_REQUESTS).get(("error",), 0.0), own.total(
        catalog.INFERENCE_REQUESTS
    )


def _promised(model: Model) -> float | None:
    """The threshold, in seconds, of the promise of latency with the highest target."""
    pairs = [(pair.target, pair.threshold.seconds) for pair in model.slo.latency]
    return max(pairs)[1] if pairs else None


def _slower(own: Counted, edge: float) -> tuple[float, float]:
    buckets = {
        float(le): count for (le,), count in own.get(catalog.INFERENCE_LATENCY.bucket).items()
    }
    total = buckets.get(math.inf, 0.0)
    if edge not in buckets:
        return 0.0, 0.0
    return max(total - buckets[edge], 0.0), total


def _wrong(own: Counted) -> tuple[float, float]:
    # Of two classes that the profile does not know, nobody can say whether they are the same.
    known = {
        (predicted, actual): count
        for (predicted, actual), count in own.get(catalog.OUTCOMES).items()
        if (predicted, actual) != (OTHER, OTHER)
    }
    right = sum(count for (predicted, actual), count in known.items() if predicted == actual)
    total = sum(known.values())
    return total - right, total


def _events(ratio: BusinessRatio, own: Counted) -> tuple[float, float]:
    events = own.get(catalog.BUSINESS_EVENTS)
    return events.get((ratio.numerator,), 0.0), events.get((ratio.denominator,), 0.0)


def _is_share(ratio: BusinessRatio, counted: tuple[Side, Side]) -> bool:
    """Whether it can be a share at all: there are no more events above the line than below it."""
    for side in counted:
        above, below = np.array([_events(ratio, own) for own in side]).sum(axis=0)
        if above > below:
            return False
    return True


def _business(ratio: BusinessRatio, counted: tuple[Side, Side], limit: float) -> _Compared:
    def lost(own: Counted) -> tuple[float, float]:
        above, below = _events(ratio, own)
        return max(below - above, 0.0), below

    return _shares(
        f"business_{ratio.name}",
        counted,
        lost,
        limit,
        relative=True,
        shown=lambda missing: 1 - missing,
    )


# Means and distributions


def _confidence(counted: tuple[Side, Side], limit: float) -> _Compared:
    newer, older = (_doubts(side) for side in counted)
    samples = _together(newer.n, older.n)
    return _Compared(
        "confidence",
        compare_means(newer, older),
        samples,
        limit,
        shown=lambda doubt: 1 - doubt,
    )


def _doubts(side: Side) -> Means:
    """1 less the confidence: its sum is exact, its squares are of the middles of bins.

    What lies within a bin adds a twelfth of its width squared, as if spread evenly (Sheppard).
    """
    rows = []
    for own in side:
        buckets = sorted(
            (float(le), count)
            for (le,), count in own.get(catalog.PREDICTION_CONFIDENCE.bucket).items()
        )
        edges = np.array([0.0, *(min(edge, 1.0) for edge, _ in buckets)])
        counts = np.maximum(np.diff([0.0, *(count for _, count in buckets)]), 0.0)
        n = float(counts.sum())
        middles, widths = 1 - (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        square = float((counts * (middles**2 + widths**2 / 12)).sum())
        rows.append((n, n - own.total(catalog.PREDICTION_CONFIDENCE.sum), square))
    return Means(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)


def _mae(counted: tuple[Side, Side], limit: float) -> _Compared:
    newer, older = (
        Means(
            *(
                np.array([own.total(metric) for own in side])
                for metric in (
                    catalog.ERROR_SAMPLES,
                    catalog.ABSOLUTE_ERROR,
                    catalog.SQUARED_ERROR,
                )
            )
        )
        for side in counted
    )
    samples = _together(newer.n, older.n)
    return _Compared("mae", compare_means(newer, older), samples, limit, relative=True)


def _predictions(counted: tuple[Side, Side], series: str, limit: float | None) -> _Compared:
    """Classes, or bins of numbers where both versions have the same ones."""
    labels = [{key for own in side for key in own.get(series)} for side in counted]
    if labels[0] != labels[1] or not labels[0]:
        nothing = Difference(math.nan, math.nan, math.nan)
        return _Compared("predictions", nothing, (0.0, 0.0), limit)
    order = sorted(labels[0], key=_edge if series.endswith("_bucket") else None)
    newer, older = (
        np.array([[own.get(series).get(key, 0.0) for key in order] for own in side])
        for side in counted
    )
    if series.endswith("_bucket"):
        newer, older = (
            np.maximum(np.diff(each, axis=1, prepend=0.0), 0.0) for each in (newer, older)
        )
    samples = _together(newer.sum(axis=1), older.sum(axis=1))
    return _Compared("predictions", compare_distributions(newer, older), samples, limit)


def _edge(key: tuple[str, ...]) -> float:
    return float(key[0])
