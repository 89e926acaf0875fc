from __future__ import annotations

import asyncio
import importlib
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.recorder import PATIENCE, Recorder, recording
from tests.processes import free_port

NEVER = 3600.0
"""A flush interval that only flush, close or a full batch can cut short."""

CLIENT = Path(__file__).parents[3] / "exporters/sidecar/client.py"


@pytest.fixture
def sidecar() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def monitor(sidecar: Recorder) -> Iterator[Monitor]:
    made = Monitor(sidecar.url, flush_interval=NEVER)
    yield made
    made.close()


def infer(monitor: Monitor, count: int = 1) -> None:
    for number in range(count):
        with monitor.inference("fraud", "2.3") as call:
            call.record(features={"age": number}, prediction=1.0)


def test_an_event_carries_what_was_recorded(monitor: Monitor, sidecar: Recorder) -> None:
    with monitor.inference("fraud", "2.3") as call:
        with call.stage("preprocess"):
            pass
        with call.stage("inference"):
            pass
        call.record(features={"age": 41, "city": None}, prediction="yes", confidence=0.9)
    assert monitor.flush(PATIENCE)
    (event,) = sidecar.predictions
    assert event.pop("timestamp") > 1.7e9
    assert event["stages"].keys() == {"preprocess", "inference"}
    assert 0 <= sum(event.pop("stages").values()) <= event.pop("latency_seconds")
    assert event == {
        "model_name": "fraud",
        "model_version": "2.3",
        "prediction_id": call.prediction_id,
        "features": {"age": 41, "city": None},
        "prediction": "yes",
        "confidence": 0.9,
    }
    assert (monitor.sent, monitor.rejected, monitor.dropped) == (1, 0, 0)


def test_a_label_follows_by_the_id_of_its_prediction(monitor: Monitor, sidecar: Recorder) -> None:
    with monitor.inference("fraud") as call:
        pass
    monitor.label(model_name="fraud", prediction_id=call.prediction_id, actual=1)
    assert monitor.flush(PATIENCE)
    assert [path for path, _ in sidecar.batches] == ["/v1/predictions", "/v1/labels"]
    (label,) = sidecar.labels
    assert label.pop("timestamp") > 1.7e9
    assert label == {"model_name": "fraud", "prediction_id": call.prediction_id, "actual": 1}


def test_an_id_of_your_own_replaces_the_generated_one(monitor: Monitor, sidecar: Recorder) -> None:
    with monitor.inference("fraud") as call:
        call.record(prediction_id="order-7")
    assert call.prediction_id == "order-7"
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["prediction_id"] == "order-7"


def test_generated_ids_differ_between_calls_and_monitors(monitor: Monitor) -> None:
    monitors = [monitor, Monitor()]
    ids = {made.inference("fraud").prediction_id for made in monitors for _ in range(1000)}
    assert len(ids) == 2000


def test_an_exception_is_counted_as_error_and_goes_on(monitor: Monitor, sidecar: Recorder) -> None:
    with pytest.raises(KeyError, match="no such row"), monitor.inference("fraud"):
        raise KeyError("no such row")
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["status"] == "error"


def test_a_rejected_call_stays_rejected_when_it_raises(monitor: Monitor, sidecar: Recorder) -> None:
    def overloaded() -> None:
        with monitor.inference("fraud") as call:
            call.reject()
            raise RuntimeError("overloaded")

    with pytest.raises(RuntimeError, match="overloaded"):
        overloaded()
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["status"] == "rejected"


def test_a_decorated_function_is_observed(monitor: Monitor, sidecar: Recorder) -> None:
    @monitor.observe("fraud", "2.3")
    def score(amount: float) -> float:
        return amount / 2

    @monitor.observe("fraud", "2.3")
    async def score_later(amount: float) -> float:
        await asyncio.sleep(0)
        if amount < 0:
            raise ValueError("negative")
        return amount / 4

    assert score(3.0) == 1.5
    assert asyncio.run(score_later(3.0)) == 0.75
    with pytest.raises(ValueError, match="negative"):
        asyncio.run(score_later(-1.0))
    assert monitor.flush(PATIENCE)
    seen = [(event.get("prediction"), event.get("status")) for event in sidecar.predictions]
    assert seen == [(1.5, None), (0.75, None), (None, "error")]


