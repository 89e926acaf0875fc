"""The counters of one model version, and how events become counts.

Counting is a function from events to counts, and counts add up: nothing is half counted when
something goes wrong, and counts of another process or another file can be added as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import CONFIDENCE_EDGES
from exporters.sidecar.binning import count_upto
from exporters.sidecar.event import MAX_MAGNITUDE, STATUSES, Event
from exporters.sidecar.layout import (
    BATCH_EDGES,
    DELAY_EDGES,
    STAGES,
    Layout,
    Numbers,
)
from exporters.sidecar.rows import Rows
from exporters.sidecar.segments import ERRORS, Segments

__all__ = ["RESULTS", "SCORE_LOSSES", "Counts", "Histogram", "count_events", "count_rows"]

SCORE_LOSSES: Final = ("log", "log_squared", "squared", "quartic")
"""What is summed up of the scores of a binary classifier's outcomes; see labels."""

RESULTS: Final = ("matched", "unmatched", "duplicate", "late")
"""What can come of a label, in the order of log.batch."""

Counted = NDArray[np.int64]
Floats = NDArray[np.float64]

BINNED: Final = 2_000
"""Rows that are binned together."""


def _zeros(size: int) -> Counted:
    return np.zeros(size, dtype=np.int64)


@dataclass(slots=True)
class Histogram:
    """`counts` of each bin (not cumulative), shape [edges + 1], and the sum of the values."""

    counts: Counted
    total: float = 0.0

    @classmethod
    def over(cls, edges: Sequence[float], values: NDArray[np.float64] | None = None) -> Histogram:
        """The histogram of `values`, which are finite; NaN is none."""
        if values is None or not len(values):
            return cls(_zeros(len(edges) + 1))
        counts = np.empty(len(edges) + 1, dtype=np.int64)
        counts[:-1] = count_upto(values[None], np.array([edges], dtype=np.float64))[0]
        total, counts[-1] = float(values.sum()), len(values)
        if total != total:
            numeric = values[~np.isnan(values)]
            total, counts[-1] = float(numeric.sum()), len(numeric)
        counts[1:] -= counts[:-1].copy()
        return cls(counts, total)

    def __iadd__(self, other: Histogram) -> Histogram:
        self.counts += other.counts
        self.total += other.total
        return self


