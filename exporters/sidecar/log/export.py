"""The log as a table for retraining: one row for each prediction, with its label where it has one.

Two passes over the log: the first finds which columns there are, of which type, and how many rows;
the second writes them, some thousands at a time.
"""

from __future__ import annotations

import csv
import datetime as dt
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from exporters.sidecar.event import Event
from exporters.sidecar.labels import likeliest
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import ENTRY, Answer, LogError
from exporters.sidecar.log.rows import decode_actuals, decode_events
from exporters.sidecar.log.sqlite import LABELS, PREDICTIONS, connect

__all__ = ["Logged", "Period", "Source", "export", "read_sqlite"]

OWN: Final = (
    "prediction_id",
    "model_version",
    "timestamp",
    "status",
    "prediction",
    "confidence",
    "label",
    "label_timestamp",
)
"""Columns of every export; a feature that is called like one of them is `feature_NAME`."""

PROGRESS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Period:
    """Predictions of these times, Unix seconds: from the first, before the second."""

    start: float = float("-inf")
    end: float = float("inf")


@dataclass(frozen=True, slots=True)
class Logged:
    """A prediction as it was logged, when it was made, and its label."""

    event: Event
    time: float
    version: str
    label: Answer | None = None
    label_time: float | None = None


Source = Callable[[], Iterator[list[Logged]]]
"""Gives the predictions of an export, some at a time, in the order they came; may be called again.
"""


@dataclass(slots=True)
class _Columns:
    """The columns of a table and the kinds of values that were seen in each."""

    kinds: dict[str, set[type]] = field(default_factory=lambda: {name: set() for name in OWN})
    rows: int = 0

    def see(self, row: Mapping[str, Any], rows: int = 1) -> None:
        self.rows += rows
        for name, value in row.items():
            if value is not None:
                self.kinds.setdefault(name, set()).add(type(value))
            else:
                self.kinds.setdefault(name, set())


def export(source: Source, layouts: Mapping[str, Layout], out: Path) -> int:
    """Write a .csv or .parquet file, all of it or none; the number of rows. Raises LogError."""
    columns = _Columns()
    # Those of the profiles are there even where no event has them, in the profile's order.
    for layout in layouts.values():
        columns.see({_column(name): None for name in layout.columns}, rows=0)
    with _progress("reading") as said:
        for part in source():
            for own in part:
                columns.see(_row(own, layouts))
            said(columns.rows, None)
    staged = out.with_name(f".{out.name}.part")
    try:
        with _progress("writing") as said, _writer(out.suffix, staged, columns) as write:
            done = 0
            for part in source():
                rows = [_row(own, layouts) for own in part]
                write(rows)
                done += len(rows)
                said(done, columns.rows)
        staged.replace(out)
    except OSError as error:
        raise LogError(f"{out}: {error.strerror}") from None
    finally:
        staged.unlink(missing_ok=True)
    return done


def read_sqlite(path: Path, model: str, period: Period) -> Source:
    """The predictions of a model in a SQLite log; it may be in use. Raises LogError."""
    if not path.is_file():
        raise LogError(f"{path}: there is no such file; --data-dir is where the sidecar keeps it")

    def read() -> Iterator[list[Logged]]:
        db = connect(path, readonly=True)
        try:
            labels = _read_labels(db, model)
            last = 0
            # Each row in a query of its own: a long one would keep the log from being cleaned up.
            while row := db.execute(
                "SELECT seq, version, entries, body FROM chunk"
                " WHERE seq > ? AND kind = ? AND model = ? ORDER BY seq LIMIT 1",
                (last, PREDICTIONS, model),
            ).fetchone():
                last, version, blob, body = row
                entries = np.frombuffer(blob, ENTRY)
                keys, times = entries["key"].tolist(), entries["time"].tolist()
                yield [
                    Logged(event, moment, version, *labels.get(key, (None, None)))
                    for event, key, moment in zip(decode_events(body), keys, times, strict=True)
                    if period.start <= moment < period.end
                ]
        except sqlite3.Error as error:
            raise LogError(f"{path}: {error}") from None
        finally:
            db.close()

    return read


def _read_labels(db: sqlite3.Connection, model: str) -> dict[int, tuple[Answer, float]]:
    labels: dict[int, tuple[Answer, float]] = {}
    query = "SELECT entries, body FROM chunk WHERE kind = ? AND model = ? ORDER BY seq"
    for blob, body in db.execute(query, (LABELS, model)):
        entries = np.frombuffer(blob, ENTRY)
        keys, times = entries["key"].tolist(), entries["time"].tolist()
        for key, moment, actual in zip(keys, times, decode_actuals(body), strict=True):
            if key:  # one without an id is of no prediction here, and predictions may have none
                labels.setdefault(key, (actual, moment))
    return labels


def _row(own: Logged, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    event, layout = own.event, layouts.get(own.version)
    prediction, confidence = event.prediction, event.confidence
    if isinstance(prediction, list):
        place = likeliest(prediction)
        confidence = prediction[place] if confidence is None else confidence
        names = layout.classes.names if layout else ()
        prediction = names[place] if place < len(names) else str(place)
    numeric = layout.numbers.names if layout else ()
    values = {
        _column(name): float(value) if type(value) is int and name in numeric else value
        for name, value in (event.features or {}).items()
    }
    return values | {
        "prediction_id": event.prediction_id,
        "model_version": own.version,
        "timestamp": _moment(own.time),
        "status": event.status,
        "prediction": prediction,
        "confidence": confidence,
        "label": own.label,
        "label_timestamp": None if own.label_time is None else _moment(own.label_time),
    }


def _column(feature: str) -> str:
    return f"feature_{feature}" if feature in OWN else feature


def _moment(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Said = Callable[[int, int | None], None]


@contextmanager
def _progress(what: str) -> Iterator[Said]:
    last = time.monotonic()

    def said(done: int, of: int | None) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            share = f" of {of:,} ({done / of:.0%})" if of else ""
            sys.stderr.write(f"{what}: {done:,}{share} predictions\n")

    yield said


class _Write(Protocol):
    def __call__(self, rows: Sequence[Mapping[str, Any]], /) -> None: ...


@contextmanager
def _writer(suffix: str, path: Path, columns: _Columns) -> Iterator[_Write]:
    if suffix == ".parquet":
        with _parquet(path, columns) as write:
            yield write
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns.kinds))
        writer.writeheader()
        yield writer.writerows


@contextmanager
def _parquet(path: Path, columns: _Columns) -> Iterator[_Write]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise LogError(
            "Parquet needs an extra: pip install 'ml-observability[parquet]'; CSV does not"
        ) from None

    def kind(seen: set[type]) -> Any:
        if seen == {bool}:
            return pa.bool_()
        return pa.float64() if seen and seen <= {int, float} else pa.string()

    schema = pa.schema([(name, kind(seen)) for name, seen in columns.kinds.items()])
    text = {
        name for name, own in zip(schema.names, schema.types, strict=True) if own == pa.string()
    }

    def value(row: Mapping[str, Any], name: str) -> Any:
        found = row.get(name)
        return str(found) if found is not None and name in text else found

    with pq.ParquetWriter(path, schema) as writer:
        waiting: list[Mapping[str, Any]] = []

        def write(rows: Sequence[Mapping[str, Any]]) -> None:
            waiting.extend(rows)
            if len(waiting) >= 50_000:
                flush()

        def flush() -> None:
            found = {name: [value(row, name) for row in waiting] for name in schema.names}
            writer.write_table(pa.table(found, schema=schema))
            waiting.clear()

        yield write
        if waiting:
            flush()
