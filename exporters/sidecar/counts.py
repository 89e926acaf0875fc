"""The counters of one model version, and how events become counts.

Counting is a function from events to counts, and counts add up: nothing is half counted when
something goes wrong, and counts of another process or another file can be added as well.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain
from operator import itemgetter
from typing import Any, Final, cast

import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from contract.profile import CONFIDENCE_EDGES, count_numeric
from exporters.sidecar.event import MAX_MAGNITUDE, STATUSES, Event, Value
from exporters.sidecar.layout import (
    BATCH_EDGES,
    DELAY_EDGES,
    STAGES,
    Categories,
    Layout,
    Numbers,
)
from exporters.sidecar.shape import Features, Row

__all__ = ["RESULTS", "SCORE_LOSSES", "Counts", "Histogram", "Rows", "count_events", "count_rows"]

SCORE_LOSSES: Final = ("log", "log_squared", "squared", "quartic")
"""What is summed up of the scores of a binary classifier's outcomes; see labels."""

RESULTS: Final = ("matched", "unmatched", "duplicate", "late")
"""What can come of a label, in the order of log.batch."""

Counted = NDArray[np.int64]
_NAN: Final = float("nan")

BINNED: Final = 2_000
"""Rows that are binned together."""

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
        if not len(values):
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
    `number_totals`, `number_invalid` and `number_beyond` (out of range) one value a
    feature. Each of `categories` has the
    categories of one feature, then other, then missing. `outcomes` has shape
    [predicted, actual], other last; `outcome_scores` are those of each actual class.
    `actual_above` and `actual_below` are the sums of |actual| above and below zero, `error_above`
    and `error_below` those of |prediction - actual| where it was too high and too low.
    `class_confidence` has the bins of confidence of each predicted class, where the profile has a
    calibration, `score_losses` the sums named in SCORE_LOSSES.
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
        calibrated = len(layout.classes.names) if layout.calibrated else 0
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
                (calibrated, len(layout.confidence_edges) + 1), dtype=np.int64
            ),
            class_confidence_totals=np.zeros(calibrated),
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
        }
        for name in ("class_confidence", "class_confidence_totals"):
            changed[name] = (
                changed["confidence"] or getattr(self, name).shape != getattr(before, name).shape
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
    return count_rows(layout, Rows.of(layout, events)) if events else Counts.zero(layout)


_PLACES: Final = {name: place for place, name in enumerate(Event.__struct_fields__)}
_FEATURES: Final = _PLACES["features"]


@dataclass(slots=True)
class Rows:
    """Events of one model version, field by field, ready to be counted.

    Features are taken out of their objects at once, while those are in the processor's cache.
    `numbers` holds float64, shape [rows with features, numeric features], NaN where a value is
    missing or, counted in `invalid`, no number. `categories` has the values of each categorical
    feature, None where missing.
    """

    size: int
    columns: list[Sequence[Any]]
    features: int = 0
    numbers: bytes | NDArray[np.float64] = b""
    invalid: Counted | None = None
    categories: list[Sequence[Any]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    """In how many rows a feature was that the layout does not know, by name."""

    @classmethod
    def of(cls, layout: Layout, events: Sequence[Event]) -> Rows:
        """The fields of events; at least one."""
        columns: list[Sequence[Any]] = list(zip(*map(astuple, events), strict=True))
        rows = cls(len(events), columns)
        if features := rows.present("features"):
            rows._take_features(layout, features)
        return rows

    @classmethod
    def chained(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all parts; at least one."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(part.columns for part in parts), strict=True)
        categories = zip(*(part.categories for part in parts if part.features), strict=True)
        invalid = [part.invalid for part in parts if part.invalid is not None]
        return cls(
            sum(part.size for part in parts),
            [list(chain.from_iterable(own)) for own in columns],
            sum(part.features for part in parts),
            b"".join([bytes(part.numbers) for part in parts]),
            np.sum(invalid, axis=0) if invalid else None,
            [list(chain.from_iterable(own)) for own in categories],
        )

    def column(self, name: str) -> Any:
        """A field of all events, but not their features."""
        return self.columns[_PLACES[name]]

    def present(self, name: str) -> Any:
        """The values of a field where it has one."""
        column = self.column(name)
        if isinstance(column, np.ndarray):
            absences = np.isnan(column)
            return column[~absences] if absences.any() else column
        absent = column.count(None)
        if not absent:
            return column
        if absent == len(column):
            return ()
        return [value for value in column if value is not None]

    def _take_features(self, layout: Layout, rows: Sequence[Row]) -> None:
        self.columns[_FEATURES] = ()
        self.features = len(rows)
        numbers, categories = layout.numbers, layout.categories
        kind = type(rows[0])
        if not issubclass(kind, Features) or (len(rows) > 1 and len(set(map(type, rows))) > 1):
            if numbers.names:
                self.numbers, self.invalid = _read_numbers(numbers, rows)
            self.categories = [[row.get(name) for row in rows] for name in categories]
            for row in rows:
                if not row.keys() <= layout.features:
                    unknown = row.keys() - layout.features
                    self._ignore(name for name in unknown if row.get(name) is not None)
            return
        table = list(map(astuple, cast("Sequence[Features]", rows)))
        if numbers.names:
            self.numbers, self.invalid = _read_table(numbers, kind, table)
        self.categories = [list(map(itemgetter(kind.places[name]), table)) for name in categories]
        if len(kind.places) > len(layout.features):
            for name in kind.places.keys() - layout.features:
                place = kind.places[name]
                self._ignore([name] * sum(row[place] is not None for row in table))

    def _ignore(self, names: Iterable[str]) -> None:
        for name in names:
            self.ignored[name] = self.ignored.get(name, 0) + 1


def count_rows(layout: Layout, rows: Rows) -> Counts:
    """As count_events does, from the fields of events."""
    counts = Counts.zero(layout)
    statuses = rows.column("status")
    counts.statuses += [statuses.count(status) for status in STATUSES]
    counts.latency = Histogram.over(layout.latency_edges, rows.present("latency_seconds"))
    counts.batch_size = Histogram.over(BATCH_EDGES, rows.present("batch_size"))
    counts.confidence = Histogram.over(layout.confidence_edges, rows.present("confidence"))
    predictions = rows.present("prediction")
    if layout.calibrated:
        _count_class_confidence(layout, counts, rows)
    if layout.classifies:
        counts.classes = _count_places(layout.classes, predictions, 1)
    elif layout.value_edges:
        counts.value = Histogram.over(layout.value_edges, predictions)
    if stages := rows.present("stages"):
        _count_stages(layout, counts, stages)
    if not rows.features:
        return counts
    if width := len(layout.numbers.names):
        values = rows.numbers
        if isinstance(values, bytes):
            values = np.frombuffer(values).reshape(rows.features, width)
        invalid = _zeros(width) if rows.invalid is None else rows.invalid
        for start in range(0, rows.features, BINNED):
            # In slices, since a table of all values and bins would take much memory.
            _count_numbers(layout.numbers, counts, values[start : start + BINNED])
        counts.numbers[layout.numbers.missing] -= invalid
        counts.number_invalid += invalid
    for index, known in enumerate(layout.categories.values()):
        values_ = rows.categories[index]
        present = [value for value in values_ if value is not None]
        counts.categories[index] = _count_places(known, present, 2)
        counts.categories[index][-1] = len(values_) - len(present)
    return counts


def _count_places(known: Categories, values: Sequence[Any], beyond: int) -> Counted:
    """Counts by category, with `beyond` places after the names."""
    counts = _zeros(len(known.names) + beyond)
    # Among texts alone, values that are equal are the same one: 1, 1.0 and True are not.
    if set(map(type, values)) <= {str}:
        for value, count in Counter(values).items():
            counts[known.places.get(value, known.other)] += count
        return counts
    places = [known.place(value) for value in values]
    return counts + np.bincount(np.array(places, dtype=np.intp), minlength=len(counts))


def _count_class_confidence(layout: Layout, counts: Counts, rows: Rows) -> None:
    """Count the confidence of every row that predicts a class of the profile."""
    known, predictions = layout.classes, rows.column("prediction")
    confidences = np.asarray(rows.column("confidence"), dtype=np.float64)
    if not len(confidences) or not len(predictions):  # a table without that column
        return
    get = known.places.get
    places = np.array(
        [
            known.other
            if value is None
            else get(value, known.other)
            if type(value) is str
            else known.place(value)
            for value in predictions
        ],
        dtype=np.intp,
    )
    counted = (places != known.other) & ~np.isnan(confidences)
    places, confidences = places[counted], confidences[counted]
    width = counts.class_confidence.shape[1]
    cells = places * width + np.searchsorted(layout.confidence_edges, confidences)
    size = counts.class_confidence.size
    counts.class_confidence += np.bincount(cells, minlength=size).reshape(-1, width)
    counts.class_confidence_totals += np.bincount(places, confidences, minlength=len(known.names))


def _count_stages(layout: Layout, counts: Counts, found: Iterable[dict[str, float]]) -> None:
    seconds: list[list[float]] = [[] for _ in STAGES]
    places = dict(zip(STAGES, seconds, strict=True))
    for stages in found:
        for name, value in stages.items():
            places.get(name, seconds[-1]).append(value)
    counts.stages = [Histogram.over(layout.latency_edges, own) for own in seconds]


def _count_numbers(numbers: Numbers, counts: Counts, values: NDArray[np.float64]) -> None:
    """Count `values`, shape [rows, features]; NaN counts as missing.

    Sorted values need one short search for each edge, and NumPy sorts with vector instructions:
    that takes half the time of comparing every value with every edge, and a fifth of searching the
    edges for every value. NaN comes last.
    """
    columns = np.array(values.T, order="C")
    columns.sort(axis=1)
    upto = np.array(
        [
            column.searchsorted(cuts, side="right")
            for column, cuts in zip(columns, numbers.cuts, strict=True)
        ]
    )
    below, within, numeric = upto[:, 0], upto[:, -4], upto[:, -3]
    counts.numbers[numbers.places] += np.diff(upto[:, :-3], axis=1)[numbers.bins]
    counts.numbers[numbers.missing] += len(values) - numeric
    counts.number_invalid += below + numeric - within
    counts.number_beyond += upto[:, -2] - below + within - upto[:, -1]
    if (within - below == len(values)).all():
        counts.number_totals += columns.sum(axis=1)
    else:
        counts.number_totals += [
            column[start:end].sum()
            for column, start, end in zip(columns, below, within, strict=True)
        ]


Read = tuple[bytes, Counted | None]
"""Rows.numbers and Rows.invalid."""


def _read_table(numbers: Numbers, kind: type[Features], table: Sequence[tuple[Any, ...]]) -> Read:
    """The numbers of features that were decoded into `kind`."""
    wanted = [kind.places[name] for name in numbers.names]
    width = len(wanted)
    if wanted != list(range(len(table[0]))):
        table = (
            [row[:width] for row in table]
            if wanted == list(range(width))
            else [tuple([row[place] for place in wanted]) for row in table]
        )
    if max(wanted) >= kind.numbers:  # a number in this version, a category in another
        return _read_flat(numbers, list(chain.from_iterable(table)))
    pack = numbers.packing.pack
    try:
        return b"".join([pack(*row) for row in table]), None
    except struct.error:
        filled = ([_NAN if value is None else value for value in row] for row in table)
        return b"".join([pack(*row) for row in filled]), None


def _read_numbers(numbers: Numbers, rows: Sequence[Row]) -> Read:
    """The numbers of features of any type."""
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
    return _read_flat(numbers, flat)


def _read_flat(numbers: Numbers, flat: list[Any]) -> Read:
    width = len(numbers.names)
    invalid = None
    try:
        if not _NUMBERS.issuperset(map(type, flat)):
            raise TypeError
        values = np.array(flat, dtype=np.float64)
    except (TypeError, OverflowError):
        wrong = [place for place, value in enumerate(flat) if not _is_number(value)]
        for place in wrong:
            flat[place] = None
        invalid = np.bincount(np.array(wrong) % width, minlength=width)
        values = np.array(flat, dtype=np.float64)
    return values.tobytes(), invalid


def _is_number(value: Value) -> bool:
    if type(value) is int:
        return abs(value) <= MAX_MAGNITUDE
    return type(value) in _NUMBERS
