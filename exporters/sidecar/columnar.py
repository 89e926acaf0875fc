"""Events by column: `{"model_name": …, "columns": {"features": {"age": […]}, "prediction": […]}}`.

Columns of numbers go to NumPy as they are. Whatever does not fit the fast way (ids, labels, a value
that must be refused) is turned into rows, so that it counts and is refused just as rows are.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.spec import Limits
from exporters.sidecar.body import Body, BodyError, Decoded, Reader, check_number
from exporters.sidecar.event import MAX_ID, MAX_MAGNITUDE, STATUSES, Event
from exporters.sidecar.layout import Layout
from exporters.sidecar.rows import PLACES, Rows, count_statuses

__all__ = ["Batch", "Column", "Table", "read_json_table", "read_table", "rows_of"]

simdjson: Any = None
with contextlib.suppress(ImportError):  # msgspec reads columns, too, in twice the time
    simdjson = importlib.import_module("simdjson")
_parser: Any = simdjson.Parser() if simdjson else None

Floats = NDArray[np.float64]
Coded = tuple[list[Any], NDArray[np.intp]]
FindLayout = Callable[[str, str | None], Layout | None]

_VALUES: Final = frozenset({str, bool, int, float, type(None)})
_NUMBERS: Final = frozenset({int, float, type(None)})
_TEXT: Final = frozenset({str, type(None)})
_TEXTS: Final = frozenset({"status", "trace_id", "prediction_id"})
_FAST: Final = frozenset(
    {"prediction", "confidence", "latency_seconds", "batch_size", "timestamp", *_TEXTS}
)
"""Columns besides the features that need no rows."""

MAX_COLUMNS: Final = 1_000

_NESTED: Final = ("features", "stages")


class Column(Protocol):
    """One column of a table."""

    def __len__(self) -> int:
        """How many rows it has."""

    def numbers(self) -> Floats | None:
        """The numbers, NaN where there is none; None where something else is among them.

        They may lie in the body itself.
        """

    def values(self) -> list[Any]:
        """The values, None where there is none."""

    def coded(self) -> Coded | None:
        """Where that is cheap: the different texts, and which one each row has, -1 for none."""


@dataclass(slots=True)
class Table:
    """Events by column. `features` and `stages` have columns of their own in `nested`."""

    model_name: str
    model_version: str | None
    size: int
    columns: Mapping[str, Column]
    nested: Mapping[str, Mapping[str, Column]]


@dataclass(slots=True)
class Batch:
    """Events of one model version, ready to be counted."""

    key: tuple[str, str | None]
    rows: Rows
    ids: Sequence[str | None] = ()
    times: Sequence[float | None] = ()
    body: Body | None = None
    """What it was read from."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Fields that no event has, by name."""


class _List:
    """A column as a list of Python values."""

    __slots__ = ("_values",)

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def numbers(self) -> Floats | None:
        if not _NUMBERS.issuperset(map(type, self._values)):
            return None
        try:
            return np.array(self._values, dtype=np.float64)
        except OverflowError:
            return None

    def values(self) -> list[Any]:
        return self._values

    def coded(self) -> Coded | None:
        return _coded(self._values)


class _Parsed:
    """A column in simdjson's document, which is `flat` where it has no list in a list."""

    __slots__ = ("_array", "_flat", "_values")

    def __init__(self, array: Any, *, flat: bool) -> None:
        self._array = array
        self._flat = flat
        self._values: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._array)

    def numbers(self) -> Floats | None:
        if self._flat:  # else lists within it would come out as part of it
            with contextlib.suppress(TypeError):  # a null, or no number
                found: Floats = np.frombuffer(self._array.as_buffer(of_type="d"))
                return found
        return _List(self.values()).numbers()

    def values(self) -> list[Any]:
        if self._values is None:
            self._values = self._array.as_list()
        return self._values

    def coded(self) -> Coded | None:
        return _coded(self.values())


def _coded(values: list[Any]) -> Coded | None:
    """The texts of a column as Column.coded has them; None where not all are texts."""
    try:
        places: dict[Any, int] = dict.fromkeys(values, -1)
    except TypeError:  # lists
        return None
    if not _TEXT.issuperset(map(type, places)):
        return None
    texts = [text for text in places if text is not None]
    places.update(zip(texts, range(len(texts)), strict=True))
    return texts, np.fromiter(map(places.__getitem__, values), np.intp, len(values))


def read_json_table(body: bytes, limits: Limits) -> Table | None:
    """The table in a body of JSON; None where it has no `columns`. Raises BodyError."""
    if simdjson is not None:
        try:
            # One parser for all bodies keeps its memory. It refuses (RuntimeError) while something
            # of the last body is still in use.
            document = _parser.parse(body)
            columns = document["columns"] if isinstance(document, simdjson.Object) else None
        except (ValueError, RuntimeError, KeyError):
            pass  # msgspec may read it, and says what is wrong where it does not
        else:
            if isinstance(columns, simdjson.Object):
                column = functools.partial(_Parsed, flat=_is_flat(body, columns))
                kinds = (simdjson.Object, simdjson.Array)
                return _as_table(document, columns, limits, kinds, column)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BodyError(f"is not JSON: {error}") from None
    except RecursionError:
        raise BodyError("is nested too deeply") from None
    if not isinstance(found, dict) or "columns" not in found:
        return None
    if not isinstance(found["columns"], dict):
        raise BodyError("has columns that are no object")
    return _as_table(found, found["columns"], limits, (dict, list), _List)