@dataclass(slots=True)
class Counts:
    """Everything counted of one model version, in the order of its layout.

    `numbers` has the bins and missing values of all numeric features (see layout.Numbers),
    `number_totals`, `number_invalid` and `number_beyond` (out of range) one value a
    feature. Each of `categories` has the
    categories of one feature, then other, then missing. `outcomes` has shape
    [predicted, actual], other last; `outcome_scores` are those of each actual class.
    `actual_above` and `actual_below` are the sums of |actual| above and below zero, `error_above`
    and `error_below` those of |prediction - actual| where it was too high and too low.
    `class_confidence` has the bins of confidence of each predicted class, where the profile has a
    calibration, `score_losses` the sums named in SCORE_LOSSES. Of each feature that outcomes are
    sliced by, `segment_outcomes` has shape [categories, predicted, actual] or, of a regressor,
    `segment_errors` [categories, segments.ERRORS], other last.
    """

    statuses: Counted
    latency: Histogram
    stages: list[Histogram]
    batch_size: Histogram
    value: Histogram
    classes: Counted
    confidence: Histogram
    numbers: Counted
    number_totals: NDArray[np.float64]
    number_invalid: Counted
    number_beyond: Counted
    categories: list[Counted]
    labels: Counted
    label_delay: Histogram
    outcomes: Counted
    outcome_scores: list[Histogram]
    absolute_error: float = 0.0
    squared_error: float = 0.0
    error_samples: int = 0
    actual_above: float = 0.0
    actual_below: float = 0.0
    squared_actual: float = 0.0
    error_above: float = 0.0
    error_below: float = 0.0
    quartic_error: float = 0.0
    class_confidence: Counted = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    class_confidence_totals: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    score_losses: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SCORE_LOSSES)))
    segment_outcomes: list[Counted] = field(default_factory=list)
    segment_errors: list[NDArray[np.float64]] = field(default_factory=list)

    def missing(self, layout: Layout) -> dict[str, int]:
        """Events in which a feature of the profile was absent, null or NaN, by feature."""
        numbers = layout.numbers
        found = dict(zip(numbers.names, self.numbers[numbers.missing].tolist(), strict=True))
        for name, own in zip(layout.categories, self.categories, strict=True):
            found[name] = int(own[-1])
        return found

    @classmethod
    def zero(cls, layout: Layout) -> Counts:
        """Counts of nothing."""
        classes = len(layout.classes.names) + 1
        calibrated = len(layout.classes.names) if layout.calibration_edges else 0
        segments = Segments.of(layout).names
        return cls(
            statuses=_zeros(len(STATUSES)),
            latency=Histogram.over(layout.latency_edges),
            stages=[Histogram.over(layout.latency_edges) for _ in STAGES],
            batch_size=Histogram.over(BATCH_EDGES),
            value=Histogram.over(layout.value_edges or ()),
            classes=_zeros(classes),
            confidence=Histogram.over(layout.confidence_edges),
            numbers=_zeros(layout.numbers.size),
            number_totals=np.zeros(len(layout.numbers.names)),
            number_invalid=_zeros(len(layout.numbers.names)),
            number_beyond=_zeros(len(layout.numbers.names)),
            categories=[_zeros(len(own.names) + 2) for own in layout.categories.values()],
            labels=_zeros(len(RESULTS)),
            label_delay=Histogram.over(DELAY_EDGES),
            outcomes=np.zeros((classes, classes), dtype=np.int64),
            outcome_scores=[
                Histogram.over(CONFIDENCE_EDGES)
                for _ in (layout.classes.names if layout.scores_outcomes else ())
            ],
            class_confidence=np.zeros(
                (calibrated, len(layout.calibration_edges) + 1), dtype=np.int64
            ),
            class_confidence_totals=np.zeros(calibrated),
            segment_outcomes=[
                np.zeros((len(names), classes, classes), dtype=np.int64)
                for _, names in (segments if layout.classifies else ())
            ],
            segment_errors=[
                np.zeros((len(names), len(ERRORS)))
                for _, names in (() if layout.classifies else segments)
            ],
        )

    def adopt(self, before: Counts, old: Layout, new: Layout) -> None:
        """Take over counts of another layout with the same classes, as far as bins are the same."""
        changed = {
            "numbers": True,
            "number_totals": True,
            "number_invalid": True,
            "number_beyond": True,
            "categories": True,
            "latency": old.latency_edges != new.latency_edges,
            "stages": old.latency_edges != new.latency_edges,
            "confidence": old.confidence_edges != new.confidence_edges,
            "value": old.value_edges != new.value_edges,
            "outcome_scores": old.scores_outcomes != new.scores_outcomes,
            "segment_outcomes": Segments.of(old).names != Segments.of(new).names,
            "segment_errors": Segments.of(old).names != Segments.of(new).names,
        }
        for name in ("class_confidence", "class_confidence_totals"):
            changed[name] = (
                old.calibration_edges != new.calibration_edges
                or getattr(self, name).shape != getattr(before, name).shape
            )
        for item in fields(self):
            if not changed.get(item.name, False):
                setattr(self, item.name, getattr(before, item.name))
        for place, name in enumerate(new.numbers.names):
            if name in old.numbers.names:
                self._adopt_number(before, old.numbers, new.numbers, name, place)
        known = dict(zip(old.categories, before.categories, strict=True))
        for place, (name, own) in enumerate(new.categories.items()):
            if name in known and old.categories[name].names == own.names:
                self.categories[place] = known[name]

    def _adopt_number(
        self, before: Counts, old: Numbers, new: Numbers, name: str, place: int
    ) -> None:
        was = old.names.index(name)
        if old.feature_edges[was] != new.feature_edges[place]:
            return
        start, end = new.starts[place], new.missing[place]
        self.numbers[start : end + 1] = before.numbers[old.starts[was] : old.missing[was] + 1]
        self.number_totals[place] = before.number_totals[was]
        self.number_invalid[place] = before.number_invalid[was]
        self.number_beyond[place] = before.number_beyond[was]

    def add(self, other: Counts) -> None:
        """Add counts of the same layout."""
        for item in fields(self):
            own, more = getattr(self, item.name), getattr(other, item.name)
            if isinstance(own, list):
                for index, part in enumerate(more):
                    own[index] += part
            else:
                own += more
                setattr(self, item.name, own)


