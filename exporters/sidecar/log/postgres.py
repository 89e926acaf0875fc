"""The log in PostgreSQL, for several sidecars of one model: each finds what the others took.

A label is joined by whichever sidecar it reaches. The database decides which of two that come at
once is first, so nothing is counted twice; what a label finds is counted where the label arrived.
Counters start from 0 with the process, as Prometheus expects: nothing is replayed into them, since
events of the other sidecars are in the same tables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from exporters.sidecar.log.batch import (
    DUPLICATE,
    LATE,
    MATCHED,
    UNMATCHED,
    WAITING,
    Committed,
    Group,
    Joined,
    LabelBatch,
    LogError,
    PredictionBatch,
    Replayed,
    Version,
    random_keys,
)
from exporters.sidecar.log.export import Logged, Period, Source
from exporters.sidecar.log.rows import decode_event, encode_event

__all__ = ["PostgresLog", "read_postgres"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ml_prediction (
    model text NOT NULL,
    key bigint NOT NULL,
    version text NOT NULL,
    arrived double precision NOT NULL,
    time double precision NOT NULL,
    value double precision,
    class text,
    score double precision,
    event json NOT NULL,
    PRIMARY KEY (model, key)
);
CREATE INDEX IF NOT EXISTS ml_prediction_arrived ON ml_prediction (arrived);
CREATE TABLE IF NOT EXISTS ml_label (
    model text NOT NULL,
    key bigint NOT NULL,
    version text NOT NULL,
    arrived double precision NOT NULL,
    time double precision NOT NULL,
    actual json NOT NULL,
    result smallint NOT NULL,
    PRIMARY KEY (model, key)
);
CREATE INDEX IF NOT EXISTS ml_label_arrived ON ml_label (arrived);
CREATE INDEX IF NOT EXISTS ml_label_waiting ON ml_label (arrived) WHERE result = 4;
"""

assert WAITING == 4, "the partial index, and the queries that use it, say 4"

LOCK: Final = 0x6D6C6F67
"""The advisory lock under which one sidecar makes the tables."""

ATTEMPTS: Final = 3

TIDY_ROWS: Final = 2_000

T = TypeVar("T")


