"""Batches that the log keeps as they came: what is counted, joined, replayed and exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from contract.read import read_spec
from exporters.sidecar.arrow import ARROW
from exporters.sidecar.body import Decoded
from exporters.sidecar.event import Event, Label
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.log.export import Period, export, read_sqlite
from exporters.sidecar.log.rows import encode
from exporters.sidecar.log.sqlite import FILE, SqliteLog
from exporters.sidecar.web import Web
from exporters.sidecar.wire import Answer
from tests.exporters.sidecar.serving import classifier_profile, write_spec
from tests.exporters.sidecar.test_shape import same

SIZE: Final = 60
EVENTS: Final[list[dict[str, Any]]] = [
    {
        "model_name": "mail",
        "prediction_id": f"id-{place}",
        "timestamp": 1_700_000_000.5 + place,
        "features": {"length": place / 3, "links": place % 19, "sender": "de"},
        "prediction": "spam" if place % 3 else "ham",
        "confidence": 0.5 + place / 200,
        "latency_seconds": 0.01 * place,
        "trace_id": f"trace-{place}",
    }
    for place in range(SIZE)
]


def columns() -> dict[str, Any]:
    names = [name for name in EVENTS[0] if name not in {"model_name", "features"}]
    found = {name: [event[name] for event in EVENTS] for name in names}
    features = {name: [event["features"][name] for event in EVENTS] for name in ("length", "links")}
    features["sender"] = ["de"] * SIZE
    return {**found, "features": features}


def arrow() -> bytes:
    told = columns()
    features = told.pop("features")
    table = pa.table({**told, **{f"features.{name}": own for name, own in features.items()}})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema.with_metadata({"model_name": "mail"})) as writer:
        writer.write_table(table)
    return sink.getvalue()


FORMS: Final = {
    "a list": (json.dumps(EVENTS).encode(), "application/json"),
    "NDJSON": ("\n".join(map(json.dumps, EVENTS)).encode(), "application/x-ndjson"),
    "columns": (
        json.dumps({"model_name": "mail", "columns": columns()}).encode(),
        "application/json",
    ),
    "Arrow": (arrow(), ARROW),
}


class Running:
    """A sidecar without its thread and its address, on a log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout.of(read_spec(write_spec(folder)).models[1], classifier_profile())
        self.intake = Intake([self.layout])
        self.log = SqliteLog(folder, retention=1e12, max_size=10**9, ttl=1e12, wait=60)
        self.intake.commits = Commits(self.log, self.intake.versions)
        self.intake.commits.open()
        self._answer = Web(self.intake).directs()["/v1/predictions"].answer

    def post(self, body: bytes, kind: str = "application/json") -> dict[str, Any]:
        answer = self._answer(body, {b"content-type": kind.encode()})
        assert isinstance(answer, Answer)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found

    @property
    def counts(self) -> dict[str, Any]:
        counts = self.intake.tallies[0].counts
        return {name: getattr(counts, name) for name in counts.__dataclass_fields__}

    def label(self) -> list[int]:
        labels = [Label("mail", "spam", prediction_id=f"id-{place}") for place in range(SIZE)]
        self.intake.take_labels(Decoded(labels, range(SIZE)))
        found: list[int] = self.counts["labels"].tolist()
        return found

    def bodies(self) -> list[bytes]:
        """What lies in the log."""
        return [row[0] for row in self.log._db.execute("SELECT body FROM chunk WHERE kind = 0")]

    def kill(self) -> Path:
        """End without a last checkpoint; where the next one starts."""
        self.log.close()
        return self.folder


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts sidecars, and closes their logs in the end."""
    started: list[Running] = []

    def starting(folder: Path) -> Running:
        started.append(Running(folder))
        return started[-1]

    yield starting
    for each in started:
        each.log.close()


Start = Callable[[Path], Running]


def one_by_one(made: Running) -> Running:
    for event in EVENTS:
        made.post(json.dumps(event).encode())
    return made


def assert_same(left: Running, right: Running) -> None:
    found, expected = left.counts, right.counts
    assert [name for name in expected if not same(found[name], expected[name])] == []


@pytest.mark.parametrize(("body", "kind"), FORMS.values(), ids=FORMS)
def test_a_batch_is_kept_as_it_came_and_counts_what_its_events_count(
    tmp_path: Path, start: Start, body: bytes, kind: str
) -> None:
    expected = one_by_one(start(tmp_path / "single"))
    batch = start(tmp_path / "batch")
    assert batch.post(body, kind)["accepted"] == SIZE
    [kept] = batch.bodies()
    assert body in kept
    assert_same(batch, expected)
    assert batch.label() == expected.label()
    assert_same(batch, expected)
    after = start(batch.kill())
    assert_same(after, expected)
    assert exported(after) == exported(expected)


def exported(sidecar: Running) -> list[dict[str, str]]:
    out = sidecar.folder / "mail.csv"
    source = read_sqlite(sidecar.folder / FILE, "mail", Period())
    assert export(source, {sidecar.layout.model.version: sidecar.layout}, out) == SIZE
    rows = csv.DictReader(out.read_text().splitlines())
    return [{**row, "label_timestamp": ""} for row in rows]


@pytest.mark.parametrize(("body", "kind"), FORMS.values(), ids=FORMS)
def test_of_a_batch_that_comes_again_only_what_is_new_counts(
    tmp_path: Path, start: Start, body: bytes, kind: str
) -> None:
    sidecar = start(tmp_path)
    sidecar.post(json.dumps(EVENTS[:7]).encode())
    sidecar.post(body, kind)
    sidecar.post(body, kind)
    expected = one_by_one(start(tmp_path / "single"))
    assert_same(sidecar, expected)
    assert sidecar.intake.commits.duplicates == 7 + SIZE
    assert_same(start(sidecar.kill()), expected)


SPECIAL: Final = {
    "a label": {"actual": "spam"},
    "probabilities": {"prediction": [0.25, 0.75]},
    "another model's event": {"model_name": "nobody"},
    "a field of no event": {"surprise": 1},
    "a NaN": {"features": {"length": float("nan")}},
}


@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
def test_a_batch_with_something_special_is_read_event_by_event(
    tmp_path: Path, start: Start, special: dict[str, Any]
) -> None:
    events = [*EVENTS[:-1], {**EVENTS[-1], **special}]
    sidecar, single = start(tmp_path / "batch"), start(tmp_path / "single")
    said = sidecar.post(json.dumps(events).encode())
    for event in events[: said["accepted"]]:
        single.post(json.dumps(event).encode())
    assert_same(sidecar, single)
    assert_same(start(sidecar.kill()), single)


def test_what_an_older_sidecar_logged_is_read(tmp_path: Path, start: Start) -> None:
    old = start(tmp_path)
    old.post(json.dumps(EVENTS[:1]).encode())
    event = Event("mail", prediction_id="id-0", prediction="ham")
    old.log._db.execute("UPDATE chunk SET body = ?", (encode([event]),))
    old.log._db.execute("PRAGMA user_version = 1")
    assert start(old.kill()).counts["classes"].tolist() == [1, 0, 0]
