"""The prediction log beside the plain way: a SQLite table whose key is the prediction's id.

Both write events of 20 features, 1,000 to a commit, each commit on the disk before the next begins
(WAL, synchronous=FULL). The join is of a million labels, in random order, with predictions that
are in the log: once in the index alone, once from the ids to what is on the disk. The last case is
the whole sidecar over HTTP, beside the same one without durability (store: memory): events by the
CPU time that the sidecar used for them, as in bench-ingest; `notes` has them by the clock.
"""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from benchmarks import harness
from benchmarks.harness import Case, Side, Started, started
from benchmarks.ingest import FEATURES, _answers, _columns, _event, _write_spec
from benchmarks.load import Load, post
from contract.profile import read_profile
from contract.read import read_spec
from exporters.sidecar.event import Event, Label
from exporters.sidecar.labels import Labelled
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import Group, LabelBatch, PredictionBatch, make_keys
from exporters.sidecar.log.sqlite import SqliteLog
from exporters.sidecar.log.work import Part
from tests.processes import free_port

COMMIT: Final = 1_000
WRITTEN: Final = 100_000
LABELS: Final = 1_000_000
HTTP_SECONDS: Final = 2.0
DAY: Final = 86_400.0

numbers: Final = itertools.count()


def main() -> None:
    """Run the benchmark."""
    made = random.Random(1)
    rows = [_event(made) for _ in range(COMMIT)]
    with tempfile.TemporaryDirectory(dir=".") as name, ExitStack() as stack:
        folder = Path(name)
        _write_spec(folder, rows)
        ours, plain = _Ours(folder), _Plain(folder / "plain.sqlite")
        durable = stack.enter_context(_sidecar(folder, "sqlite"))
        memory = stack.enter_context(_sidecar(folder, "memory"))
        cases = [
            Case(
                f"durable, {COMMIT:,} a commit",
                "events/s",
                Side("prediction log", lambda: ours.write(rows)),
                Side("table by id", lambda: plain.write(rows)),
                target=100_000,
            ),
            Case(
                f"join of {LABELS:,} labels",
                "seconds",
                Side("index", lambda: ours.join(durable=False)),
                Side("table by id", plain.join),
                better="less",
                target=0.5,
            ),
            Case(
                f"{LABELS:,} labels from ids to disk",
                "seconds",
                Side("prediction log", lambda: ours.join(durable=True)),
                Side("join alone", lambda: ours.join(durable=False)),
                better="less",
            ),
            *(
                Case(
                    f"HTTP, {what} with ids",
                    "events/s/core",
                    Side("sidecar, sqlite", partial(_load, durable, body, size)),
                    Side("sidecar, memory", partial(_load, memory, body, size)),
                    target=100_000,
                )
                for what, body, size in (
                    ("batches of 100", _batch(rows), 100),
                    ("columns of 1,000", _table(rows), 1000),
                )
            ),
        ]
        notes = {
            "features": len(FEATURES),
            "sqlite": sqlite3.sqlite_version,
            "events_per_second_by_the_clock": clocked,
        }
        harness.run("log", cases, packages=["msgspec", "numpy", "xxhash"], notes=notes)


