"""What the client tells of its process: calls in progress, queues, memory, drops."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.recorder import PATIENCE, Recorder, recording
from tests.exporters.sidecar.serving import Sidecar

MAIL = 'model_name="mail",model_version="2"'


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as kept:
        yield kept


def models(recorder: Recorder) -> dict[str, Any]:
    """By name, how many calls are in progress and what waits in queues, as last reported."""
    told = recorder.reports[-1]["models"] if recorder.reports else []
    return {own["model_name"]: (own["in_progress"], own["queues"]) for own in told}


def test_calls_in_progress_and_queues_are_reported_while_they_last(recorder: Recorder) -> None:
    monitor = Monitor(recorder.url, report_interval=0.01)
    waiting = [1, 2, 3]
    monitor.watch_queue("fraud", queue_name="requests", depth=lambda: len(waiting))
    with monitor.inference("fraud"), monitor.inference("fraud"), monitor.inference("churn"):
        recorder.wait(lambda it: models(it) == {"fraud": (2, {"requests": 3}), "churn": (1, {})})
    waiting.clear()
    recorder.wait(lambda it: models(it) == {"fraud": (0, {"requests": 0}), "churn": (0, {})})
    report = recorder.reports[-1]
    assert report["pid"] == os.getpid()
    assert report["memory_bytes"] > 10_000_000
    assert not report["leaving"]
    monitor.close()
    assert recorder.reports[-1]["leaving"]


def test_an_error_ends_a_call_in_progress_too(recorder: Recorder) -> None:
    monitor = Monitor(recorder.url, report_interval=0.01)
    with pytest.raises(KeyError), monitor.inference("fraud"):
        raise KeyError
    seen = len(recorder.reports)
    recorder.wait(lambda it: len(it.reports) > seen + 1)
    assert models(recorder) == {"fraud": (0, {})}
    monitor.close()


def test_a_queue_that_cannot_be_read_is_left_out(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(recorder.url)
    monitor.watch_queue("fraud", queue_name="broken", depth=lambda: 1 // 0)
    monitor.watch_queue("fraud", queue_name="whole", depth=lambda: 1)
    with monitor.inference("fraud"):
        pass
    assert monitor.close(PATIENCE)
    assert models(recorder) == {"fraud": (0, {"whole": 1})}
    assert "cannot read the depth of queue broken" in caplog.text


def pairs(recorder: Recorder) -> list[tuple[int, int]]:
    return [(report["dropped"], report["dropped_before"]) for report in recorder.reports]


def test_drops_are_told_with_what_was_told_before(recorder: Recorder) -> None:
    recorder.answering.clear()
    monitor = Monitor(recorder.url, queue_size=1, report_interval=0.01, flush_interval=0.01)
    with monitor.inference("fraud"):
        pass
    assert recorder.arrived.wait(PATIENCE)
    for _ in range(4):
        with monitor.inference("fraud"):
            pass
    assert monitor.dropped == 3
    assert monitor.dropped == 3, "reading counts nothing"
    recorder.answering.set()
    told = [(0, 0), (3, 0), (3, 3)]
    recorder.wait(lambda it: pairs(it)[-1:] == told[-1:])
    assert [pair for pair in told if pair in pairs(recorder)][-2:] == told[-2:]
    assert set(pairs(recorder)) <= set(told)
    monitor.close()


def test_a_process_that_serves_nothing_reports_nothing(recorder: Recorder) -> None:
    monitor = Monitor(recorder.url, report_interval=0.01)
    monitor.watch_queue("fraud", queue_name="requests", depth=lambda: 1)
    assert monitor.close()
    assert recorder.reports == []


def test_names_that_come_from_requests_do_not_fill_the_memory(recorder: Recorder) -> None:
    monitor = Monitor(recorder.url)
    for number in range(1_200):
        with monitor.inference(f"model-{number}"):
            pass
    assert monitor.close(PATIENCE)
    assert len(recorder.reports[-1]["models"]) == 1_000
    assert monitor.sent == 1_200


def test_the_sidecar_takes_the_client_at_its_word(sidecar: Sidecar) -> None:
    monitor = Monitor(sidecar.url, report_interval=60)
    monitor.watch_queue("mail", "2", queue_name="requests", depth=lambda: 7)
    with monitor.inference("mail", "2"):
        for _ in range(1000):
            found = sidecar.samples()
            if found[f"ml_inference_requests_in_progress{{{MAIL}}}"]:
                break
        assert found[f"ml_inference_requests_in_progress{{{MAIL}}}"] == 1
        assert found[f'ml_queue_depth{{{MAIL},queue_name="requests"}}'] == 7
        assert found[f"ml_model_memory_bytes{{{MAIL}}}"] > 10_000_000
        mail = next(m for m in sidecar.status()["models"] if m["model_version"] == "2")
        assert mail["pids"] == [os.getpid()]
    assert monitor.close(PATIENCE)
    found = sidecar.samples()
    assert found[f"ml_inference_requests_in_progress{{{MAIL}}}"] == 0
    assert f"ml_model_memory_bytes{{{MAIL}}}" not in found


TORCH = '''
"""In torch's place: the calls of its CUDA API that the client makes, and what they give."""


class cuda:
    @staticmethod
    def is_initialized():
        return True

    @staticmethod
    def device_count():
        return 2

    @staticmethod
    def memory_stats(index):
        if index == 0:
            return {}  # of a device that this process has not used
        return {
            "allocated_bytes.all.current": 100,
            "allocated_bytes.all.peak": 300,
            "reserved_bytes.all.current": 400,
            "reserved_bytes.all.peak": 400,
            "num_alloc_retries": 2,
        }

    @staticmethod
    def get_device_properties(index):
        class Properties:
            uuid = "1d2c3b4a-0000-0000-0000-000000000000"

        return Properties
