"""Events of one model version, field by field: what is counted, as arrays.

Fields are taken out of their objects at once, while those are in the processor's cache; what then
waits to be counted are a few arrays, which are put together cheaply.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, repeat
from operator import itemgetter
from typing import Any, Final, Literal, cast

import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from exporters.sidecar.event import MAX_MAGNITUDE, STATUSES, Event, Value
from exporters.sidecar.layout import Categories, Layout, Numbers
from exporters.sidecar.shape import Features, Row

__all__ = ["PLACES", "Rows", "columns_of", "count_statuses"]

Counted = NDArray[np.int64]
Floats = NDArray[np.float64]

_NAN: Final = float("nan")
_NUMBERS: Final = frozenset({int, float, type(None)})
_TEXTS: Final = frozenset({str})

PLACES: Final = {name: place for place, name in enumerate(Event.__struct_fields__)}
"""Where each field stands in `columns_of`."""

LARGE: Final = 500
"""Rows of which to put a copy together with others takes longer than to count them alone."""

_NUMERIC: Final = ("latency_seconds", "confidence", "batch_size")


def columns_of(events: Sequence[Event]) -> list[Sequence[Any]]:
    """The fields of events, each as a column; at least one event."""
    return list(zip(*map(astuple, events), strict=True))


@dataclass(slots=True)
class Rows:
    """Events of one model version, ready to be counted on `layout`.

    `fields` holds float64, shape [size], NaN where there is no value: latency_seconds, confidence,
    batch_size, and prediction (of a classifier the places of classes). One that no event has is
    left out. `statuses` are counts in the order of STATUSES, `stages` those of all events that have
    some, `traces` pairs of trace and latency.

    `numbers` hold float64, as bytes row by row, or as an array of shape [numeric features, rows
    with features], one part after the other; NaN where a value is missing or, counted in `invalid`,
    no number. `categories`
    has the places of the values of each categorical feature, with the place after `other` where
    there is none.
    """

    layout: Layout
    size: int
    statuses: Counted
    fields: dict[str, Floats] = field(default_factory=dict)
    stages: list[dict[str, float]] = field(default_factory=list)
    traces: list[tuple[str, float]] = field(default_factory=list)
    features: int = 0
    numbers: list[bytes | Floats] = field(default_factory=list)
    invalid: Counted | None = None
    categories: list[NDArray[np.intp]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    """In how many rows a feature was that the layout does not know, by name."""

    @classmethod
    def of(
        cls, layout: Layout, events: Sequence[Event], columns: Sequence[Sequence[Any]] | None = None
    ) -> Rows:
        """The fields of events, at least one; `columns` are those of `columns_of`."""
        columns = columns_of(events) if columns is None else columns
        size = len(columns[0])
        rows = cls(layout, size, count_statuses(columns[PLACES["status"]]))
        for name in _NUMERIC:
            column = columns[PLACES[name]]
            if column.count(None) < size:
                rows.fields[name] = np.array(column, dtype=np.float64)
        rows.predict(columns[PLACES["prediction"]])
        if stages := _present(columns[PLACES["stages"]]):
            rows.stages = stages
        traces = columns[PLACES["trace_id"]]
        if traces.count(None) < size:
            rows.trace(traces, columns[PLACES["latency_seconds"]])
        if features := _present(columns[PLACES["features"]]):
            rows._take_features(features)
        return rows

    @classmethod
    def chained(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all parts, which have one layout; at least one. Traces are left out."""
        if len(parts) == 1:
            return parts[0]
        rows = cls(
            parts[0].layout,
            sum(part.size for part in parts),
            np.sum([part.statuses for part in parts], axis=0),
            features=sum(part.features for part in parts),
            numbers=list(chain.from_iterable(part.numbers for part in parts)),
            stages=list(chain.from_iterable(part.stages for part in parts)),
        )
        for name in dict.fromkeys(chain.from_iterable(part.fields for part in parts)):
            found = [part.fields.get(name) for part in parts]
            rows.fields[name] = np.concatenate(
                [
                    np.full(part.size, _NAN) if own is None else own
                    for part, own in zip(parts, found, strict=True)
                ]
            )
        invalid = [part.invalid for part in parts if part.invalid is not None]
        rows.invalid = np.sum(invalid, axis=0) if invalid else None
        categories = zip(*(part.categories for part in parts if part.features), strict=True)
        rows.categories = [np.concatenate(own) for own in categories]
        return rows

    def tables(self) -> Iterator[Floats]:
        """`numbers` as arrays of shape [numeric features, rows], small parts put together."""
        width = len(self.layout.numbers.names)
        for way, parts in groupby(self.numbers, _way):
            if way == "packed":
                joined = b"".join(cast("Iterator[bytes]", parts))
                yield np.frombuffer(joined, np.float64).reshape(-1, width).T
            elif way == "small":
                yield np.concatenate(cast("list[Floats]", list(parts)), axis=1)
            else:
                yield from cast("Iterator[Floats]", parts)

    def predict(self, predictions: Sequence[Any], which: NDArray[np.intp] | None = None) -> None:
        """Note what was predicted: None where nothing was.

        With `which`, these are the different predictions and that the place of each row's, -1 for
        none.
        """
        if predictions.count(None) == len(predictions):
            return
        if self.layout.classifies:
            known = self.layout.classes
            self.fields["prediction"] = _places_of(known, predictions, _NAN, np.float64, which)
        else:
            self.fields["prediction"] = np.array(predictions, dtype=np.float64)

    def trace(self, traces: Sequence[str | None], latencies: Sequence[float | None]) -> None:
        """Note the traces of those that have a latency."""
        self.traces = [
            (trace, latency)
            for trace, latency in zip(traces, latencies, strict=True)
            if trace is not None and latency is not None
        ]

    def _take_features(self, rows: Sequence[Row]) -> None:
        layout = self.layout
        self.features = len(rows)
        numbers, categories = layout.numbers, layout.categories
        kind = type(rows[0])
        if not issubclass(kind, Features) or (len(rows) > 1 and len(set(map(type, rows))) > 1):
            if numbers.names:
                packed, self.invalid = _read_numbers(numbers, rows)
                self.numbers = [packed]
            for name in categories:
                self.categorize(name, [row.get(name) for row in rows])
            for row in rows:
                if not row.keys() <= layout.features:
                    unknown = row.keys() - layout.features
                    self._ignore(name for name in unknown if row.get(name) is not None)
            return
        table = list(map(astuple, cast("Sequence[Features]", rows)))
        if numbers.names:
            packed, self.invalid = _read_table(numbers, kind, table)
            self.numbers = [packed]
        for name in categories:
            self.categorize(name, list(map(itemgetter(kind.places[name]), table)))
        if len(kind.places) > len(layout.features):
            for name in kind.places.keys() - layout.features:
                place = kind.places[name]
                self._ignore([name] * sum(row[place] is not None for row in table))

    def categorize(
        self, name: str, values: Sequence[Value], which: NDArray[np.intp] | None = None
    ) -> None:
        """Note the values of the next categorical feature; None where missing. `which` as above."""
        known = self.layout.categories[name]
        self.categories.append(_places_of(known, values, known.other + 1, np.intp, which))

    def _ignore(self, names: Iterable[str]) -> None:
        for name in names:
            self.ignored[name] = self.ignored.get(name, 0) + 1


