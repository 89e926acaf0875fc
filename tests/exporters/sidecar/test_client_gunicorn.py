"""The client under a real gunicorn, whose master forks its workers from what it has loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.exporters.sidecar.serving import Sidecar
from tests.processes import free_port, http, running

APP = """
import os, sys
sys.path.insert(0, os.environ["CLIENT_FOLDER"])
import client

# An hour: whatever arrives was sent because a process ended.
monitor = client.Monitor(os.environ["SIDECAR"], flush_interval=3600, report_interval=0.1)
with monitor.inference("mail", "2"):
    pass  # so that the master forks with a thread that runs, an open connection, a full queue

def app(environ, start_response):
    if environ["PATH_INFO"] == "/ready":
        start_response("200 OK", [])
        return []
    with monitor.inference("mail", "2") as call:
        call.record(prediction="ham")
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""

CLOSE = {"Connection": "close"}  # so that any worker may take the next
REQUESTS = 'ml_inference_requests_total{model_name="mail",model_version="2",status="success"}'
PROCESSES = 'ml_client_processes{model_name="mail",model_version="2"}'


@pytest.mark.parametrize(
    "options",
    [
        ["--workers", "3"],
        ["--workers", "2", "--threads", "4"],
        ["--workers", "2", "--max-requests", "20"],
    ],
    ids=["processes", "processes with threads", "processes that are replaced"],
)
def test_every_request_of_every_worker_is_counted_once(
    sidecar: Sidecar, tmp_path: Path, options: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server.py").write_text(APP)
    monkeypatch.setenv("CLIENT_FOLDER", str(Path(__file__).parents[3] / "exporters/sidecar"))
    monkeypatch.setenv("SIDECAR", sidecar.url)
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gunicorn", "server:app", "--bind", address, "--preload"]
    command += ["--chdir", str(tmp_path), "--log-level", "warning", *options]
    before = sidecar.samples()[REQUESTS]
    with running(command, ready_url=f"http://{address}/ready", exits_with=0), http() as client:
        pids = {int(client.get(f"http://{address}/", headers=CLOSE).text) for _ in range(100)}
        assert len(pids) > 1, "more than one worker answered"
    assert sidecar.samples()[REQUESTS] - before == 100 + 1, "the master called the model once"
    assert sidecar.samples()[PROCESSES] == 0, "processes that end say so"
