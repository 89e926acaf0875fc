from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.demo import inject
from examples.demo.data import DATASETS, Value, read_dataset
from examples.demo.faults import LONGEST, Change, Faults, Missing, Shift, Switches, Unseen
from examples.demo.model import Model
from examples.demo.server import Canary
from exporters.sidecar.client import Monitor
from tests.examples.conftest import serving
from tests.exporters.sidecar.recorder import PATIENCE, Recorder


def row(model: str, number: int = 0) -> dict[str, Value]:
    dataset = read_dataset(model)
    return dataset.named(dataset.held_out.features[number].tolist())


def predict(server: str, model: str, features: dict[str, Any] | None = None) -> httpx.Response:
    body = {"features": row(model) if features is None else features}
    return httpx.post(f"{server}/predict/{model}", json=body, trust_env=False)


@pytest.mark.parametrize("model", DATASETS)
def test_a_prediction_is_answered_and_reported(
    server: str, monitor: Monitor, sidecar: Recorder, model: str
) -> None:
    answer = predict(server, model)
    assert answer.status_code == 200
    assert monitor.flush(PATIENCE)
    (event,) = sidecar.predictions
    for field, value in answer.json().items():
        assert event[field] == value
    assert event["model_name"] == model
    assert event["model_version"] == "1.0.0"
    assert event["features"] == row(model)
    assert event["stages"].keys() == {"preprocess", "inference", "postprocess"}
    assert event["latency_seconds"] >= sum(event["stages"].values())


def test_only_a_classifier_is_confident(server: str) -> None:
    classified = predict(server, "breast-cancer").json()
    assert classified["prediction"] in {"benign", "malignant"}
    assert 0.5 <= classified["confidence"] <= 1.0
    assert isinstance(predict(server, "diabetes").json()["prediction"], float)
    assert "confidence" not in predict(server, "diabetes").json()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bmi": None}, "missing 'bmi'"),
        ({"height": 1.8}, "unknown 'height'"),
        ({"bmi": "1e999"}, "not finite"),
        ({"bmi": "much"}, "no number: 'much'"),
    ],
)
def test_a_row_that_the_model_cannot_use_is_rejected(
    server: str, monitor: Monitor, sidecar: Recorder, change: dict[str, Any], says: str
) -> None:
    features = {k: v for k, v in {**row("diabetes"), **change}.items() if v is not None}
    answer = predict(server, "diabetes", features)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert monitor.flush(PATIENCE)
    assert [event["status"] for event in sidecar.predictions] == ["rejected"]


