"""Asking the collector over HTTP: what was found last, and about data that is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from contract.profile import build_profile, write_profile
from exporters.drift.statistics import Sides, psi
from tests.exporters.drift.counting import (
    EDGES,
    Replica,
    numeric,
    prometheus,
    serving,
    write_models,
)
from tests.processes import eventually, free_port, running

AGES = [20, 30, 40, 50, 60, 70, 80, 90]


@dataclass(frozen=True)
class Asking:
    """A collector to ask, which has no Prometheus."""

    address: str

    def post(self, content: object, model: str = "m", **headers: str) -> httpx.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        with httpx.Client(trust_env=False, timeout=20) as client:
            url = f"http://{self.address}/v1/drift/{model}"
            return client.post(url, content=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=20) as client:
            return client.get(f"http://{self.address}{path}")

    def errors(self, content: object, model: str = "m") -> tuple[int, list[tuple[str, str]]]:
        response = self.post(content, model)
        found = [(error["where"], error["message"]) for error in response.json()["errors"]]
        return response.status_code, found


def _models(folder: Path, **sidecar: object) -> Path:
    random = np.random.default_rng(1)
    rows = 5000
    profile = build_profile(
        {
            "age": random.choice(AGES, rows).tolist(),
            "income": random.lognormal(size=rows).tolist(),
            "city": random.choice(["Oslo", "Rome"], rows).tolist(),
            "predicted": random.choice(["no", "yes"], rows, p=[0.8, 0.2]).tolist(),
        },
        model_name="m",
        prediction="predicted",
    )
    write_profile(profile, folder / "m.json")
    task = "binary_classification"
    models = [
        {
            "name": "m",
            "version": "1",
            "task": task,
            "profile": "m.json",
            "performance": {"accuracy": {"baseline": 0.9, "max_drop": 0.05}},
        },
        {"name": "bare", "version": "1", "task": task},
    ]
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"models": models, "sidecar": sidecar}))
    return path


@contextmanager
def _asking(models: Path, prometheus_port: int | None = None) -> Iterator[Asking]:
    address = f"127.0.0.1:{free_port()}"
    argv = [sys.executable, "-m", "exporters.drift", "serve", "--models", str(models)]
    argv += ["--prometheus", f"http://127.0.0.1:{prometheus_port or free_port()}"]
    argv += ["--listen", address, "--interval", "1s", "--log-format", "json"]
    with running(argv, ready_url=f"http://{address}/healthz", exits_with=0):
        yield Asking(address)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with _asking(_models(tmp_path_factory.mktemp("asked"))) as found:
        yield found


def _data(rows: int = 1000, seed: int = 2) -> dict[str, list[Any]]:
    random = np.random.default_rng(seed)
    return {
        "age": random.choice(AGES, rows).tolist(),
        "income": random.lognormal(size=rows).tolist(),
        "city": random.choice(["Oslo", "Rome"], rows).tolist(),
    }


def test_data_like_the_reference_is_no_drift(asking: Asking) -> None:
    response = asking.post({"columns": _data()})
    assert response.status_code == 200
    found = response.json()
    assert (found["drift_detected"], found["severity"], found["drift_types"]) == (False, "none", [])
    assert [column["feature_name"] for column in found["columns"]] == ["age", "income", "city"]
    assert {column["verdict"] for column in found["columns"]} == {"none"}
    assert all(column["samples"] == 1000 for column in found["columns"])
    assert (found["model_name"], found["reference"], found["window"]) == ("m", "profile", None)


def test_columns_that_moved_are_named_with_score_and_floor(asking: Asking) -> None:
    data = _data()
    data["income"] = [value * 3 for value in data["income"]]
    data["city"] = ["Bonn" if n % 4 == 0 else value for n, value in enumerate(data["city"])]
    found = asking.post({"columns": data}).json()
    assert (found["drift_detected"], found["severity"]) == (True, "critical")
    assert found["drift_types"] == ["feature"]
    verdicts = {column["feature_name"]: column["verdict"] for column in found["columns"]}
    assert verdicts == {"age": "none", "income": "critical", "city": "critical"}
    for column in found["columns"]:
        assert (column["score"] > column["noise_floor"]) is (column["verdict"] == "critical")
        assert column["method"] == "psi"


def test_scores_are_those_of_the_counts(asking: Asking) -> None:
    values = [20] * 700 + [90] * 200 + [None] * 100
    [column] = asking.post({"columns": {"age": values}}).json()["columns"]
    reference = np.random.default_rng(1).choice(AGES, 5000)
    counts = [0.0, *[float((reference == age).sum()) for age in AGES]]
    current = [100.0, 700, 0, 0, 0, 0, 0, 0, 200]
    expected = psi(Sides(np.array(counts), np.array(current)))
    assert column["score"] == pytest.approx(float(expected), rel=1e-9)
    assert column["samples"] == 1000


def test_predictions_that_moved_are_drift_of_their_own_kind(asking: Asking) -> None:
    said = ["yes"] * 600 + ["no"] * 400
    found = asking.post({"columns": _data(), "predictions": said}).json()
    assert found["drift_types"] == ["prediction"]
    assert found["columns"][-1]["kind"] == "prediction"
    assert found["columns"][-1]["verdict"] == "critical"


def test_targets_tell_of_accuracy_and_of_the_concept(asking: Asking) -> None:
    said = ["yes"] * 200 + ["no"] * 800
    wrong = ["no"] * 200 + ["yes"] * 200 + ["no"] * 600
    for targets, kinds in ((said, []), (wrong, ["concept"])):
        asked = {"columns": _data(), "predictions": said, "targets": targets}
        found = asking.post(asked).json()
        assert found["drift_types"] == kinds
        [accuracy] = found["performance"]
        assert accuracy["value"] == (0.6 if kinds else 1.0)
        assert accuracy["decayed"] is bool(kinds)
    nothing = {"predictions": ["yes"], "targets": [None]}
    assert asking.errors(nothing) == (400, [("targets", "are all null where predictions are not")])


def test_few_rows_are_not_judged(asking: Asking) -> None:
    found = asking.post({"columns": {"age": [20] * 50}}).json()
    assert found["drift_detected"] is False
    assert found["columns"][0]["verdict"] == "too_few_samples"
    assert found["columns"][0]["score"] > 1


REFUSED: dict[str, tuple[object, list[tuple[str, str]]]] = {
    "no JSON": (b"{", [("the body", "is no JSON: Input data was truncated")]),
    "nothing": ({}, [("columns", "are none; send at least one column of values")]),
    "a list": ([1], [("the body", "expected `object`, got `array`")]),
    "an unknown key": ({"colums": {}}, [("the body", "object contains unknown field `colums`")]),
    "a column that is no list": (
        {"columns": {"age": 3}},
        [("columns.age", "expected `array`, got `int`")],
    ),
    "a value that is a list": (
        {"columns": {"city": ["Oslo"], "age": [1, [2]]}},
        [("columns.age[1]", "expected `bool | int | float | str | null`, got `array`")],
    ),
    "no rows": ({"columns": {"age": []}}, [("columns", "are empty; send at least one row")]),
    "columns of two lengths": (
        {"columns": {"age": [1, 2], "city": ["Oslo"]}},
        [("columns.city", "has 1 values, and others have 2; each row needs one, or null")],
    ),
    "a column that the profile does not have": (
        {"columns": {"agee": [1]}},
        [("columns.agee", "is no feature of the profile; did you mean age?")],
    ),
    "text among numbers, and a column nobody knows": (
        {"columns": {"x9": [1, 2], "age": [1, "old"], "income": [True, 1]}},
        [
            ("columns.x9", "is no feature of the profile; there are age, income, city"),
            ("columns.age[1]", "is no number: 'old'"),
            ("columns.income[0]", "is no number: True"),
        ],
    ),
    "targets alone": (
        {"columns": {"age": [1]}, "targets": ["yes"]},
        [("targets", "come without predictions to compare them with")],
    ),
}


@pytest.mark.parametrize(("content", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_said_with_its_place(
    asking: Asking, content: object, errors: list[tuple[str, str]]
) -> None:
    assert asking.errors(content) == (400, errors)


def test_an_unknown_model_is_not_found_and_guessed(asking: Asking) -> None:
    status, errors = asking.errors({"columns": {"age": [1]}}, model="bar")
    assert (status, errors) == (404, [("model", "no model is called bar; did you mean bare?")])
    status, errors = asking.errors({"columns": {"age": [1]}, "model_version": "2"})
    assert (status, errors) == (404, [("model", "m has no version 2; it has 1")])
    assert asking.get("/v1/models/bar").status_code == 404
    assert asking.get("/v1/models/m?version=7").status_code == 404


def test_a_model_without_a_profile_has_nothing_to_be_compared_with(asking: Asking) -> None:
    errors = [("model", "bare has no profile to compare with")]
    assert asking.errors({"columns": {"age": [1]}}, model="bare") == (400, errors)
    assert asking.get("/v1/models/bare").json()["error"] == "has no profile to compare with"


def test_what_was_not_evaluated_yet_says_so(asking: Asking) -> None:
    assert asking.get("/v1/models/m").json()["error"] == "was not evaluated yet"


def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    models = _models(tmp_path, limits={"body": "10kB"})
    with _asking(models) as asking:
        data = {"columns": {"age": [20] * 5000}}
        assert asking.errors(data) == (
            413,
            [("the body", "is larger than 10000 bytes; send fewer rows")],
        )
        # Without a length it is found out by reading.
        with httpx.Client(trust_env=False) as client:
            chunks = iter([json.dumps(data).encode()])
            url = f"http://{asking.address}/v1/drift/m"
            assert client.post(url, content=chunks).status_code == 413


def test_asking_needs_the_sidecars_token_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    models = _models(tmp_path, token_file="token")
    data = {"columns": {"age": [20] * 500}}
    with _asking(models) as asking:
        refused = asking.post(data)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert asking.post(data, authorization="Bearer wrong").status_code == 401
        assert asking.post(data, authorization="Bearer secret").status_code == 200
        assert asking.get("/v1/models").status_code == 200
        (tmp_path / "token").write_text("")
        assert asking.post(data, authorization="Bearer x").status_code == 503


def test_the_last_evaluation_is_told(tmp_path: Path) -> None:
    features = {"age": numeric(0, 400, 300, 300, 0), "still": numeric(0, 400, 300, 300, 0)}
    drift: dict[str, dict[str, object]] = {"m": {"window": "30s", "min_samples": 100}}
    models = write_models(tmp_path, {"m": dict(features)}, drift=drift, without_profile=["bare"])
    counted = {
        ("m", "age"): (EDGES, (0, 10, 20, 60, 10)),
        ("m", "still"): (EDGES, (0, 40, 30, 30, 0)),
    }
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving([Replica(counted)]))
        stack.enter_context(prometheus(tmp_path / "prometheus", port, endpoint, 1))
        asking = stack.enter_context(_asking(models, port))

        def detected() -> dict[str, Any] | None:
            found: dict[str, Any] = asking.get("/v1/models/m").json()
            return found if found["drift_detected"] else None

        found = eventually(detected, seconds=40)
        assert found["severity"] == "critical"
        assert {c["feature_name"]: c["verdict"] for c in found["columns"]} == {
            "age": "critical",
            "still": "none",
        }
        assert found["window"] == "30s"
        everything = asking.get("/v1/models").json()["models"]
        assert [own["model_name"] for own in everything] == ["m", "bare"]
        assert everything[0]["drift_detected"] is True
        assert "columns" not in everything[0]
