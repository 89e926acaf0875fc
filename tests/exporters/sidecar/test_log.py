"""The log by itself: its index against a plain dictionary, retention, size, sampling, restarts."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.read import read_spec
from exporters.sidecar.event import Event, Label
from exporters.sidecar.intake import Intake
from exporters.sidecar.labels import Labelled
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import (
    DUPLICATE,
    ENTRY,
    LATE,
    MATCHED,
    UNMATCHED,
    WAITING,
    Group,
    LogError,
    PredictionBatch,
    is_sampled,
    make_keys,
)
from exporters.sidecar.log.commits import Commits
from exporters.sidecar.log.export import Period, read_sqlite
from exporters.sidecar.log.index import Index
from exporters.sidecar.log.rows import decode_events, encode
from exporters.sidecar.log.sqlite import FILE, SqliteLog
from exporters.sidecar.log.work import Part, Work
from tests.exporters.sidecar.serving import classifier_profile, write_spec

DAY = 86_400.0


def layout(folder: Path) -> Layout:
    return Layout.of(read_spec(write_spec(folder)).models[0], classifier_profile())


def entries(keys: Sequence[int], *, at: float = 0.0, value: float = 1.0) -> Any:
    made = np.zeros(len(keys), ENTRY)
    made["key"], made["time"], made["value"], made["score"] = keys, at, value, np.nan
    return made


def labels(keys: Sequence[int], *, at: float = 0.0, own: float = np.nan) -> Any:
    return entries(keys, at=at, value=own)


def results(index: Index, keys: Sequence[int], **more: float) -> list[int]:
    joined = index.label(0, labels(keys, **more), ["spam"] * len(keys), 0.0)
    return list(map(int, joined.results))


def test_the_index_does_what_a_dictionary_does() -> None:
    made = random.Random(1)
    index = Index(ttl=DAY, wait=DAY, generation=5_000, limit=10**9)
    predicted: set[int] = set()
    labelled: set[int] = set()
    waiting: set[int] = set()
    for _ in range(300):
        names = [str(made.randrange(40_000)) for _ in range(made.randrange(1, 200))]
        keys = make_keys("mail", names).tolist()
        if made.random() < 0.6:
            fresh = index.unseen(entries(keys)["key"]).tolist()
            for key, new in zip(keys, fresh, strict=True):
                assert new == (key not in predicted)
                predicted.add(key)
            kept = [key for key, new in zip(keys, fresh, strict=True) if new]
            released = index.predict(0, entries(kept), 0.0)
            expected = {key for key in kept if key in waiting}
            assert (0 if released is None else len(released.results)) == len(expected)
            waiting -= expected
            labelled |= expected
            continue
        for key, result in zip(keys, results(index, keys), strict=True):
            if key in labelled or key in waiting:
                assert result == DUPLICATE
            elif key in predicted:
                assert result == MATCHED
                labelled.add(key)
            else:
                assert result == WAITING
                waiting.add(key)
    assert index.waiting == len(waiting)


def test_what_becomes_of_a_label() -> None:
    index = Index(ttl=10, wait=5)
    index.predict(0, entries([1, 2], at=100), 100)
    index.predict(0, entries([3], at=100, value=np.nan), 100)
    assert results(index, [1, 1], at=105) == [MATCHED, DUPLICATE]
    assert results(index, [2], at=110.5) == [LATE]
    assert results(index, [2], at=110.5) == [DUPLICATE]
    assert results(index, [3], at=101) == [UNMATCHED]
    assert results(index, [4, 0], own=1.0) == [MATCHED, MATCHED]
    assert index.predict(0, entries([4]), 100) is None
    assert results(index, [4]) == [DUPLICATE]


def test_a_label_waits_for_its_prediction_and_no_longer() -> None:
    index = Index(ttl=10, wait=5)
    index.label(0, labels([1, 2], at=100), ["a", "b"], 100)
    assert index.expire(104) is None
    released = index.predict(3, entries([1], at=99), 104)
    assert released is not None
    assert (released.actuals, released.results[0], released.versions[0]) == (["a"], MATCHED, 3)
    assert released.delays[0] == 1
    expired = index.expire(105.5)
    assert expired is not None
    assert (expired.actuals, expired.results[0]) == (["b"], UNMATCHED)
    assert index.waiting == 0


def test_a_share_is_chosen_by_the_id_alone() -> None:
    keys = make_keys("mail", [f"id-{number}" for number in range(20_000)])
    assert is_sampled(keys, 0.1).mean() == pytest.approx(0.1, abs=0.01)
    assert (is_sampled(keys, 0.1) <= is_sampled(keys, 0.3)).all()
    assert make_keys("mail", ["id-0"])[0] == 0x0 + keys[0]


def open_log(folder: Path, **more: Any) -> SqliteLog:
    settings = {"retention": DAY, "max_size": 10**9, "ttl": DAY, "wait": 60.0, **more}
    return SqliteLog(folder, **settings)


def write(log: SqliteLog, known: Labelled, number: int, *, arrived: float, size: int = 1) -> None:
    events = [
        Event("mail", prediction_id=f"{number}-{place}", prediction="ham", trace_id="x" * 1000)
        for place in range(size)
    ]
    made = known.entries_of(events, arrived)
    log.commit(Group(arrived, [PredictionBatch(0, made, [Part(0, events)])]))


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    known, log = Labelled(layout(tmp_path)), open_log(tmp_path, retention=100.0)
    log.open([known])
    for number in range(40):
        write(log, known, number, arrived=float(number * 10))
    for _ in range(10):
        log.tidy(400.0)
    assert log.stored()[1] == 300.0
    log.close()


def test_what_is_too_much_goes_oldest_first(tmp_path: Path) -> None:
    known, log = Labelled(layout(tmp_path)), open_log(tmp_path, max_size=2_000_000)
    log.open([known])
    slowest = 0.0
    for number in range(60):
        write(log, known, number, arrived=float(number), size=100)
        began = time.perf_counter()
        log.tidy(60.0)
        slowest = max(slowest, time.perf_counter() - began)
    used, oldest = log.stored()
    assert used <= 2_200_000
    assert oldest is not None
    assert oldest > 20
    log.close()
    assert (tmp_path / "predictions.sqlite").stat().st_size < 2 * 2_200_000


def test_two_sidecars_never_share_a_file(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.open([])
    with pytest.raises(LogError, match="used by another sidecar"):
        open_log(tmp_path).open([])
    log.close()


def test_odd_values_do_not_keep_others_from_being_written() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    odd = [
        Event("mail", features={"a": 2**70, "b": -(10**400)}),
        Event("mail", metadata={"deep": deep, "large": 2**64}),
        Event("mail", prediction_id="fine"),
    ]
    found = decode_events(encode(odd))
    assert found[0].features == {"a": 2.0**70, "b": float("-inf")}
    assert found[2].prediction_id == "fine"


def commits(folder: Path, intake: Intake, **more: Any) -> Commits:
    made = Commits(open_log(folder), intake.versions, **more)
    made.open()
    return made


def test_counters_go_on_where_they_were(tmp_path: Path) -> None:
    own = layout(tmp_path)
    for round_ in range(3):
        intake = Intake([own])
        running = commits(tmp_path, intake)
        assert intake.tallies[0].counts.statuses.sum() == 2 * round_
        assert intake.tallies[0].counts.labels.tolist() == [round_, 0, 0, 0]
        events = [Event("mail", prediction_id=f"{round_}-{place}", prediction="ham")
                  for place in range(2)]  # fmt: skip
        running.submit(Work([Part(0, events)]))
        running.submit(Work((), [(0, [Label("mail", "spam", prediction_id=f"{round_}-0")])]))
        # One round ends by its checkpoint, the others without: as after a kill.
        if round_ == 1:
            running._finish()
        else:
            running._store.close()


@pytest.mark.parametrize("sampling", [1.0, 0.25])
def test_no_counter_goes_back_when_the_process_is_killed(tmp_path: Path, sampling: float) -> None:
    # Prometheus takes a counter that goes back for one that began anew, and counts all of it again.
    own = layout(tmp_path)
    probable = Event("mail", prediction_id="p", prediction=[0.1, 0.9])
    events = [Event("mail", prediction_id=str(n), prediction="ham") for n in range(200)]
    found = [Label("mail", "spam", prediction_id=str(n)) for n in (*range(200), 1, 1, 0)]
    brought = [
        Label("mail", "spam", prediction="ham", prediction_id=str(n)) for n in range(900, 960)
    ]
    intake = Intake([own])
    running = commits(tmp_path, intake, sampling=sampling)
    running.submit(Work([Part(0, [*events, probable])], [(0, found), (0, brought)]))
    running.submit(Work((), [(0, found[:50])]))
    before = intake.tallies[0].counts
    running._store.close()
    again = Intake([own])
    restarted = commits(tmp_path, again, sampling=sampling)
    after = again.tallies[0].counts
    assert after.statuses.tolist() == before.statuses.tolist() == [201, 0, 0]
    assert after.classes.tolist() == before.classes.tolist()
    assert after.labels.tolist() == before.labels.tolist()
    assert after.labels[DUPLICATE] > 0
    assert (after.outcomes == before.outcomes).all()
    restarted._store.close()


def test_predictions_that_are_left_out_count_and_are_not_kept(tmp_path: Path) -> None:
    intake = Intake([layout(tmp_path)])
    running = commits(tmp_path, intake, sampling=0.25)
    events = [Event("mail", prediction_id=str(number), prediction="ham") for number in range(400)]
    found = [Label("mail", "spam", prediction_id=str(number)) for number in range(400)]
    running.submit(Work([Part(0, events)]))
    running.submit(Work((), [(0, found)]))
    counts = intake.tallies[0].counts
    matched = int(counts.labels[MATCHED])
    assert counts.statuses.sum() == 400
    assert 60 < matched < 140
    assert counts.labels.sum() == matched
    assert running.sampled_out == 2 * (400 - matched)
    own = [Label("mail", "spam", prediction="ham", prediction_id=str(n)) for n in range(400, 500)]
    running.submit(Work((), [(0, own)]))
    assert intake.tallies[0].counts.labels[MATCHED] == matched + 100
    running._store.close()


def test_a_label_that_brings_its_prediction_is_not_exported_with_those_without_id(
    tmp_path: Path,
) -> None:
    running = commits(tmp_path, Intake([layout(tmp_path)]))
    events = [Event("mail"), Event("mail", prediction_id="a"), Event("mail", actual="ham")]
    alone = Label("mail", "spam", prediction="ham")
    found = Label("mail", "spam", prediction_id="a")
    running.submit(Work([Part(0, events)], [(0, [alone, found])]))
    running._store.close()
    exported = [own for part in read_sqlite(tmp_path / FILE, "mail", Period())() for own in part]
    assert [own.label for own in exported] == [None, "spam", "ham"]