def test_an_unknown_model_is_not_found_and_not_reported(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    answer = httpx.post(f"{server}/predict/fraud", json={"features": {}}, trust_env=False)
    assert answer.status_code == 404
    assert "breast-cancer" in answer.json()["detail"]
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions == []


def test_an_error_burst_hits_the_model_it_is_for(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    change = {"model": "diabetes", "error_ratio": 1.0}
    assert httpx.post(f"{server}/faults", json=change, trust_env=False).status_code == 200
    assert predict(server, "diabetes").status_code == 500
    assert predict(server, "breast-cancer").status_code == 200
    assert httpx.delete(f"{server}/faults", trust_env=False).status_code == 200
    assert predict(server, "diabetes").status_code == 200
    assert monitor.flush(PATIENCE)
    seen = [(event["model_name"], event.get("status")) for event in sidecar.predictions]
    assert seen == [("diabetes", "error"), ("breast-cancer", None), ("diabetes", None)]
    assert "prediction" not in sidecar.predictions[0]


def test_extra_latency_is_in_what_is_reported(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    httpx.post(f"{server}/faults", json={"extra_latency_seconds": 0.05}, trust_env=False)
    assert predict(server, "diabetes").status_code == 200
    assert monitor.flush(PATIENCE)
    assert sidecar.predictions[0]["latency_seconds"] >= 0.05


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"error_ratio": 2}, "less than or equal to 1"),
        ({"model": "fraud", "error_ratio": 1}, "no 'fraud' here"),
        ({"shift": {"feature": "height"}, "model": "diabetes"}, "has no 'height'"),
        ({"shift": {"feature": "age_band"}, "model": "diabetes-risk"}, "has no 'age_band'"),
        ({"unseen": {}, "model": "diabetes"}, "has no feature with categories"),
        ({"wrong_ratio": 0.5, "model": "diabetes"}, "has no classes"),
        ({"errors": 1}, "Extra inputs"),
        ({"for_seconds": 0}, "greater than 0"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(
    server: str, change: dict[str, Any], says: str
) -> None:
    answer = httpx.post(f"{server}/faults", json=change, trust_env=False)
    assert answer.status_code == 422
    assert says in answer.text
    now = httpx.get(f"{server}/faults", trust_env=False).json()["models"]
    assert now == {name: Switches().model_dump() for name in DATASETS}


def test_a_fault_ends_by_itself_and_the_others_stay() -> None:
    now = 0.0
    faults = Faults({name: read_dataset(name) for name in DATASETS}, clock=lambda: now)
    faults.apply(Change(error_ratio=0.5, for_seconds=60))
    faults.apply(Change(shift=Shift(), model="diabetes"))
    assert faults.of("diabetes") == Switches(error_ratio=0.5, shift=Shift(feature="bmi"))
    now = 60.0
    assert faults.of("diabetes") == Switches(shift=Shift(feature="bmi"))
    assert faults.of("breast-cancer") == Switches()


def test_a_change_for_every_model_switches_for_each_what_it_can_have() -> None:
    faults = Faults({name: read_dataset(name) for name in DATASETS})
    faults.apply(Change(unseen=Unseen(), wrong_ratio=0.5, missing=Missing(ratio=0.1)))
    assert faults.all() == {
        "breast-cancer": Switches(
            wrong_ratio=0.5, missing=Missing(feature="mean radius", ratio=0.1)
        ),
        "diabetes": Switches(missing=Missing(feature="bmi", ratio=0.1)),
        "diabetes-risk": Switches(
            wrong_ratio=0.5,
            missing=Missing(feature="s1", ratio=0.1),
            unseen=Unseen(feature="age_band"),
        ),
    }


def test_a_leak_makes_requests_slower_and_slower_up_to_a_limit() -> None:
    now = 0.0
    faults = Faults({"diabetes": read_dataset("diabetes")}, clock=lambda: now)
    faults.apply(Change(extra_latency_seconds=0.5, latency_growth=0.1))
    assert faults.of("diabetes").extra_latency_seconds == 0.5
    now = 10.0
    assert faults.of("diabetes").extra_latency_seconds == 1.5
    now = 1000.0
    assert faults.of("diabetes").extra_latency_seconds == LONGEST


def test_what_is_missing_or_unseen_is_answered_and_reported_as_it_came(
    server: str, monitor: Monitor, sidecar: Recorder
) -> None:
    features = {**row("diabetes-risk"), "age_band": "unknown", "bmi": None}
    assert predict(server, "diabetes-risk", features).status_code == 200
    assert monitor.flush(PATIENCE)
    assert [event["features"] for event in sidecar.predictions] == [features]


def test_doubt_flattens_confidences_and_leaves_predictions_as_they_are(server: str) -> None:
    before = predict(server, "breast-cancer").json()
    change = {"model": "breast-cancer", "flat_confidence": 0.9}
    httpx.post(f"{server}/faults", json=change, trust_env=False)
    after = predict(server, "breast-cancer").json()
    assert after["prediction"] == before["prediction"]
    assert after["confidence"] == pytest.approx(0.5 + 0.1 * (before["confidence"] - 0.5))


def test_wrong_predictions_are_as_sure_as_right_ones(server: str) -> None:
    before = predict(server, "breast-cancer").json()
    change = {"model": "breast-cancer", "wrong_ratio": 1.0}
    httpx.post(f"{server}/faults", json=change, trust_env=False)
    after = predict(server, "breast-cancer").json()
    assert {before["prediction"], after["prediction"]} == {"benign", "malignant"}
    assert after["confidence"] == before["confidence"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("errors --ratio 0.25", ["breast-cancer: 25% of requests fail", "diabetes: 25%"]),
        ("latency --extra 500ms", ["breast-cancer: 0.5 s slower", "diabetes: 0.5 s slower"]),
        ("shift", ["breast-cancer: mean radius +2 σ", "diabetes: bmi +2 σ"]),
        ("shift --model diabetes --feature s5 --by -1", ["breast-cancer: nothing", "s5 -1 σ"]),
        ("leak --growth 60ms", ["diabetes: ", "s slower, 0.06 s more every minute"]),
        ("drop", ["diabetes: 10% of the requests"]),
        ("missing --model diabetes", ["diabetes: bmi missing in 50%"]),
        ("unseen", ["diabetes: nothing", "diabetes-risk: age_band is unknown in 30%"]),
        ("doubt", ["breast-cancer: confidences 90% flatter", "diabetes: nothing"]),
        ("wrong --ratio 0.2", ["breast-cancer: 20% of predictions are wrong"]),
        ("late-labels --delay 20s", ["diabetes: labels after 20 s"]),
        ("lost-labels", ["diabetes: 100% of labels are lost"]),
        ("unconfirmed", ["breast-cancer: 50% of biopsies are not confirmed"]),
        ("nothing", ["breast-cancer: nothing", "diabetes: nothing"]),
    ],
)
def test_one_command_flips_a_switch(
    server: str, capsys: pytest.CaptureFixture[str], command: str, says: list[str]
) -> None:
    assert inject.main([*command.split(), "--server", server]) == 0
    printed = capsys.readouterr().out
    assert [line for line in says if line in printed] == says


def test_inject_says_when_there_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert inject.main(["errors", "--server", "http://127.0.0.1:1"]) == 1
    assert "is the demo running?" in capsys.readouterr().err


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "examples.demo.server", "--data-dir", str(tmp_path)]
    return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_trains_serves_and_stops_cleanly(
    sidecar: Recorder, tmp_path: Path, stop: signal.Signals
) -> None:
    with start(tmp_path, "--listen", "127.0.0.1:0", "--sidecar", sidecar.url) as process:
        assert process.stderr is not None
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["event"] != "listening":
            lines.append(json.loads(process.stderr.readline()))
        assert [line["event"] for line in lines[:-1]] == ["model_trained"] * 2
        server = f"http://{lines[-1]['address']}"
        assert httpx.get(f"{server}/healthz", trust_env=False).json()["status"] == "ok"
        assert predict(server, "diabetes").status_code == 200
        process.send_signal(stop)
        assert process.wait(PATIENCE) == 0
    assert len(sidecar.predictions) == 1, "what was still queued is sent at the end"
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "breast-cancer-1.0.0.json",
        "diabetes-1.0.0.json",
    }