def count_events(layout: Layout, events: Sequence[Event]) -> Counts:
    """The counts of admitted events of one model version; labels are not among them."""
    return count_rows(Rows.of(layout, events)) if events else Counts.zero(layout)


def count_rows(rows: Rows) -> Counts:
    """As count_events does, from the fields of events."""
    layout, given = rows.layout, rows.fields
    counts = Counts.zero(layout)
    counts.statuses += rows.statuses
    counts.latency = Histogram.over(layout.latency_edges, given.get("latency_seconds"))
    counts.batch_size = Histogram.over(BATCH_EDGES, given.get("batch_size"))
    counts.confidence = Histogram.over(layout.confidence_edges, given.get("confidence"))
    if layout.calibration_edges:
        _count_class_confidence(layout, counts, rows)
    predicted = given.get("prediction")
    if layout.classifies and predicted is not None:
        places = predicted[~np.isnan(predicted)].astype(np.intp)
        counts.classes += np.bincount(places, minlength=len(counts.classes))
    elif layout.value_edges:
        counts.value = Histogram.over(layout.value_edges, predicted)
    if rows.stages:
        _count_stages(layout, counts, rows.stages)
    if not rows.features:
        return counts
    if width := len(layout.numbers.names):
        for values in rows.tables():
            for start in range(0, values.shape[1], BINNED):
                # In slices, which stay in the processor's cache.
                _count_numbers(layout.numbers, counts, values[:, start : start + BINNED])
        invalid = _zeros(width) if rows.invalid is None else rows.invalid
        counts.numbers[layout.numbers.missing] -= invalid
        counts.number_invalid += invalid
    for index, places in enumerate(rows.categories):
        size = len(counts.categories[index])
        counts.categories[index] = np.bincount(places, minlength=size)
    return counts


def _count_class_confidence(layout: Layout, counts: Counts, rows: Rows) -> None:
    """Count the confidence of every row that predicts a class of the profile."""
    predicted, confidences = rows.fields.get("prediction"), rows.fields.get("confidence")
    if predicted is None or confidences is None:
        return
    # NaN is below nothing.
    counted = (predicted < layout.classes.other) & ~np.isnan(confidences)
    places, confidences = predicted[counted].astype(np.intp), confidences[counted]
    width = counts.class_confidence.shape[1]
    cells = places * width + np.searchsorted(layout.calibration_edges, confidences)
    size = counts.class_confidence.size
    counts.class_confidence += np.bincount(cells, minlength=size).reshape(-1, width)
    counts.class_confidence_totals += np.bincount(
        places, confidences, minlength=len(layout.classes.names)
    )


def _count_stages(layout: Layout, counts: Counts, found: Iterable[dict[str, float]]) -> None:
    seconds: list[list[float]] = [[] for _ in STAGES]
    places = dict(zip(STAGES, seconds, strict=True))
    for stages in found:
        for name, value in stages.items():
            places.get(name, seconds[-1]).append(value)
    counts.stages = [Histogram.over(layout.latency_edges, np.array(own)) for own in seconds]


def _count_numbers(numbers: Numbers, counts: Counts, values: Floats) -> None:
    """Count `values`, shape [features, rows]; NaN counts as missing."""
    columns = np.ascontiguousarray(values)
    width, size = columns.shape
    upto = np.zeros((width, numbers.cuts.shape[1] + 2), np.int64)
    upto[:, 1:-1] = count_upto(columns, numbers.cuts)
    upto[:, -1] = size
    with np.errstate(invalid="ignore", over="ignore"):
        totals = columns.sum(axis=1)
    # Most features have all of their values within their range; NaN is in none.
    lowest, highest = columns.min(axis=1), columns.max(axis=1)
    odd = np.flatnonzero(~((lowest > numbers.limits[:, 3]) & (highest <= numbers.limits[:, 4])))
    if odd.size:
        columns = columns[odd]
        below, within, numeric, low, high = count_upto(columns, numbers.limits[odd]).T
        upto[odd, 0], upto[odd, -1] = below, within
        counts.numbers[numbers.missing[odd]] += size - numeric
        counts.number_invalid[odd] += below + numeric - within
        counts.number_beyond[odd] += low - below + within - high
        totals[odd] = np.where(np.abs(columns) <= MAX_MAGNITUDE, columns, 0.0).sum(axis=1)
    counts.numbers[numbers.places] += np.diff(upto, axis=1)[numbers.bins]
    counts.number_totals += totals