def _way(part: bytes | Floats) -> Literal["packed", "small", "large"]:
    if isinstance(part, bytes):
        return "packed"
    return "small" if part.shape[1] < LARGE else "large"


def count_statuses(statuses: Sequence[str]) -> Counted:
    """How many there are of each of STATUSES."""
    return np.array([statuses.count(status) for status in STATUSES], dtype=np.int64)


def _places_of(
    known: Categories,
    values: Sequence[Any],
    absent: float,
    kind: Any,
    which: NDArray[np.intp] | None = None,
) -> NDArray[Any]:
    """The places of values among the categories, as an array of `kind`; `absent` for None."""
    if which is not None:
        # The last one is that of -1.
        distinct: NDArray[Any] = _places_of(known, [*values, None], absent, kind)
        return distinct[which]
    get, other = known.places.get, known.other
    # Among texts alone, values that are equal are the same one: 1, 1.0 and True are not.
    if set(map(type, values)) <= _TEXTS:
        return np.fromiter(map(get, values, repeat(other)), kind, len(values))
    places = [
        get(value, other) if type(value) is str else absent if value is None else known.place(value)
        for value in values
    ]
    return np.array(places, dtype=kind)


def _present(column: Sequence[Any]) -> list[Any]:
    if column[0] is None and column.count(None) == len(column):
        return []
    return [value for value in column if value is not None]


Read = tuple[bytes, Counted | None]
"""A part of Rows.numbers, and Rows.invalid."""


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