def test_the_command_refuses_a_broken_artifact(tmp_path: Path) -> None:
    artifact = tmp_path / "demo/diabetes-1.0.0.json"
    artifact.parent.mkdir()
    artifact.write_text("{}", encoding="utf-8")
    with start(tmp_path, "--listen", "127.0.0.1:0") as process:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "diabetes-1.0.0.json" in errors


def test_a_canary_gets_its_share_and_has_faults_of_its_own(
    models: dict[str, Model], monitor: Monitor, sidecar: Recorder
) -> None:
    canary = Canary.parse("diabetes@1.1.0=50%")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        serving(models, monitor, listener, [canary]),
    ):
        server = f"http://127.0.0.1:{listener.getsockname()[1]}"
        broken = {"model": "diabetes@1.1.0", "error_ratio": 1.0}
        assert httpx.post(f"{server}/faults", json=broken, trust_env=False).status_code == 200
        answers = [predict(server, "diabetes") for _ in range(60)]
    assert monitor.flush(PATIENCE)
    told = {(event["model_version"], event.get("status")) for event in sidecar.predictions}
    assert told == {("1.0.0", None), ("1.1.0", "error")}
    assert {own.json()["model_version"] for own in answers if own.is_success} == {"1.0.0"}


@pytest.mark.parametrize("text", ["diabetes", "diabetes@1.1.0", "diabetes@1.1.0=0%", "a@b=2"])
def test_what_is_no_canary_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not of the form"):
        Canary.parse(text)