class _Ours:
    def __init__(self, folder: Path) -> None:
        spec = read_spec(folder / "models.yaml")
        layout = Layout.of(spec.models[0], read_profile(folder / "fraud.json"))
        self._known = Labelled(layout)
        self._folder = folder

    @contextmanager
    def _log(self) -> Iterator[SqliteLog]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            log = SqliteLog(Path(name), retention=DAY, max_size=10**11, ttl=DAY, wait=60)
            log.open([self._known])
            try:
                yield log
            finally:
                log.close()

    def write(self, rows: Sequence[dict[str, Any]]) -> float:
        events = [
            [_typed(row, f"{place}-{number}") for number, row in enumerate(rows)]
            for place in range(WRITTEN // COMMIT)
        ]
        with self._log() as log:
            began = time.perf_counter()
            for part in events:
                entries = self._known.entries_of(part, 1.0)
                log.commit(Group(1.0, [PredictionBatch(0, entries, [Part(0, part)])]))
            return WRITTEN / (time.perf_counter() - began)

    def join(self, *, durable: bool) -> float:
        event = Event("fraud", prediction="good", prediction_id="x")
        entries = self._known.entries_of([event], 1.0).repeat(LABELS)
        entries["key"] = make_keys("fraud", [f"id-{number}" for number in range(LABELS)])
        with self._log() as log:
            for start in range(0, LABELS, 50_000):
                part = entries[start : start + 50_000]
                log.commit(Group(1.0, [PredictionBatch(0, part, [Part(0, [event] * len(part))])]))
            ids = [f"id-{number}" for number in range(LABELS)]
            random.Random(2).shuffle(ids)
            labels = self._known.label_entries([Label("fraud", "good")], 2.0).repeat(LABELS)
            actuals: list[Any] = ["good"] * LABELS
            if not durable:
                labels["key"] = make_keys("fraud", ids)
            began = time.perf_counter()
            if durable:
                labels["key"] = make_keys("fraud", ids)
                [joined] = log.commit(Group(2.0, [], [LabelBatch(0, labels, actuals)])).joined
            else:
                joined = log._index.label(0, labels, actuals, 2.0)
            seconds = time.perf_counter() - began
        assert not joined.results.any(), "all of them match"
        return seconds


class _Plain:
    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")

    def _make(self) -> None:
        self._db.executescript(
            "DROP TABLE IF EXISTS p; CREATE TABLE p"
            " (id TEXT PRIMARY KEY, event TEXT, prediction TEXT, label TEXT)"
        )

    def write(self, rows: Sequence[dict[str, Any]]) -> float:
        self._make()
        made = random.Random(3)
        parts = [
            [(f"{made.getrandbits(64):016x}", row) for row in rows]
            for _ in range(WRITTEN // COMMIT)
        ]
        began = time.perf_counter()
        for part in parts:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO p VALUES (?, ?, ?, NULL)",
                [(name, json.dumps(row), row["prediction"]) for name, row in part],
            )
            self._db.execute("COMMIT")
        return WRITTEN / (time.perf_counter() - began)

    def join(self) -> float:
        self._make()
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO p VALUES (?, '', 'good', NULL)",
            ((f"id-{number}",) for number in range(LABELS)),
        )
        self._db.execute("COMMIT")
        ids = [f"id-{number}" for number in range(LABELS)]
        random.Random(2).shuffle(ids)
        began = time.perf_counter()
        self._db.execute("BEGIN")
        self._db.executemany(
            "UPDATE p SET label = 'good' WHERE id = ? AND label IS NULL", ((name,) for name in ids)
        )
        self._db.execute("COMMIT")
        return time.perf_counter() - began


def _typed(row: dict[str, Any], identity: str) -> Event:
    return msgspec.convert({**row, "prediction_id": identity}, Event)


@contextmanager
def _sidecar(folder: Path, store: str) -> Iterator[tuple[str, int, Started]]:
    spec = folder / f"{store}.yaml"
    spec.write_text(
        "models:\n  - {name: fraud, version: '1', task: binary_classification,"
        f" profile: fraud.json}}\nsidecar: {{log: {{store: {store}}}}}\n"
    )
    port = free_port()
    command = [sys.executable, "-m", "exporters.sidecar", "serve", "--models", str(spec)]
    command += ["--listen", f"127.0.0.1:{port}", "--data-dir", str(folder / store)]
    with started(command, until=lambda: _answers(port)) as process:
        yield store, port, process


def _batch(rows: Sequence[dict[str, Any]]) -> bytes:
    batch = [
        {**row, "prediction_id": f"@@@@@@@@@@-{place}"} for place, row in enumerate(rows[:100])
    ]
    return json.dumps(batch).encode()


def _table(rows: Sequence[dict[str, Any]]) -> bytes:
    table = json.loads(_columns(rows))
    table["columns"]["prediction_id"] = [f"@@@@@@@@@@-{place}" for place in range(len(rows))]
    return json.dumps(table).encode()


class _Requests:
    """The same events over and over, with ids that were never sent before."""

    def __init__(self, body: bytes) -> None:
        self._body = post("/v1/predictions", body, "application/json")

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, _: int) -> bytes:
        return self._body.replace(b"@@@@@@@@@@", b"%010d" % next(numbers))


clocked: dict[str, list[int]] = {}


def _load(sidecar: tuple[str, int, Started], body: bytes, size: int) -> float:
    store, port, process = sidecar
    load = Load(port)
    before = process.cpu_seconds()
    answered, seconds = load.run(cast("Sequence[bytes]", _Requests(body)), HTTP_SECONDS)
    used = process.cpu_seconds() - before
    load.close()
    clocked.setdefault(f"{store}, {size} at once", []).append(round(answered * size / seconds))
    return answered * size / used


if __name__ == "__main__":
    main()
