"""The counters of one model version, and how events become counts.

Counting is a function from events to counts, and counts add up: nothing is half counted when
something goes wrong, and counts of another process or another file can be added as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contract.profile import count_numeric
from exporters.sidecar.event import MAX_MAGNITUDE, STATUSES, Event, Value
from exporters.sidecar.layout import BATCH_EDGES, STAGES, Categories, Layout, Numbers

__all__ = ["RESULTS", "Counts", "Histogram", "count_events"]

RESULTS: Final = ("matched", "unmatched", "duplicate")
"""What can come of a label."""

Counted = NDArray[np.int64]
_NUMBERS: Final = frozenset({int, float, type(None)})


def _zeros(size: int) -> Counted:
    return np.zeros(size, dtype=np.int64)


@dataclass(slots=True)
class Histogram:
    """`counts` of each bin (not cumulative), shape [edges + 1], and the sum of the values."""

    counts: Counted
    total: float = 0.0

    @classmethod
    def over(cls, edges: Sequence[float], values: Sequence[float] = ()) -> Histogram:
        """The histogram of `values`, which are finite."""
        if not values:
            return cls(_zeros(len(edges) + 1))
        array = np.array(values, dtype=np.float64)
        return cls(count_numeric(edges, array), float(array.sum()))

    def __iadd__(self, other: Histogram) -> Histogram:
        self.counts += other.counts
        self.total += other.total
        return self


@dataclass(slots=True)
class Counts:
    """Everything counted of one model version, in the order of its layout.

    `numbers` has the bins and missing values of all numeric features (see layout.Numbers),
    `number_totals` and `number_invalid` one value a feature. Each of `categories` has the
    categories of one feature, then other, then missing. `outcomes` has shape
    [predicted, actual], other last.
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
    categories: list[Counted]
    labels: Counted
    outcomes: Counted
    absolute_error: float = 0.0
    squared_error: float = 0.0
    error_samples: int = 0

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
            categories=[_zeros(len(own.names) + 2) for own in layout.categories.values()],
            labels=_zeros(len(RESULTS)),
            outcomes=np.zeros((classes, classes), dtype=np.int64),
        )

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
    counts = Counts.zero(layout)
    found = Counter(map(attrgetter("status"), events))
    counts.statuses += [found[status] for status in STATUSES]
    counts.latency = Histogram.over(layout.latency_edges, _present(events, "latency_seconds"))
    counts.batch_size = Histogram.over(BATCH_EDGES, _present(events, "batch_size"))
    counts.confidence = Histogram.over(layout.confidence_edges, _present(events, "confidence"))
    predictions = _present(events, "prediction")
    if layout.classifies:
        counts.classes = _count_places(layout.classes, predictions, 1)
    elif layout.value_edges:
        counts.value = Histogram.over(layout.value_edges, predictions)
    _count_stages(layout, counts, _present(events, "stages"))
    rows = _present(events, "features")
    if rows:
        if layout.numbers.names:
            _count_numbers(layout.numbers, counts, rows)
        for index, (name, known) in enumerate(layout.categories.items()):
            values = [row.get(name) for row in rows]
            present = [value for value in values if value is not None]
            counts.categories[index] = _count_places(known, present, 2)
            counts.categories[index][-1] = len(values) - len(present)
    return counts


def _present(events: Sequence[Event], name: str) -> list[Any]:
    return [value for value in map(attrgetter(name), events) if value is not None]


def _count_places(known: Categories, values: Sequence[float | str | bool], beyond: int) -> Counted:
    """Counts by category, with `beyond` places after the names."""
    place, get, other = known.place, known.places.get, known.other
    places = [get(value, other) if type(value) is str else place(value) for value in values]
    return np.bincount(np.array(places, dtype=np.intp), minlength=len(known.names) + beyond)


def _count_stages(layout: Layout, counts: Counts, found: Iterable[dict[str, float]]) -> None:
    seconds: list[list[float]] = [[] for _ in STAGES]
    places = dict(zip(STAGES, seconds, strict=True))
    for stages in found:
        for name, value in stages.items():
            places.get(name, seconds[-1]).append(value)
    counts.stages = [Histogram.over(layout.latency_edges, own) for own in seconds]


def _count_numbers(numbers: Numbers, counts: Counts, rows: Sequence[dict[str, Value]]) -> None:
    values, invalid = _read_numbers(numbers, rows)
    beyond = np.abs(values) > MAX_MAGNITUDE
    if beyond.any():
        values[beyond] = np.nan
        invalid += beyond.sum(axis=0)
    # Comparing with each edge in turn is faster than a search as long as there are few edges.
    places = np.zeros(values.shape, dtype=np.intp)
    for edges in numbers.edges:
        places += values > edges
    places += numbers.starts
    absent = np.isnan(values)
    if absent.any():
        places = np.where(absent, numbers.missing, places)
        values[absent] = 0.0
    counts.numbers = np.bincount(places.ravel(), minlength=numbers.size)
    counts.numbers[numbers.missing] -= invalid
    counts.number_totals = values.sum(axis=0)
    counts.number_invalid = invalid


def _read_numbers(
    numbers: Numbers, rows: Sequence[dict[str, Value]]
) -> tuple[NDArray[np.float64], Counted]:
    """The values, shape [rows, features], NaN where there is none; and how many are no numbers."""
    names = numbers.names
    flat: list[Any]
    try:
        # itemgetter of one name gives the value and not a tuple of it.
        flat = (
            list(chain.from_iterable(map(itemgetter(*names), rows)))
            if len(names) > 1
            else [row[names[0]] for row in rows]
        )
    except KeyError:
        flat = [row.get(name) for row in rows for name in names]
    invalid = _zeros(len(names))
    try:
        if not _NUMBERS.issuperset(map(type, flat)):
            raise TypeError
        values = np.array(flat, dtype=np.float64)
    except (TypeError, OverflowError):
        wrong = [place for place, value in enumerate(flat) if not _is_number(value)]
        for place in wrong:
            flat[place] = None
        invalid += np.bincount(np.array(wrong) % len(names), minlength=len(names))
        values = np.array(flat, dtype=np.float64)
    return values.reshape(len(rows), len(names)), invalid


def _is_number(value: Value) -> bool:
    if type(value) is int:
        return abs(value) <= MAX_MAGNITUDE
    return type(value) in _NUMBERS