def test_events_travel_in_batches_over_one_connection(sidecar: Recorder) -> None:
    monitor = Monitor(sidecar.url, batch_size=4, flush_interval=NEVER)
    infer(monitor, 10)
    assert monitor.flush(PATIENCE)
    assert sum(len(batch) for _, batch in sidecar.batches) == 10
    assert max(len(batch) for _, batch in sidecar.batches) <= 4
    assert sidecar.connections == 1
    monitor.close()


def test_a_full_batch_does_not_wait_for_the_interval(sidecar: Recorder) -> None:
    monitor = Monitor(sidecar.url, batch_size=3, flush_interval=NEVER)
    infer(monitor, 3)
    sidecar.wait(lambda it: bool(it.batches))
    monitor.close()


def test_a_lone_event_waits_no_longer_than_the_interval(sidecar: Recorder) -> None:
    monitor = Monitor(sidecar.url, flush_interval=0.01)
    infer(monitor)
    sidecar.wait(lambda it: bool(it.batches))
    monitor.close()


def test_a_full_queue_drops_and_counts(sidecar: Recorder) -> None:
    sidecar.answering.clear()
    monitor = Monitor(sidecar.url, queue_size=5, batch_size=1, flush_interval=NEVER, timeout=30)
    infer(monitor)
    assert sidecar.arrived.wait(PATIENCE)
    # The one on its way has left the queue, and nobody empties it while the sidecar hangs: that
    # this loop ends is the test that a hung sidecar does not block the serving thread.
    infer(monitor, 25)
    assert monitor.dropped == 20
    sidecar.answering.set()
    assert monitor.flush(PATIENCE)
    assert len(sidecar.predictions) == 6
    monitor.close()