def _is_flat(body: bytes, columns: Any) -> bool:
    """Whether a body has no more lists than columns, so that none lies in another."""
    inside = [columns[name] for name in _NESTED if name in columns]
    nested = [own for own in inside if isinstance(own, simdjson.Object)]
    # A name may be there twice, and only one of these is looked at.
    most = len({*columns}) - len(nested) + sum(len({*own}) for own in nested)
    place = -1
    for _ in range(min(most, 2 * MAX_COLUMNS) + 1):
        place = body.find(b"[", place + 1)
        if place < 0:
            return True
    return False


def _as_table(
    document: Any,
    columns: Any,
    limits: Limits,
    kinds: tuple[type, type],
    column: Callable[[Any], Column],
) -> Table:
    mapping, array = kinds
    # Items of simdjson would be Python's lists already; its keys and lookups are not.
    if len(columns) > MAX_COLUMNS:
        raise BodyError(f"has {len(columns)} columns; send at most {MAX_COLUMNS}")
    own: dict[str, Column] = {}
    nested: dict[str, dict[str, Column]] = {}
    for name in columns:
        values = columns[name]
        if name in _NESTED and isinstance(values, mapping):
            inside: Any = values
            if len(inside) > MAX_COLUMNS:
                raise BodyError(f"has {len(inside)} {name}; send at most {MAX_COLUMNS}")
            nested[name] = {
                key: _column(f"{name}.{key}", inside[key], array, column) for key in inside
            }
        else:
            own[name] = _column(name, values, array, column)
    name, version = document.get("model_name"), document.get("model_version")
    if not isinstance(name, str):
        raise BodyError("has no model_name beside its columns")
    if version is not None and not isinstance(version, str):
        raise BodyError("has a model_version that is no text")
    return make_table(name, version, own, nested, limits)


def _column(name: str, values: Any, array: type, column: Callable[[Any], Column]) -> Column:
    if not isinstance(values, array):
        raise BodyError(f"has a column {name[:100]!r} that is no list")
    return column(values)


def make_table(
    model_name: str,
    model_version: str | None,
    columns: Mapping[str, Column],
    nested: Mapping[str, Mapping[str, Column]],
    limits: Limits,
) -> Table:
    """A table whose columns are of one length. Raises BodyError."""
    sizes = {len(column) for own in (columns, *nested.values()) for column in own.values()}
    if len(sizes) > 1:
        lengths = {name: len(column) for name, column in columns.items()}
        for name, own in nested.items():
            lengths |= {f"{name}.{key}": len(column) for key, column in own.items()}
        least, most = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise BodyError(
            f"has columns of different lengths: {least[:100]} has {lengths[least]}, "
            f"{most[:100]} has {lengths[most]}"
        )
    size = next(iter(sizes), 0)
    if not size:
        raise BodyError("holds no event")
    check_number(size, limits)
    return Table(model_name, model_version, size, columns, nested)


def read_table(
    table: Table, reader: Reader[Event], find: FindLayout, body: Body
) -> Batch | Decoded[Event]:
    """The events of a table: a batch where it can be counted as it is, else one by one."""
    layout = find(table.model_name, table.model_version)
    if layout is not None:
        batch = _as_batch(table, layout, reader.limits)
        if batch is not None:
            batch.body = body
            return batch
    return reader.read_values(rows_of(table))


def rows_of(table: Table) -> list[dict[str, Any]]:
    """The events as a body of rows would have them; null is absent."""
    head: dict[str, Any] = {"model_name": table.model_name}
    if table.model_version is not None:
        head["model_version"] = table.model_version
    rows = [dict(head) for _ in range(table.size)]
    for name, column in table.columns.items():
        for row, value in zip(rows, column.values(), strict=True):
            if value is not None and name not in head:
                row[name] = value
    for name, own in table.nested.items():
        for row in rows:
            row[name] = {}
        for key, column in own.items():
            for row, value in zip(rows, column.values(), strict=True):
                if value is not None:
                    row[name][key] = value
    return rows


