"""The log as a SQLite file: one row for the predictions of one version in one group.

A row holds many predictions, so that a commit writes a few large rows in sequence and no index:
that is what a disk is fast at. The index over the ids lives in memory, see `index`.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from exporters.sidecar.event import Event
from exporters.sidecar.log.batch import (
    ENTRY,
    Answer,
    Checkpoint,
    Committed,
    Entries,
    Group,
    Joined,
    LogError,
    PredictionBatch,
    Replayed,
    Version,
    chosen,
)
from exporters.sidecar.log.checkpoint import pack
from exporters.sidecar.log.index import Index
from exporters.sidecar.log.rows import decode_actuals, decode_events, encode, encode_bodies

__all__ = ["FILE", "LABELS", "PREDICTIONS", "SqliteLog", "connect"]

FILE: Final = "predictions.sqlite"

PREDICTIONS, LABELS, COUNTS = range(3)

FORMAT: Final = 2
READS: Final = frozenset({1, FORMAT})

PAGE: Final = 16 * 1024
WAL_PAGES: Final = 1024
"""Pages of the write-ahead log that are copied into the file at once: 16 MB."""

TIDY_SECONDS: Final = 0.01
"""How long one round of deleting may keep commits waiting."""

_ONE: Final = np.zeros(1, ENTRY)
"""Stands for the entries of counts, which have none."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chunk (
    seq INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    arrived REAL NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    rows INTEGER NOT NULL,
    entries BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    time REAL NOT NULL,
    counts BLOB NOT NULL
);
"""


class SqliteLog:
    """The default log, in `folder`. Spans are seconds, sizes bytes."""

    replays = True
    keeps_bodies = True

    def __init__(
        self,
        folder: Path,
        *,
        retention: float,
        max_size: int,
        ttl: float,
        wait: float,
    ) -> None:
        self._folder = folder
        self._retention = retention
        self._max_size = max_size
        self._index = Index(ttl=ttl, wait=wait)
        self._lock: IO[bytes] | None = None
        self._db: sqlite3.Connection
        self._versions: Sequence[Version] = ()
        self._sequence = 0

    def open(self, versions: Sequence[Version]) -> tuple[bytes | None, Iterable[Replayed]]:
        """Open or make the file; a second process on the same folder is refused."""
        self._versions = versions
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "predictions.lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = connect(self._folder / FILE)
        except BlockingIOError:
            assert self._lock is not None
            self._lock.close()
            raise LogError(
                f"{self._folder} is used by another sidecar; give each its own --data-dir"
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise LogError(f"{self._folder / FILE}: {error}") from None
        row = self._db.execute("SELECT seq, time, counts FROM checkpoint").fetchone()
        checkpoint = Checkpoint(*row) if row else Checkpoint(0, 0.0, b"")
        return checkpoint.counts or None, self._replay(checkpoint)

    def commit(self, group: Group) -> Committed:
        """Write a group in one transaction, and join once it is on the disk."""
        fresh = _split([batch.entries for batch in group.predictions], self._index.unseen)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for batch, mask in zip(group.predictions, fresh, strict=True):
                self._write(
                    PREDICTIONS,
                    group.arrived,
                    batch.version,
                    batch.entries[mask],
                    _encoded(batch, mask),
                )
            for labels in group.labels:
                # Second labels of a prediction too: a restart has to count them again.
                self._write(
                    LABELS, group.arrived, labels.version, labels.entries, encode(labels.actuals)
                )
            for version, counts in group.unlogged.items():
                own = self._versions[version]
                key = (own.model_name, own.model_version, own.fingerprint)
                self._write(COUNTS, group.arrived, version, _ONE, pack([(key, counts)]))
            if group.checkpoint is not None:
                point = group.checkpoint
                self._db.execute(
                    "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)",
                    (point.sequence, point.time, point.counts),
                )
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise LogError(f"{self._folder / FILE}: {error}") from error
        joined = []
        for batch, mask in zip(group.predictions, fresh, strict=True):
            released = self._index.predict(batch.version, batch.entries[mask], group.arrived)
            joined += [released] if released else []
        for labels in group.labels:
            joined.append(
                self._index.label(labels.version, labels.entries, labels.actuals, group.arrived)
            )
        return Committed(self._sequence, fresh, joined)

    def tidy(self, now: float) -> list[Joined]:
        """Delete what is too old or too much, for about TIDY_SECONDS."""
        expired = self._index.expire(now)
        end = time.monotonic() + TIDY_SECONDS
        oldest = now - self._retention
        try:
            while time.monotonic() < end and self._delete(oldest):
                pass
            pages, free = self._pragma("page_count"), self._pragma("freelist_count")
            if free > max(pages // 10, 256):
                self._db.execute("PRAGMA incremental_vacuum(64)").fetchall()
        except sqlite3.Error as error:
            raise LogError(f"{self._folder / FILE}: {error}") from error
        self._index.forget(oldest)
        return [expired] if expired else []

    def waiting(self) -> int:
        """Labels that wait for their prediction."""
        return self._index.waiting

    def stored(self) -> tuple[int, float | None]:
        """Bytes in use, and when the oldest row arrived."""
        row = self._db.execute("SELECT arrived FROM chunk ORDER BY seq LIMIT 1").fetchone()
        return self._used(), row[0] if row else None

    def close(self) -> None:
        """Close the file; its write-ahead log is folded in."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def _write(
        self, kind: int, arrived: float, version: int, entries: Entries, body: bytes
    ) -> None:
        if not len(entries):
            return
        own = self._versions[version]
        self._sequence += 1  # a number that a failed transaction used is not used again
        self._db.execute(
            "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._sequence,
                kind,
                arrived,
                own.model_name,
                own.model_version,
                own.fingerprint,
                len(entries),
                entries.tobytes(),
                body,
            ),
        )

    def _replay(self, checkpoint: Checkpoint) -> Iterator[Replayed]:
        """Fill the index from the log, and tell what is not in the checkpoint."""
        places = {(own.model_name, own.model_version): n for n, own in enumerate(self._versions)}
        counted = True
        query = (
            "SELECT seq, kind, arrived, model, version, fingerprint, entries FROM chunk"
            " ORDER BY seq"
        )
        for seq, kind, arrived, model, name, fingerprint, blob in self._db.execute(query):
            self._sequence = seq
            if counted and seq > checkpoint.sequence:
                counted = False
                self._index.expire(checkpoint.time)
            expired = self._index.expire(arrived)
            version = places.get((model, name))
            if expired and not counted:
                yield Replayed(0, joined=expired)
            if version is None:
                continue
            if kind == COUNTS:
                if not counted and fingerprint == self._versions[version].fingerprint:
                    yield Replayed(version, counts=self._body(seq))
                continue
            entries = np.frombuffer(blob, ENTRY)
            events: list[Event] = []
            stale = fingerprint != self._versions[version].fingerprint
            if kind == PREDICTIONS and (stale or not counted):
                events = decode_events(self._body(seq))
                entries = self._refreshed(version, entries, events) if stale else entries
            if kind == PREDICTIONS:
                joined = self._index.predict(version, entries, arrived)
            else:
                actuals: list[Answer] = decode_actuals(self._body(seq))
                joined = self._index.label(version, entries, actuals, arrived)
            if not counted:
                yield Replayed(version, events, joined)
        self._sequence = max(self._sequence, checkpoint.sequence)
        if counted:
            self._index.expire(checkpoint.time)

    def _refreshed(self, version: int, entries: Entries, events: Sequence[Event]) -> Entries:
        """Entries of events whose classes were numbered in another order when they came."""
        refreshed = entries.copy()
        anew = self._versions[version].entries_of(events, 0.0)
        refreshed["value"], refreshed["score"] = anew["value"], anew["score"]
        return refreshed

    def _body(self, seq: int) -> bytes:
        body: bytes = self._db.execute("SELECT body FROM chunk WHERE seq = ?", (seq,)).fetchone()[0]
        return body

    def _delete(self, oldest: float) -> bool:
        """Delete a few of the oldest rows where they have to go; whether there was any."""
        if self._used() > self._max_size:
            oldest = float("inf")
        return (
            self._db.execute(
                "DELETE FROM chunk WHERE seq IN"
                " (SELECT seq FROM chunk ORDER BY seq LIMIT 8) AND arrived < ?",
                (oldest,),
            ).rowcount
            > 0
        )

    def _used(self) -> int:
        return (self._pragma("page_count") - self._pragma("freelist_count")) * PAGE

    def _pragma(self, name: str) -> int:
        value: int = self._db.execute(f"PRAGMA {name}").fetchone()[0]
        return value


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection to a log's file, made if it is not there. Raises LogError for another format."""
    if readonly:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute(f"PRAGMA page_size = {PAGE}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    # A commit returns when the disk has it: it survives a loss of power, not only a kill.
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    db.execute("PRAGMA secure_delete = OFF")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found and found not in READS:
        raise LogError(f"{path} has format {found}, this version reads up to {FORMAT}")
    db.executescript(f"{SCHEMA} PRAGMA user_version = {FORMAT};")
    return db


def _encoded(batch: PredictionBatch, fresh: NDArray[np.bool_]) -> bytes:
    """The events that are new; as they came where that is all of them."""
    if not fresh.all():
        return encode(chosen(batch.events, fresh))
    bodies = [part.body for part in batch.parts if part.body is not None]
    return encode_bodies(bodies) if len(bodies) == len(batch.parts) else encode(batch.events)


def _split(parts: Sequence[Entries], judge: Any) -> list[Any]:
    """What `judge` says of the keys of all parts together, part by part."""
    if not parts:
        return []
    keys = np.concatenate([part["key"] for part in parts])
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.split(judge(keys), ends)
