from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from contract.spec import Model
from exporters.expose import render
from exporters.sidecar import process
from exporters.sidecar.process import Processes, read_report
from tests.exporters.sidecar.serving import Sidecar

MAIL, PRICE = (
    Model(name=name, version=version, task="regression")
    for name, version in (("mail", "2"), ("price", "7"))
)
MODELS = (Model(name="mail", version="1", task="regression"), MAIL, PRICE)


def report(number: int = 1, /, **fields: Any) -> dict[str, Any]:
    """What one process says, with `mail` 2 among its models."""
    models = [{"model_name": "mail", "model_version": "2", "in_progress": 3}]
    return {"process": f"process-{number}", "pid": 100 + number, "models": models, **fields}


def take(processes: Processes, told: dict[str, Any]) -> list[int]:
    return processes.take(read_report(_json(told)), MODELS)


def _json(told: object) -> bytes:
    return msgspec.json.encode(told)


def exposed(processes: Processes) -> dict[str, float]:
    lines = render(processes.families(MODELS)).decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def of(name: str, key: str = 'model_name="mail",model_version="2"', more: str = "") -> str:
    return f"{name}{{{key}{more}}}"


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass for what is tested here."""
    now = [1000.0]
    monkeypatch.setattr("exporters.sidecar.process.time.monotonic", lambda: now[0])

    def let_pass(seconds: float) -> None:
        now[0] += seconds

    return let_pass


def test_processes_add_up() -> None:
    processes = Processes()
    take(processes, report(1, memory_bytes=100, dropped=5))
    take(processes, report(2, memory_bytes=50, dropped=7))
    processes.here["mail", "2"] += 4
    found = exposed(processes)
    assert found[of("ml_inference_requests_in_progress")] == 3 + 3 + 4
    assert found[of("ml_client_processes")] == 2
    assert found[of("ml_model_memory_bytes")] == 150
    assert found["ml_client_dropped_total"] == 12
    assert processes.pids(("mail", "2")) == [101, 102]
    assert processes.pids(("mail", "1")) == []


def test_calls_in_progress_of_every_model_exist_at_0_and_unread_memory_does_not() -> None:
    found = exposed(Processes())
    assert len([name for name in found if name.startswith("ml_inference_requests_in")]) == 3
    assert not any(name.startswith(("ml_model_memory", "ml_queue", "ml_torch")) for name in found)
    assert set(found.values()) == {0}


def test_a_report_replaces_the_one_before_it() -> None:
    processes = Processes()
    for in_progress in (9, 1):
        model = {"model_name": "mail", "model_version": "2", "in_progress": in_progress}
        take(processes, report(models=[model]))
    assert exposed(processes)[of("ml_inference_requests_in_progress")] == 1


def test_a_process_that_is_silent_is_forgotten_and_one_that_leaves_at_once(
    passing: Callable[[float], None],
) -> None:
    processes = Processes()
    take(processes, report(1, interval=2.0, dropped=1))
    take(processes, report(2, interval=60.0))
    passing(5.9)
    assert exposed(processes)[of("ml_client_processes")] == 2
    passing(0.1)
    assert processes.pids(("mail", "2")) == [102]
    take(processes, report(2, leaving=True, dropped=2))
    found = exposed(processes)
    assert found[of("ml_client_processes")] == 0
    assert found["ml_client_dropped_total"] == 3, "what was counted stays"


@pytest.mark.parametrize(
    ("what", "told", "dropped"),
    [
        ("a total that grows", [(5, 0), (7, 5)], 7),
        ("a report that comes twice, since its answer was lost", [(5, 0), (5, 0), (8, 0)], 8),
        ("a report that an older one overtakes", [(8, 0), (5, 0), (9, 8)], 9),
        ("a process that another sidecar has heard before", [(20, 17), (21, 20)], 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_drops_are_counted_once(what: str, told: list[tuple[int, int]], dropped: int) -> None:
    processes = Processes()
    for total, before in told:
        take(processes, report(dropped=total, dropped_before=before))
    assert exposed(processes)["ml_client_dropped_total"] == dropped


def test_a_process_that_comes_back_after_it_was_forgotten_counts_only_what_is_new(
    passing: Callable[[float], None],
) -> None:
    processes = Processes()
    take(processes, report(dropped=5))
    passing(1000)
    take(processes, report(dropped=6, dropped_before=5))
    assert exposed(processes)["ml_client_dropped_total"] == 6


def test_queues_have_names_and_too_many_fold_into_other() -> None:
    processes = Processes()
    queues = {f"q{number:02}": 1 for number in range(25)}
    for number in (1, 2):
        model = {"model_name": "mail", "queues": queues}
        take(processes, report(number, models=[model]))
    found = {name: value for name, value in exposed(processes).items() if "ml_queue" in name}
    assert found[of("ml_queue_depth", more=',queue_name="q00"')] == 2
    assert found[of("ml_queue_depth", more=',queue_name="other"')] == 10
    assert len(found) == 21


def test_memory_of_cuda_devices_adds_up_by_device_and_retries_are_counted_once() -> None:
    processes = Processes()
    device = {"index": 0, "gpu_uuid": "GPU-1", "allocated_bytes": 10, "reserved_bytes": 20}
    for number, retries in ((1, 2), (2, 1), (1, 3)):
        take(processes, report(number, cuda=[{**device, "peak_bytes": 15, "retries": retries}]))
    found = exposed(processes)
    labels = ',gpu_uuid="GPU-1",device="cuda:0"'
    sizes = ("allocated_bytes", "reserved_bytes", "peak_bytes")
    told = [found[of(f"ml_torch_memory_{name}", more=labels)] for name in sizes]
    assert told == [20, 40, 30]
    assert found[of("ml_torch_allocation_retries_total", more=labels)] == 4


def test_a_report_without_a_version_means_the_newest_and_an_unknown_model_is_said() -> None:
    processes = Processes()
    models = [{"model_name": name, "in_progress": 1} for name in ("nobody", "mail")]
    assert take(processes, report(models=models)) == [0]
    assert processes.pids(("mail", "2")) == [101]


def test_no_more_processes_are_kept_than_a_machine_can_have() -> None:
    processes = Processes()
    for number in range(process.MAX_PROCESSES + 5):
        take(processes, report(number + 1))
    assert exposed(processes)[of("ml_client_processes")] == process.MAX_PROCESSES


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"pid": 1}', "missing required field `process`"),
        (_json(report(dropped=-1)), r"\$\.dropped"),
        (_json(report(interval=0)), r"\$\.interval"),
        (_json(report(models=[{"model_name": "mail", "queues": {"a": 0.5}}])), "queues"),
        (_json(report(memory_bytes=2**64)), "memory_bytes"),
        (b"\xff", "."),
        (b"[" * 100_000, "."),
    ],
)
def test_what_is_no_report_is_refused_by_name(body: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_report(body)


def test_a_sidecar_exposes_what_processes_report(sidecar: Sidecar) -> None:
    answer = sidecar.post("/v1/process", report(memory_bytes=4096))
    assert (answer.status_code, answer.json()["rejected"]) == (200, 0)
    assert sidecar.samples()[of("ml_model_memory_bytes")] == 4096
    models = {(m["model_name"], m["model_version"]): m["pids"] for m in sidecar.status()["models"]}
    assert models["mail", "2"] == [101]
    assert models["mail", "1"] == []
    unknown = sidecar.post("/v1/process", report(models=[{"model_name": "nobody"}]))
    assert (unknown.status_code, unknown.json()["errors"][0]["index"]) == (200, 0)
    bad = sidecar.post("/v1/process", b"{}")
    assert (bad.status_code, bad.json()["accepted"]) == (400, 0)
    assert "process" in bad.json()["errors"][0]["message"]
    assert sidecar.post("/v1/process", report(leaving=True)).status_code == 200
    assert of("ml_model_memory_bytes") not in sidecar.samples()
