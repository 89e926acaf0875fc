from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from structlog.testing import capture_logs

from examples.demo.data import DATASETS, Label, Value, read_dataset
from examples.demo.faults import Shift, Switches
from examples.demo.model import Model
from examples.demo.traffic import Traffic
from exporters.sidecar.client import Monitor
from tests.examples.conftest import serving
from tests.exporters.sidecar.recorder import PATIENCE, Recorder

LABEL_DELAY = 0.05


async def drive(
    server: str,
    monitor: Monitor,
    until: Callable[[Traffic], bool],
    *,
    sidecar: str = "http://127.0.0.1:9",
    rate: float = 50.0,
    seed: int = 1,
) -> Traffic:
    """Run traffic until a condition holds."""
    async with (
        httpx.AsyncClient(base_url=server, trust_env=False) as client,
        httpx.AsyncClient(base_url=sidecar, trust_env=False) as told,
    ):
        traffic = Traffic(
            {name: read_dataset(name) for name in DATASETS},
            client=client,
            sidecar=told,
            monitor=monitor,
            rate=rate,
            label_delay=LABEL_DELAY,
            seed=seed,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(traffic.run(stop))
        async with asyncio.timeout(PATIENCE):
            while not until(traffic):
                await asyncio.sleep(0.01)
        stop.set()
        await running
        return traffic


def held_out(model: str) -> dict[tuple[Value, ...], Label]:
    dataset = read_dataset(model)
    named = (tuple(dataset.named(row).values()) for row in dataset.held_out.features.tolist())
    return dict(zip(named, dataset.held_out.labels, strict=True))


def switch(server: str, **change: object) -> None:
    httpx.post(f"{server}/faults", json=change, trust_env=False).raise_for_status()


def test_every_model_gets_held_out_rows_and_then_their_true_labels(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    traffic = asyncio.run(drive(server, monitor, lambda it: it.counts["labelled"] >= 40))
    assert monitor.flush(PATIENCE)
    assert traffic.counts["failed"] == traffic.counts["unreachable"] == 0
    known = {name: held_out(name) for name in DATASETS}
    predictions = {event["prediction_id"]: event for event in sidecar.predictions}
    for event in predictions.values():
        assert tuple(event["features"].values()) in known[event["model_name"]]
    assert len(sidecar.labels) == traffic.counts["labelled"]
    for label in sidecar.labels:
        event = predictions[label["prediction_id"]]
        assert label["model_name"] == event["model_name"]
        assert label["actual"] == known[event["model_name"]][tuple(event["features"].values())]
        assert label["timestamp"] >= event["timestamp"] + LABEL_DELAY
    assert set(Counter(label["model_name"] for label in sidecar.labels)) == set(DATASETS)


def test_a_prediction_of_a_tumour_leads_to_a_biopsy_that_the_label_confirms_or_not(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    asyncio.run(drive(server, monitor, lambda it: it.counts["labelled"] >= 60, sidecar=sidecar.url))
    assert monitor.flush(PATIENCE)
    actual = {label["prediction_id"]: label["actual"] for label in sidecar.labels}
    told = [
        actual[event["prediction_id"]]
        for event in sidecar.predictions
        if event["prediction"] == "malignant" and event["prediction_id"] in actual
    ]
    events: Counter[str] = Counter()
    for event in sidecar.business:
        assert event["model_name"] == "breast-cancer"
        events[event["event"]] += event["count"]
    assert events == {"biopsy": len(told), "biopsy_confirmed": told.count("malignant")}
    assert told


def test_the_shift_switch_moves_one_feature(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    change = {"model": "diabetes", "shift": {"standard_deviations": 2}}
    httpx.post(f"{server}/faults", json=change, trust_env=False)
    shift = 2 * read_dataset("diabetes").standard_deviations["bmi"]

    def shifted(_: Traffic) -> list[dict[str, float]]:
        seen = [e["features"] for e in sidecar.predictions if e["model_name"] == "diabetes"]
        known = held_out("diabetes")
        return [features for features in seen if tuple(features.values()) not in known]

    asyncio.run(drive(server, monitor, lambda it: len(shifted(it)) > 3))
    rows = {tuple(round(float(value), 6) for value in row) for row in held_out("diabetes")}
    for features in shifted(None):  # type: ignore[arg-type]
        back = {**features, "bmi": features["bmi"] - shift}
        assert tuple(round(value, 6) for value in back.values()) in rows


def test_the_shift_switch_can_move_every_feature_that_is_a_number() -> None:
    dataset = read_dataset("diabetes-risk")
    nobody = httpx.AsyncClient()
    traffic = Traffic(
        {"risk": dataset}, client=nobody, sidecar=nobody, monitor=Monitor(), rate=1, label_delay=1
    )
    before = {tuple(values) for values in map(list, held_out("diabetes-risk"))}
    traffic._switches = {"risk": Switches(shift=Shift(feature="*", standard_deviations=1.0))}
    features, _ = traffic.draw("risk")
    back = {
        name: value
        if isinstance(value, str)
        else round(float(value or 0.0) - dataset.standard_deviations[name], 6)
        for name, value in features.items()
    }
    known = {tuple(v if isinstance(v, str) else round(v, 6) for v in row) for row in before}
    assert tuple(back.values()) in known


def test_missing_and_unseen_values_come_in_their_share_of_requests(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    switch(server, model="diabetes-risk", missing={"feature": "bmi"}, unseen={"ratio": 0.5})

    def disturbed(_: Traffic) -> list[str]:
        seen = [e["features"] for e in sidecar.predictions if e["model_name"] == "diabetes-risk"]
        return [features["age_band"] for features in seen if features["bmi"] is None]

    asyncio.run(drive(server, monitor, lambda it: len(disturbed(it)) > 30))
    bands = disturbed(None)  # type: ignore[arg-type]
    assert 0.2 < bands.count("unknown") / len(bands) < 0.8


def test_lost_labels_do_not_come_and_late_ones_come_late(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    switch(server, model="diabetes", lost_labels=1.0)
    switch(server, model="breast-cancer", label_delay_seconds=0.5)
    asyncio.run(drive(server, monitor, lambda it: it.counts["answered"] >= 100))
    assert monitor.flush(PATIENCE)
    at = {event["prediction_id"]: event["timestamp"] for event in sidecar.predictions}
    # The first requests were made before the traffic had asked.
    early = [it for it in sidecar.labels if it["model_name"] == "diabetes"]
    assert len(early) < 5
    late = [
        label["timestamp"] - at[label["prediction_id"]]
        for label in sidecar.labels
        if label["model_name"] == "breast-cancer"
    ]
    assert max(late) >= 0.5


def test_fewer_requests_come_and_unconfirmed_biopsies_lower_the_ratio(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    switch(server, model="diabetes", throughput=0.0)
    switch(server, model="breast-cancer", unconfirmed=1.0)
    asyncio.run(drive(server, monitor, lambda it: it.counts["answered"] >= 60, sidecar=sidecar.url))
    assert monitor.flush(PATIENCE)
    asked = Counter(event["model_name"] for event in sidecar.predictions)
    assert asked["diabetes"] < 5 < asked["breast-cancer"]
    events: Counter[str] = Counter()
    for event in sidecar.business:
        events[event["event"]] += event["count"]
    assert events["biopsy_confirmed"] < events["biopsy"] / 2


def test_failed_requests_are_counted_and_never_labelled(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    httpx.post(f"{server}/faults", json={"error_ratio": 1.0}, trust_env=False)
    traffic = asyncio.run(drive(server, monitor, lambda it: it.counts["failed"] >= 10))
    assert traffic.counts["answered"] == 0
    assert monitor.flush(PATIENCE)
    assert sidecar.labels == []


def test_a_server_that_is_down_is_said_once_and_found_again(
    models: dict[str, Model], monitor: Monitor
) -> None:
    async def outage(listener: socket.socket) -> Traffic:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        running = asyncio.create_task(
            drive(address, monitor, lambda it: it.counts["answered"] >= 5)
        )
        while not any(line["event"] == "server_unreachable" for line in lines):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        listener.listen()
        with serving(models, monitor, listener):
            return await running

    with capture_logs() as lines, socket.socket() as listener:
        # Bound, so that nobody else takes the port, but not listening yet: refused.
        listener.bind(("127.0.0.1", 0))
        traffic = asyncio.run(outage(listener))
    said = [line["event"] for line in lines if line["event"].startswith("server_")]
    assert said == ["server_unreachable", "server_back"]
    assert 0 < traffic.counts["unreachable"] < traffic.counts["skipped"]


def test_one_seed_gives_one_sequence_of_rows() -> None:
    def draw(seed: int) -> list[tuple[dict[str, Value | None], Label]]:
        nobody = httpx.AsyncClient()
        traffic = Traffic(
            {name: read_dataset(name) for name in DATASETS},
            client=nobody,
            sidecar=nobody,
            monitor=Monitor(),
            rate=1,
            label_delay=1,
            seed=seed,
        )
        return [traffic.draw(name) for name in DATASETS * 10]

    assert draw(7) == draw(7) != draw(8)


@pytest.mark.parametrize("arguments", [["--duration", "500ms"], []])
def test_the_command_ends_after_its_duration_or_when_stopped(
    server: str, sidecar: Recorder, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "examples.demo.traffic", "--server", server]
    command += ["--sidecar", sidecar.url, "--rate", "50", "--label-delay", "100ms"]
    with subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True) as process:
        if not arguments:
            sidecar.wait(lambda it: bool(it.labels))
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    last = json.loads(errors.splitlines()[-1])
    assert last["event"] == "stopped"
    assert last["labelled"] == len(sidecar.labels) > 0
    if arguments:
        assert last["labelled"] == last["answered"], "the labels due were waited for"


@pytest.mark.parametrize(
    "arguments",
    [["--rate", "0"], ["--rate", "x"], ["--label-delay", "30"], ["--server", "127.0.0.1:8001"]],
)
def test_a_bad_argument_exits_with_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "examples.demo.traffic", *arguments]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
