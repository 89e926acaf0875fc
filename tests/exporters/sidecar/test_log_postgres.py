"""The log in a real PostgreSQL, shared by two sidecars."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exporters.sidecar.__main__ import main
from tests.exporters.sidecar.serving import MODELS, Sidecar, running_sidecar, write_spec
from tests.postgres import Cluster, cluster
from tests.processes import eventually

MATCHED = 'ml_labels_total{result="matched"}'
DUPLICATE = 'ml_labels_total{result="duplicate"}'
UNMATCHED = 'ml_labels_total{result="unmatched"}'
OUTCOME = 'ml_outcomes_total{predicted_class="ham",actual_class="spam"}'


@pytest.fixture(scope="module")
def database() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


@pytest.fixture(scope="module")
def spec(database: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "password").write_text("secret\n")
    log = f"store: postgres, url: '{database.url}', password_file: password, label_wait: 1s"
    return write_spec(folder, f"sidecar: {{log: {{{log}}}}}\n{MODELS}")


@pytest.fixture(scope="module")
def pair(spec: Path) -> Iterator[tuple[Sidecar, Sidecar]]:
    """Two replicas."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(running_sidecar(spec)) for _ in range(2))
        yield one, other


def test_a_label_finds_a_prediction_of_another_replica(pair: tuple[Sidecar, Sidecar]) -> None:
    one, other = pair
    one.predict({"model_name": "mail", "prediction_id": "shared", "prediction": "ham"})
    label = {"model_name": "mail", "prediction_id": "shared", "actual": "spam"}
    with other.changes() as changed, one.changes() as elsewhere:
        assert other.label(label).json()["accepted"] == 1
        one.label(label)
    assert (changed[MATCHED], changed[OUTCOME]) == (1, 1)
    assert elsewhere[DUPLICATE] == 1
    assert OUTCOME not in elsewhere


def test_a_label_waits_for_a_prediction_of_another_replica(pair: tuple[Sidecar, Sidecar]) -> None:
    one, other = pair
    other.label({"model_name": "mail", "prediction_id": "early", "actual": "spam"})
    with one.changes() as changed:
        one.predict({"model_name": "mail", "prediction_id": "early", "prediction": "ham"})
    assert (changed[MATCHED], changed[OUTCOME]) == (1, 1)


def test_a_label_of_nothing_is_unmatched_at_one_replica(pair: tuple[Sidecar, Sidecar]) -> None:
    one, other = pair
    before = [sum(_unmatched(sidecar)) for sidecar in pair]
    other.label({"model_name": "mail", "prediction_id": "nothing", "actual": "spam"})
    eventually(lambda: sum(sum(_unmatched(sidecar)) for sidecar in (one, other)) == sum(before) + 1)


def _unmatched(sidecar: Sidecar) -> list[float]:
    return [value for name, value in sidecar.samples().items() if 'result="unmatched"' in name]


def test_the_same_event_at_both_replicas_counts_once(pair: tuple[Sidecar, Sidecar]) -> None:
    one, other = pair
    event = {"model_name": "mail", "prediction_id": "twice", "prediction": "ham"}
    with one.changes() as first, other.changes() as second:
        one.predict([event, event])
        other.predict(event)
    assert first["ml_sidecar_duplicates_total"] == second["ml_sidecar_duplicates_total"] == 1
    success = 'ml_inference_requests_total{status="success"}'
    assert first[success] == 1
    assert success not in second


def test_a_regressor_and_own_labels_are_joined(pair: tuple[Sidecar, Sidecar]) -> None:
    one, _ = pair
    events = [
        {"model_name": "price", "prediction": 3, "actual": 5},
        {"model_name": "price", "prediction_id": "p", "prediction": -3, "actual": -4.5},
    ]
    labels = [{"model_name": "price", "actual": 10, "prediction": 13}]
    with one.changes() as changed:
        one.predict(events)
        one.label(labels)
    assert changed["ml_absolute_error_total"] == 2 + 1.5 + 3
    assert changed['ml_actual_total{sign="negative"}'] == 4.5
    assert changed[MATCHED] == 3


def test_the_log_is_exported(pair: tuple[Sidecar, Sidecar], spec: Path, tmp_path: Path) -> None:
    one, other = pair
    event = {"model_name": "mail", "prediction_id": "x", "prediction": [0.25, 0.75]}
    one.predict({**event, "features": {"length": 2.5, "sender": "de"}})
    other.label({"model_name": "mail", "prediction_id": "x", "actual": "spam"})
    out = tmp_path / "mail.csv"
    assert main(["export", "--models", str(spec), "--model", "mail", "--out", str(out)]) == 0
    table = csv.DictReader(out.read_text().splitlines())
    rows = {row["prediction_id"]: row for row in table}
    row = rows["x"]
    assert (row["prediction"], row["confidence"], row["label"]) == ("spam", "0.75", "spam")
    assert (row["length"], row["sender"], row["model_version"]) == ("2.5", "de", "2")


def test_a_database_that_is_not_there_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = "store: postgres, url: 'postgresql://nobody@127.0.0.1:1/none'"
    spec = write_spec(tmp_path, f"sidecar: {{log: {{{log}}}}}\n{MODELS}")
    assert main(["serve", "--models", str(spec), "--listen", "127.0.0.1:0"]) == 1
    assert "the prediction log: connection failed" in capfd.readouterr().err