class PostgresLog:
    """A log at a libpq connection string. Spans are seconds, sizes bytes."""

    replays = False
    keeps_bodies = False

    def __init__(
        self, conninfo: str, *, retention: float, max_size: int, ttl: float, wait: float
    ) -> None:
        self._conninfo = conninfo
        self._retention = retention
        self._max_size = max_size
        self._ttl = ttl
        self._wait = wait
        self._versions: Sequence[Version] = ()
        self._places: dict[tuple[str, str], int] = {}
        self._connection: psycopg.Connection[Any] | None = None
        self._sequence = 0
        self._waits = 0

    def _place_of(self, model: str, version: str, other: int) -> int:
        """The place of a version, or `other`; versions may come to be known later."""
        if len(self._places) != len(self._versions):
            self._places = {
                (own.model_name, own.model_version): n for n, own in enumerate(self._versions)
            }
        return self._places.get((model, version), other)

    def open(self, versions: Sequence[Version]) -> tuple[bytes | None, Iterable[Replayed]]:
        """Connect and make the tables; nothing is replayed."""
        self._versions = versions

        def create(db: psycopg.Cursor[Any]) -> None:
            db.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            db.execute(SCHEMA)

        self._transact(create)
        return None, ()

    def commit(self, group: Group) -> Committed:
        """Write and join a group in one transaction."""

        def write(db: psycopg.Cursor[Any]) -> Committed:
            fresh = [self._insert(db, batch, group.arrived) for batch in group.predictions]
            joined = [
                part
                for batch, new in zip(group.predictions, fresh, strict=True)
                if (part := self._release(db, batch, new)) is not None
            ]
            joined += [self._label(db, batch, group.arrived) for batch in group.labels]
            return Committed(self._sequence + 1, fresh, joined)

        committed = self._transact(write)
        self._sequence = committed.sequence
        return committed

    def tidy(self, now: float) -> list[Joined]:
        """Give up labels that wait in vain, and delete some of the oldest rows."""

        def work(db: psycopg.Cursor[Any]) -> list[Joined]:
            joined = self._expire(db, now)
            oldest = now - self._retention
            if self._used(db) > self._max_size:
                oldest = now
            for table in ("ml_prediction", "ml_label"):
                db.execute(
                    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"  # noqa: S608  # the two names above
                    " WHERE arrived < %s ORDER BY arrived LIMIT %s FOR UPDATE SKIP LOCKED))",
                    (oldest, TIDY_ROWS),
                )
            return joined

        return self._transact(work)

    def waiting(self) -> int:
        """Labels that wait for their prediction, as of the last tidying."""
        return self._waits

    def stored(self) -> tuple[int, float | None]:
        """Bytes of live rows, and when the oldest prediction arrived."""

        def read(db: psycopg.Cursor[Any]) -> tuple[int, float | None]:
            row = db.execute("SELECT min(arrived) FROM ml_prediction").fetchone()
            return self._used(db), row[0] if row else None

        return self._transact(read)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _transact(self, work: Callable[[psycopg.Cursor[Any]], T]) -> T:
        """Run `work` in a transaction; again where another sidecar's stood in its way."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._conninfo, connect_timeout=5)
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    return work(cursor)
            except psycopg.OperationalError as error:
                # Deadlocks, serialization failures, and connections that were lost meanwhile.
                if self._connection is not None and self._connection.broken:
                    with contextlib.suppress(psycopg.Error):
                        self._connection.close()
                if attempt == ATTEMPTS:
                    raise LogError(_first_line(error)) from error
            except psycopg.Error as error:
                raise LogError(_first_line(error)) from error
        raise AssertionError("not reached")

    def _insert(
        self, db: psycopg.Cursor[Any], batch: PredictionBatch, arrived: float
    ) -> NDArray[np.bool_]:
        """Insert predictions; which were new. Those of the same id later in the batch are not."""
        own, entries = self._versions[batch.version], batch.entries
        keys = np.where(entries["key"] == 0, random_keys(len(entries)), entries["key"])
        # In the order of their keys, so that two sidecars never wait for each other in a circle.
        order = np.argsort(keys, kind="stable")
        signed = keys.view(np.int64)
        returned = db.execute(
            "INSERT INTO ml_prediction"
            " SELECT %s, k, %s, %s, t, nullif(v, 'NaN'), c, nullif(s, 'NaN'), e FROM unnest"
            " (%s::bigint[], %s::float8[], %s::float8[], %s::text[], %s::float8[], %s::json[])"
            " AS new (k, t, v, c, s, e) ON CONFLICT DO NOTHING RETURNING key",
            (
                own.model_name,
                own.model_version,
                arrived,
                signed[order].tolist(),
                entries["time"][order].tolist(),
                entries["value"][order].tolist(),
                [own.class_name(value) for value in entries["value"][order].tolist()],
                entries["score"][order].tolist(),
                [encode_event(batch.events[place]) for place in order.tolist()],
            ),
        ).fetchall()
        fresh = np.zeros(len(entries), bool)
        left = {row[0] for row in returned}
        for place, key in enumerate(signed.tolist()):
            if key in left:
                left.discard(key)
                fresh[place] = True
        return fresh

    def _release(
        self, db: psycopg.Cursor[Any], batch: PredictionBatch, fresh: NDArray[np.bool_]
    ) -> Joined | None:
        """Join labels that waited for predictions that are new."""
        keys = batch.entries["key"].view(np.int64)[fresh].tolist()
        if not keys:
            return None
        model = self._versions[batch.version].model_name
        found = db.execute(
            "SELECT key, time, actual FROM ml_label WHERE model = %s AND key = ANY(%s)"
            " AND result = 4 ORDER BY key FOR UPDATE",
            (model, keys),
        ).fetchall()
        return self._join(db, model, batch.version, found, missing=WAITING) if found else None

    def _label(self, db: psycopg.Cursor[Any], batch: LabelBatch, arrived: float) -> Joined:
        own, entries = self._versions[batch.version], batch.entries
        joined = Joined.of(batch.version, entries, batch.actuals, DUPLICATE)
        alone = entries["key"] == 0
        joined.results[alone] = MATCHED
        places = np.flatnonzero(~alone)
        signed = entries["key"].view(np.int64)
        order = places[np.argsort(signed[places], kind="stable")]
        brings = ~np.isnan(entries["value"])
        returned = db.execute(
            "INSERT INTO ml_label SELECT %s, k, %s, %s, t, a, r FROM unnest"
            " (%s::bigint[], %s::float8[], %s::json[], %s::smallint[]) AS new (k, t, a, r)"
            " ON CONFLICT DO NOTHING RETURNING key",
            (
                own.model_name,
                own.model_version,
                arrived,
                signed[order].tolist(),
                entries["time"][order].tolist(),
                [encode_event(batch.actuals[place]) for place in order.tolist()],
                [MATCHED if brings[place] else WAITING for place in order.tolist()],
            ),
        ).fetchall()
        new = {row[0] for row in returned}
        first: dict[int, int] = {}
        for place in order.tolist():
            key = int(signed[place])
            if key in new:
                first.setdefault(key, place)
        asked = [
            (key, float(entries["time"][place]), batch.actuals[place])
            for key, place in first.items()
            if not brings[place]
        ]
        for place in first.values():
            if brings[place]:
                joined.results[place] = MATCHED
        if asked:
            found = self._join(db, own.model_name, batch.version, asked, missing=WAITING)
            target = [first[key] for key, _, _ in asked]
            for name in ("results", "versions", "values", "scores", "delays"):
                getattr(joined, name)[target] = getattr(found, name)
        return joined

    def _join(
        self,
        db: psycopg.Cursor[Any],
        model: str,
        version: int,
        labels: Sequence[tuple[int, float, Any]],
        *,
        missing: int,
    ) -> Joined:
        """Join labels (key, time, actual) that nobody else has joined; `missing` where none is."""
        keys = [key for key, _, _ in labels]
        rows = db.execute(
            "SELECT key, version, time, value, class, score FROM ml_prediction"
            " WHERE model = %s AND key = ANY(%s)",
            (model, keys),
        ).fetchall()
        predictions = {row[0]: row[1:] for row in rows}
        joined = _nothing(version, [actual for *_, actual in labels], missing)
        for place, (key, time, _) in enumerate(labels):
            if key not in predictions:
                continue
            name, predicted, value, text, score = predictions[key]
            place_of = self._place_of(model, name, version)
            joined.versions[place] = place_of
            joined.values[place] = self._versions[place_of].value_of(value, text)
            joined.scores[place] = np.nan if score is None else score
            delay = max(time - predicted, 0)
            if value is None and text is None:
                joined.results[place] = UNMATCHED
            elif delay > self._ttl:
                joined.results[place] = LATE
            else:
                joined.results[place] = MATCHED
                joined.delays[place] = delay
        db.execute(
            "UPDATE ml_label SET result = r FROM unnest(%s::bigint[], %s::smallint[]) AS n (k, r)"
            " WHERE model = %s AND key = k",
            (keys, joined.results.tolist(), model),
        )
        return joined

    def _expire(self, db: psycopg.Cursor[Any], now: float) -> list[Joined]:
        found = db.execute(
            "SELECT model, version, key, time, actual FROM ml_label"
            " WHERE result = 4 AND arrived <= %s AND model = ANY(%s)"
            " ORDER BY model, key LIMIT %s FOR UPDATE SKIP LOCKED",
            (now - self._wait, [own.model_name for own in self._versions], TIDY_ROWS),
        ).fetchall()
        by_version: dict[tuple[str, str], list[tuple[int, float, Any]]] = {}
        for model, version, *label in found:
            by_version.setdefault((model, version), []).append((label[0], label[1], label[2]))
        row = db.execute("SELECT count(*) FROM ml_label WHERE result = 4").fetchone()
        self._waits = row[0] if row else 0
        # Once more: a label and its prediction that came at the same moment did not see each other.
        return [
            self._join(db, model, self._place_of(model, version, 0), labels, missing=UNMATCHED)
            for (model, version), labels in by_version.items()
        ]

    def _used(self, db: psycopg.Cursor[Any]) -> int:
        """Bytes of live rows: what deleted ones took is used again, not given back."""
        row = db.execute(
            "SELECT coalesce(sum(pg_total_relation_size(relid) * n_live_tup::float8"
            " / greatest(n_live_tup + n_dead_tup, 1)), 0)::bigint FROM pg_stat_user_tables"
            " WHERE relname IN ('ml_prediction', 'ml_label')"
        ).fetchone()
        return int(row[0]) if row else 0


def read_postgres(conninfo: str, model: str, period: Period) -> Source:
    """The predictions of a model in a PostgreSQL log. Raises LogError."""

    def read() -> Iterator[list[Logged]]:
        try:
            with psycopg.connect(conninfo, connect_timeout=5) as db, db.cursor("export") as cursor:
                cursor.execute(
                    "SELECT p.event::text, p.time, p.version, l.actual, l.time FROM ml_prediction p"
                    " LEFT JOIN ml_label l USING (model, key)"
                    " WHERE p.model = %s AND p.time >= %s AND p.time < %s ORDER BY p.arrived",
                    (model, period.start, period.end),
                )
                while rows := cursor.fetchmany(TIDY_ROWS):
                    yield [Logged(decode_event(event), *rest) for event, *rest in rows]
        except psycopg.Error as error:
            raise LogError(_first_line(error)) from error

    return read


def _nothing(version: int, actuals: list[Any], result: int) -> Joined:
    size = len(actuals)
    return Joined(
        np.full(size, result, np.uint8),
        np.full(size, version, np.uint16),
        np.full(size, np.nan),
        np.full(size, np.nan),
        np.full(size, np.nan),
        [float(actual) if type(actual) is int else actual for actual in actuals],
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