def test_threads_that_race_for_a_full_queue_lose_no_event_from_the_counts(
    sidecar: Recorder,
) -> None:
    monitor = Monitor(sidecar.url, queue_size=50, batch_size=10)
    threads = [threading.Thread(target=infer, args=(monitor, 1_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.close(PATIENCE)
    assert monitor.dropped > 0
    assert monitor.sent + monitor.dropped == 8_000
    assert len({event["prediction_id"] for event in sidecar.predictions}) == monitor.sent
    assert sidecar.reports[-1]["dropped"] == monitor.dropped
    assert sidecar.reports[-1]["models"][0]["in_progress"] == 0


def test_a_sidecar_that_hangs_is_given_up_and_asked_again(sidecar: Recorder) -> None:
    sidecar.answering.clear()
    monitor = Monitor(sidecar.url, flush_interval=0.01, timeout=0.05)
    infer(monitor)
    assert sidecar.arrived.wait(PATIENCE)
    assert not monitor.flush(0.2)
    sidecar.answering.set()
    assert monitor.flush(PATIENCE)
    # At least once: the tries that were given up arrived too, with the same id.
    ids = {event["prediction_id"] for event in sidecar.predictions}
    assert len(ids) == 1
    assert monitor.sent == 1
    monitor.close()


def test_what_was_recorded_without_a_sidecar_arrives_when_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with recording() as gone:
        pass
    with caplog.at_level(logging.WARNING):
        monitor = Monitor(gone.url, flush_interval=0.01)
        infer(monitor, 3)
        assert not monitor.flush(0.3)
        with recording(gone.port) as sidecar:
            assert monitor.flush(PATIENCE)
            assert [event["features"]["age"] for event in sidecar.predictions] == [0, 1, 2]
        infer(monitor, 2)
        assert not monitor.flush(0.3)
        with recording(gone.port) as sidecar:
            assert monitor.flush(PATIENCE)
            assert [event["features"]["age"] for event in sidecar.predictions] == [0, 1]
        monitor.close()
    said = [
        next(word for word in ("unavailable", "back") if word in line) for line in caplog.messages
    ]
    assert said == ["unavailable", "back"] * 2, "one line per change, whatever the tries"
    assert monitor.dropped == 0


def age(event: dict[str, Any]) -> int:
    found = event["features"]["age"]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("what", "refuses", "lost"),
    [
        (
            "a body that cannot be read",
            lambda batch: 400 * any(age(own) == 7 for own in batch),
            [7],
        ),
        ("two of them", lambda batch: 400 * any(age(own) in {0, 49} for own in batch), [0, 49]),
        ("batches of more than three", lambda batch: 413 * (len(batch) > 3), []),
        (
            "one event that is too large",
            lambda batch: 413 * any(age(own) == 9 for own in batch),
            [9],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_of_a_refused_batch_only_what_it_is_about_is_lost(
    sidecar: Recorder, what: str, refuses: Callable[[list[Any]], int], lost: list[int]
) -> None:
    sidecar.refuses = refuses
    monitor = Monitor(sidecar.url, flush_interval=NEVER)
    infer(monitor, 50)
    assert monitor.flush(PATIENCE)
    assert [age(event) for event in sidecar.predictions] == [n for n in range(50) if n not in lost]
    assert (monitor.sent, monitor.rejected) == (50 - len(lost), len(lost))
    sidecar.refuses = lambda _: 0
    infer(monitor, 100)
    assert monitor.flush(PATIENCE)
    infer(monitor, 100)
    assert monitor.flush(PATIENCE)
    assert len(sidecar.batches[-1][1]) > 3, "batches grow again"
    monitor.close()


def test_a_batch_that_the_sidecar_hangs_up_on_does_not_block_the_others(
    sidecar: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporters.sidecar.client.BACKOFF_CAP", 0.001)
    sidecar.refuses = lambda batch: -any(age(own) == 7 for own in batch)
    monitor = Monitor(sidecar.url, flush_interval=0.01, batch_size=10)
    infer(monitor, 20)
    assert monitor.flush(PATIENCE)
    assert sorted(map(age, sidecar.predictions)) == [n for n in range(20) if n != 7]
    assert (monitor.sent, monitor.rejected) == (19, 1)
    monitor.close()


def test_what_arrived_of_a_halved_batch_is_not_sent_again(sidecar: Recorder) -> None:
    seen: list[int] = []

    def first_half_then_away(batch: list[Any]) -> int:
        seen.append(len(batch))
        return 413 if len(batch) > 5 else 503 if len(seen) == 3 else 0

    sidecar.refuses = first_half_then_away
    monitor = Monitor(sidecar.url, flush_interval=0.01, batch_size=10)
    infer(monitor, 10)
    assert monitor.flush(PATIENCE)
    assert [age(event) for event in sidecar.predictions] == list(range(10))
    monitor.close()


def test_large_events_travel_in_smaller_batches(monitor: Monitor, sidecar: Recorder) -> None:
    for number in range(5):
        with monitor.inference("fraud") as call:
            call.record(features={"age": number, "text": "x" * 400_000})
    assert monitor.flush(PATIENCE)
    sizes = [len(batch) for _, batch in sidecar.batches]
    assert (sum(sizes), max(sizes)) == (5, 2)


def test_what_is_recorded_after_the_block_is_not_sent(monitor: Monitor, sidecar: Recorder) -> None:
    with monitor.inference("fraud") as call:
        call.record(prediction=1)
    call.record(prediction=2)
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["prediction"] == 1


@pytest.mark.parametrize(
    ("status", "kept"),
    [(503, True), (500, True), (429, True), (401, True), (400, False), (404, False), (413, False)],
)
def test_a_batch_is_kept_unless_the_answer_is_a_verdict_on_it(
    monitor: Monitor, sidecar: Recorder, status: int, kept: bool
) -> None:
    sidecar.status = status
    sidecar.reply = {"detail": "no"}
    infer(monitor, 2)
    assert monitor.flush(0.3) is not kept
    assert monitor.rejected == (0 if kept else 2)
    sidecar.status = 200
    sidecar.reply = None
    assert monitor.flush(PATIENCE)
    assert len(sidecar.predictions) == (2 if kept else 0)


def test_events_that_the_sidecar_refuses_are_counted_and_said(
    monitor: Monitor, sidecar: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    error = {"index": 1, "field": "features.age", "message": "no"}
    sidecar.reply = {"accepted": 2, "rejected": 1, "errors": [error]}
    infer(monitor, 3)
    assert monitor.flush(PATIENCE)
    assert (monitor.sent, monitor.rejected) == (2, 1)
    assert "features.age" in caplog.text


@pytest.mark.parametrize("loaded", ["json", "msgspec", "orjson"])
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([0.25, 0.75]), [0.25, 0.75]),
        (float("nan"), None),
        (np.float32("nan"), None),
        (float("inf"), None),
        ([0.5, float("nan")], [0.5, None]),
    ],
)
def test_values_of_numerics_travel_as_plain_json(
    monitor: Monitor,
    sidecar: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    loaded: str,
    value: Any,
    sent: Any,
) -> None:
    importlib.import_module(loaded)
    for other in {"msgspec", "orjson"} - {loaded}:
        monkeypatch.delitem(sys.modules, other, raising=False)
    with monitor.inference("fraud") as call:
        call.record(prediction=value, features={"x": value})
    assert monitor.flush(PATIENCE)
    (event,) = sidecar.predictions
    assert event["prediction"] == sent
    assert event["features"] == {"x": sent}


@pytest.mark.parametrize("loaded", ["json", "msgspec", "orjson"])
def test_whatever_writes_the_json_it_says_the_same(
    monitor: Monitor, sidecar: Recorder, monkeypatch: pytest.MonkeyPatch, loaded: str
) -> None:
    importlib.import_module(loaded)
    for other in {"msgspec", "orjson"} - {loaded}:
        monkeypatch.delitem(sys.modules, other, raising=False)
    features: dict[Any, Any] = {
        "ä": "ü\U0001f600",
        "big": 2**70,
        "tiny": 5e-324,
        "third": 1 / 3,
        7: 7,
    }
    with monitor.inference("fraud") as call:
        call.record(features=features, prediction=(0.25, 0.75), metadata={"deep": [None, True]})
    with monitor.inference("fraud") as call:
        call.record(features={"x": object()})
    assert monitor.flush(PATIENCE)
    (event,) = sidecar.predictions
    assert event["features"] == {str(name): value for name, value in features.items()}
    assert event["prediction"] == [0.25, 0.75]
    assert event["metadata"] == {"deep": [None, True]}
    assert monitor.dropped == 1


class Hostile:
    """A value whose own code raises, as a tensor on a lost device does."""

    def tolist(self) -> None:
        raise RuntimeError("device lost")


@pytest.mark.parametrize("features", [{"x": object()}, {"x": Hostile()}, 7, {("a", 1): 2}])
def test_an_event_that_is_no_json_is_dropped_alone_and_raises_nothing(
    monitor: Monitor, sidecar: Recorder, features: Any
) -> None:
    infer(monitor)
    with monitor.inference("fraud") as call:
        call.record(features=features)
    infer(monitor)
    assert monitor.flush(PATIENCE)
    assert len(sidecar.predictions) == 2
    assert monitor.dropped == 1


def test_features_changed_after_the_call_are_sent_as_they_were(
    monitor: Monitor, sidecar: Recorder
) -> None:
    row = {"age": 1}
    with monitor.inference("fraud") as call:
        call.record(features=row)
    row["age"] = 2
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["features"] == {"age": 1}


def test_the_token_file_is_read_anew_for_every_request(sidecar: Recorder, tmp_path: Path) -> None:
    token = tmp_path / "token"
    monitor = Monitor(sidecar.url, token_file=token)
    for text in ("first\n", "second\n"):
        token.write_text(text, encoding="utf-8")
        infer(monitor)
        assert monitor.flush(PATIENCE)
    said = [headers["Authorization"] for headers in sidecar.headers]
    assert said == ["Bearer first", "Bearer second"]
    monitor.close()


def test_a_broken_token_file_keeps_events_until_it_is_mended(
    sidecar: Recorder, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe")
    monitor = Monitor(sidecar.url, token_file=token, flush_interval=0.01)
    infer(monitor)
    assert not monitor.flush(0.2)
    token.write_text("right", encoding="utf-8")
    assert monitor.flush(PATIENCE)
    monitor.close()


def test_the_numbers_of_a_seeded_server_stay_as_they_were() -> None:
    absent = Monitor(f"http://127.0.0.1:{free_port()}", flush_interval=0.01)
    before = random.getstate()
    infer(absent)
    assert not absent.flush(1.0)  # it tried, and waits a random time before it tries again
    assert random.getstate() == before
    absent.close()


def test_after_close_events_are_dropped_and_counted(monitor: Monitor, sidecar: Recorder) -> None:
    infer(monitor)
    assert monitor.close()
    infer(monitor, 2)
    assert len(sidecar.predictions) == 1
    assert monitor.dropped == 2


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9101",
        "ftp://127.0.0.1",
        "http://",
        "http://h:1/v1",
        "http://h:port",
        "unix://s.sock",
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Monitor(url)


@pytest.mark.parametrize(
    "option", ["queue_size", "batch_size", "flush_interval", "report_interval", "timeout"]
)
def test_an_option_of_zero_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match="above 0"):
        Monitor(**options)


def run_program(program: str, *args: object) -> subprocess.CompletedProcess[str]:
    """A model server's process: it has the one file of the client and the standard library."""
    code = f"""
        import importlib.util, os, sys, time
        spec = importlib.util.spec_from_file_location("client", {str(CLIENT)!r})
        client = sys.modules["client"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(client)
        def infer(monitor, tag):
            with monitor.inference("fraud") as call:
                call.record(features={{"tag": tag}})
    """
    text = textwrap.dedent(code) + textwrap.dedent(program)
    command = [sys.executable, "-I", "-c", text, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def tags(sidecar: Recorder) -> list[str]:
    return sorted(event["features"]["tag"] for event in sidecar.predictions)


def test_what_is_queued_is_sent_at_exit(sidecar: Recorder) -> None:
    program = """
        monitor = client.Monitor(sys.argv[1], flush_interval=3600)
        infer(monitor, "last words")
        monitor.label(model_name="fraud", prediction_id="1", actual=0)
    """
    run_program(program, sidecar.url)
    assert tags(sidecar) == ["last words"]
    assert len(sidecar.labels) == 1


def test_a_process_leaves_although_the_sidecar_hangs(sidecar: Recorder) -> None:
    sidecar.answering.clear()
    program = """
        monitor = client.Monitor(sys.argv[1], flush_interval=0.01, timeout=3600)
        infer(monitor, "lost")
    """
    ended = run_program(program, sidecar.url)
    assert "1 monitoring events were not delivered" in ended.stderr


def test_each_forked_process_sends_its_own_events_once(sidecar: Recorder) -> None:
    program = """
        monitor = client.Monitor(sys.argv[1], flush_interval=3600)
        infer(monitor, "before, sent")
        monitor.flush(30)                       # the connection is open and will be inherited
        infer(monitor, "before, queued")
        ids = []
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                assert (monitor.sent, monitor.dropped) == (0, 0)
                infer(monitor, f"child {number}")
                monitor.close(30)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        infer(monitor, "after")
        monitor.flush(30)
    """
    run_program(program, sidecar.url)
    expected = ["after", "before, queued", "before, sent", "child 0", "child 1", "child 2"]
    assert tags(sidecar) == expected
    assert len({event["prediction_id"] for event in sidecar.predictions}) == 6
    assert sidecar.connections == 4, "no child writes into its parent's connection"


def record_in_child(monitor: Monitor) -> None:
    with monitor.inference("fraud") as call:
        call.record(features={"tag": f"child of {os.getppid()}"})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_multiprocessing_sends_when_it_ends(monitor: Monitor, sidecar: Recorder) -> None:
    child = multiprocessing.get_context("fork").Process(target=record_in_child, args=(monitor,))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert tags(sidecar) == [f"child of {os.getpid()}"]