def _as_batch(table: Table, layout: Layout, limits: Limits) -> Batch | None:
    known = {name: column for name, column in table.columns.items() if name in PLACES}
    if "stages" in table.nested or not _FAST.issuperset(known):
        return None
    statuses = np.array([table.size] + [0] * (len(STATUSES) - 1), dtype=np.int64)
    batch = Batch((table.model_name, table.model_version), Rows(layout, table.size, statuses))
    if not all(_take_column(batch, name, own, limits) for name, own in known.items()):
        return None
    # Without any, features were not told of; with none among them, all of them are missing.
    if "features" in table.nested and not _take_features(
        batch.rows, table.nested["features"], limits
    ):
        return None
    if "trace_id" in known and "latency_seconds" in known:
        batch.rows.trace(known["trace_id"].values(), known["latency_seconds"].values())
    for name in table.columns.keys() - PLACES.keys():
        if present := table.size - table.columns[name].values().count(None):
            batch.ignored[name] = present
    return batch


def _take_column(batch: Batch, name: str, column: Column, limits: Limits) -> bool:
    """Put a column into the batch; whether none of its values is wrong."""
    rows = batch.rows
    if name in _TEXTS or (name == "prediction" and rows.layout.classifies):
        return _take_texts(batch, name, column, limits)
    numbers = column.numbers()
    if numbers is None:
        return False
    if name == "timestamp":
        if not _within(numbers, -MAX_MAGNITUDE):
            return False
        batch.times = [None if time != time else time for time in numbers.tolist()]
        return True
    low, high = _BOUNDS[name]
    if not _within(numbers, low, high):
        return False
    if name == "batch_size" and (numbers != np.floor(numbers)).any():
        return False
    # What waits to be counted keeps no body.
    rows.fields[name] = numbers.copy()
    return True


def _take_texts(batch: Batch, name: str, column: Column, limits: Limits) -> bool:
    rows = batch.rows
    if name == "prediction" and (coded := column.coded()) is not None:
        rows.predict(*coded)
        return not _too_long(coded[0], limits.string)
    values = column.values()
    if name == "status":
        rows.statuses = count_statuses(values)
        return int(rows.statuses.sum()) == rows.size
    kinds = set(map(type, values))
    if name == "prediction":
        if not kinds <= _TEXT:
            numbers = column.numbers() if kinds <= _VALUES else None
            if numbers is None or not _within(numbers, -MAX_MAGNITUDE):
                return False
        rows.predict(values)
        return not _too_long(values, limits.string)
    if not kinds <= _TEXT:
        return False
    if name == "prediction_id":
        batch.ids = values
        return "" not in values and not _too_long(values, MAX_ID)
    return not _too_long(values, limits.string)


_BOUNDS: Final = {
    "prediction": (-MAX_MAGNITUDE, MAX_MAGNITUDE),
    "confidence": (0.0, 1.0),
    "latency_seconds": (0.0, MAX_MAGNITUDE),
    "batch_size": (1.0, 1e9),
}


def _within(numbers: Floats, low: float, high: float = MAX_MAGNITUDE) -> bool:
    return not ((numbers < low) | (numbers > high)).any()


def _too_long(values: list[Any], most: int) -> bool:
    """Whether one of the values is a text that rows would be refused for."""
    # Texts repeat: there are fewer different ones to be measured.
    texts = [value for value in set(values) if isinstance(value, str)]
    return max(map(len, texts), default=0) > most


def _take_features(rows: Rows, features: Mapping[str, Column], limits: Limits) -> bool:
    """Put the features into the rows; whether none of them is of a type that must be refused."""
    if len(features) > limits.features or max(map(len, features), default=0) > limits.string:
        return False
    layout = rows.layout
    rows.features = rows.size
    names = layout.numbers.names
    numbers = np.empty((len(names), rows.size))
    invalid = np.zeros(len(names), dtype=np.int64)
    for place, name in enumerate(names):
        column = features.get(name)
        own = np.nan if column is None else column.numbers()
        if own is None and column is not None:
            found = column.values()
            if not _VALUES.issuperset(map(type, found)) or _too_long(found, limits.string):
                return False
            own, invalid[place] = _sift(found)
        numbers[place] = own
    if names:
        rows.numbers = [numbers]
    rows.invalid = invalid if invalid.any() else None
    for name in layout.categories:
        if name in features and (coded := features[name].coded()) is not None:
            rows.categorize(name, *coded)
            if _too_long(coded[0], limits.string):
                return False
            continue
        found = features[name].values() if name in features else [None] * rows.size
        if not _VALUES.issuperset(map(type, found)) or _too_long(found, limits.string):
            return False
        rows.categorize(name, found)
    for name in features.keys() - layout.features:
        found = features[name].values()
        if not _VALUES.issuperset(map(type, found)) or _too_long(found, limits.string):
            return False
        rows.ignored[name] = len(found) - found.count(None)
    return True


def _sift(values: list[Any]) -> tuple[Floats, int]:
    """The numbers among values, NaN for the others, and how many of these are something."""
    good = [type(v) in {int, float} and abs(v) <= MAX_MAGNITUDE for v in values]
    kept = [v if ok else None for v, ok in zip(values, good, strict=True)]
    wrong = sum(not ok and v is not None for v, ok in zip(values, good, strict=True))
    return np.array(kept, dtype=np.float64), wrong
