"""A log that cannot be written: nothing is counted or lost that was not said, and it recovers."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporters.sidecar.log.export import Period, read_sqlite
from exporters.sidecar.log.sqlite import FILE
from tests.exporters.sidecar.serving import MODELS, Sidecar, running_sidecar, write_spec
from tests.postgres import Cluster, cluster
from tests.processes import eventually

SUCCESS = 'ml_inference_requests_total{model_name="mail",model_version="2",status="success"}'
MATCHED = 'ml_labels_total{model_name="mail",model_version="2",result="matched"}'
BATCH = 50


@contextmanager
def no_file_may_grow(sidecar: Sidecar, size: int) -> Iterator[None]:
    """What the kernel does on a full disk, for files of this process beyond `size` bytes."""
    pid = sidecar.process.process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


def events(number: int) -> list[dict[str, object]]:
    return [
        {
            "model_name": "mail",
            "prediction_id": f"{number}-{place}",
            "prediction": "ham",
            "metadata": {"text": "x" * 500},
        }
        for place in range(BATCH)
    ]


def labels(number: int) -> list[dict[str, object]]:
    return [
        {"model_name": "mail", "prediction_id": f"{number}-{place}", "actual": "spam"}
        for place in range(BATCH)
    ]


def refused(sidecar: Sidecar, number: int, *, message: str) -> None:
    """Events and labels are turned away, and the sidecar says why wherever it is asked."""
    before = sidecar.samples()
    for answer in (sidecar.predict(events(number)), sidecar.label(labels(number))):
        said = answer.json()
        assert (answer.status_code, said["accepted"]) == (503, 0)
        assert "the log cannot be written" in said["errors"][0]["message"]
        assert message in said["errors"][0]["message"]
    after = sidecar.samples()
    assert after[SUCCESS] == before[SUCCESS]
    assert after[MATCHED] == before[MATCHED]
    assert message in sidecar.status()["log"]["failing"]
    text = sidecar.client.get(f"{sidecar.url}/metrics").text
    [failures] = [line for line in text.splitlines() if line.startswith("ml_sidecar_log_failures")]
    assert float(failures.rpartition(" ")[2]) >= 2


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = ["--data-dir", str(data)]
    spec = write_spec(tmp_path)
    with running_sidecar(spec, options=options) as sidecar:
        written = 0
        with no_file_may_grow(sidecar, 2_000_000):
            misses = 0
            while misses < 3:  # a smaller group may still fit
                took = sidecar.predict(events(written)).status_code == 200
                written, misses = (written + 1, 0) if took else (written, misses + 1)
                assert written < 1_000, "the disk never became full"
            assert written > 2
        with no_file_may_grow(sidecar, 4096):
            refused(sidecar, written, message="disk")
            assert sidecar.client.get(f"{sidecar.url}/readyz").status_code == 200
        for number in (written, written + 1):
            assert sidecar.predict(events(number)).status_code == 200
            assert sidecar.label(labels(number)).status_code == 200
        found = sidecar.samples()
        assert found[SUCCESS] == (written + 2) * BATCH
        assert found[MATCHED] == 2 * BATCH
        assert not sidecar.status()["log"]["failing"]
        assert read_ids(data) == [
            f"{n}-{place}" for n in range(written + 2) for place in range(BATCH)
        ]
    with running_sidecar(spec, options=options) as sidecar:
        assert sidecar.samples()[SUCCESS] == (written + 2) * BATCH


def read_ids(data: Path) -> list[str | None]:
    source = read_sqlite(data / FILE, "mail", Period())
    return [own.event.prediction_id for part in source() for own in part]


@pytest.fixture
def database() -> Iterator[Cluster]:
    with cluster() as started:
        yield started


def test_a_database_that_is_stopped_and_started_again_loses_nothing(
    tmp_path: Path, database: Cluster
) -> None:
    log = f"sidecar: {{log: {{store: postgres, url: '{database.url}'}}}}\n"
    with running_sidecar(write_spec(tmp_path, log + MODELS)) as sidecar:
        assert sidecar.predict(events(0)).status_code == 200
        database.stop(signal.SIGINT)  # which PostgreSQL calls a fast shutdown
        refused(sidecar, 1, message="connection")
        database.start()
        eventually(lambda: sidecar.predict(events(1)).status_code == 200)
        for number in (0, 1):
            assert sidecar.label(labels(number)).json()["accepted"] == BATCH
        found = sidecar.samples()
        assert found[SUCCESS] == found[MATCHED] == 2 * BATCH
        assert not sidecar.status()["log"]["failing"]