'''


@pytest.mark.parametrize("imported", [True, False])
def test_cuda_memory_travels_where_the_server_has_loaded_torch(
    sidecar: Sidecar, tmp_path: Path, imported: bool
) -> None:
    (tmp_path / "torch.py").write_text(TORCH)
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        sys.path.insert(0, {str(Path(__file__).parents[3] / "exporters/sidecar")!r})
        {"import torch" if imported else ""}
        import client
        monitor = client.Monitor({sidecar.url!r})
        with monitor.inference("mail", "2"):
            monitor.flush(30)
            sys.stdin.read()
        assert ("torch" in sys.modules) == {imported}
    """
    device = f'{MAIL},gpu_uuid="GPU-1d2c3b4a-0000-0000-0000-000000000000",device="cuda:1"'
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        for _ in range(2000):
            found = sidecar.samples()
            if found[f"ml_client_processes{{{MAIL}}}"]:
                break
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
    told = {name: value for name, value in found.items() if "ml_torch_memory" in name}
    expected = {"allocated_bytes": 100, "reserved_bytes": 400, "peak_bytes": 300}
    assert told == (
        {f"ml_torch_memory_{name}{{{device}}}": value for name, value in expected.items()}
        if imported
        else {}
    )
    retries = sidecar.samples().get(f"ml_torch_allocation_retries_total{{{device}}}")
    assert not imported or retries == 2


def loaded(recorder: Recorder) -> dict[str, Any]:
    """By name, the hash of what a model was loaded from, as last reported."""
    told = recorder.reports[-1]["models"] if recorder.reports else []
    return {own["model_name"]: own.get("artifact_sha256") for own in told}


def test_what_a_model_was_loaded_from_is_reported_once_it_is_hashed(
    recorder: Recorder, tmp_path: Path
) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights" * 1_000_000)
    told = hashlib.sha256(file.read_bytes()).hexdigest()
    monitor = Monitor(recorder.url, report_interval=0.01)
    monitor.loaded("fraud", path=file)
    monitor.loaded("churn", artifact_sha256="AB" * 32)
    with monitor.inference("fraud"), monitor.inference("other"):
        pass
    want = {"fraud": told, "churn": "ab" * 32, "other": None}
    recorder.wait(lambda it: loaded(it) == want)
    monitor.close()


def test_a_file_that_changed_after_it_was_loaded_is_not_reported(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    monitor = Monitor(recorder.url, report_interval=0.01)
    monitor.loaded("fraud", path=file)
    file.write_bytes(b"other weights")
    with monitor.inference("fraud"):
        pass
    recorder.wait(lambda _: "another file than when it was loaded" in caplog.text)
    seen = len(recorder.reports)
    recorder.wait(lambda it: len(it.reports) > seen + 1)
    assert loaded(recorder) == {"fraud": None}
    monitor.close()


def test_a_file_that_is_not_there_is_said_and_raises_nothing(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(recorder.url)
    monitor.loaded("fraud", path=tmp_path / "nowhere")
    assert "which fraud was loaded from" in caplog.text
    assert monitor.close()


@pytest.mark.parametrize(
    "given", [{}, {"path": "a", "artifact_sha256": "a" * 64}, {"artifact_sha256": "abc"}]
)
def test_an_artifact_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="artifact_sha256"):
        Monitor("http://127.0.0.1:9").loaded("fraud", **given)


def test_a_forked_process_hashes_what_its_parent_loaded(recorder: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    program = textwrap.dedent("""
        import os, sys
        from exporters.sidecar.client import Monitor

        monitor = Monitor(sys.argv[1], report_interval=0.01)
        monitor.loaded("fraud", path=sys.argv[2])
        with monitor.inference("fraud"):
            pass
        monitor.flush(10)
        if child := os.fork():
            os.waitpid(child, 0)
            os._exit(0)
        with monitor.inference("fraud"):
            pass
        monitor.flush(10)
        while monitor._models["fraud", None].artifact.sha256 is None:
            pass
        monitor.close(10)
        os._exit(0)
    """)
    subprocess.run(
        [sys.executable, "-c", program, recorder.url, str(file)], check=True, timeout=PATIENCE
    )
    told = hashlib.sha256(b"weights").hexdigest()
    leaving = [report for report in recorder.reports if report["leaving"]]
    assert [own["artifact_sha256"] for own in leaving[-1]["models"]] == [told]


def test_a_sidecar_compares_what_the_client_reports(sidecar: Sidecar) -> None:
    report = {
        "process": "hashing",
        "pid": 7,
        "models": [
            {"model_name": "mail", "model_version": "2", "artifact_sha256": "cd" * 32},
            {"model_name": "mail", "model_version": "1"},
        ],
    }
    assert sidecar.post("/v1/process", report).status_code == 200
    told = {
        (model["model_name"], model["model_version"]): model["artifacts"]
        for model in sidecar.status()["models"]
    }
    assert told["mail", "2"] == {"declared": "ab" * 32, "loaded": ["cd" * 32]}
    assert told["mail", "1"] == {"declared": None, "loaded": []}
    series = 'ml_model_artifact_matches{model_name="mail",model_version="2",source="server"}'
    assert sidecar.samples()[series] == 0
    report["models"][0]["artifact_sha256"] = "ab" * 32  # type: ignore[index]
    assert sidecar.post("/v1/process", report).status_code == 200
    assert sidecar.samples()[series] == 1
    assert sidecar.post("/v1/process", {**report, "leaving": True}).status_code == 200
    assert series not in sidecar.samples()
    report["models"][0]["artifact_sha256"] = "weights"  # type: ignore[index]
    assert sidecar.post("/v1/process", report).status_code == 400
