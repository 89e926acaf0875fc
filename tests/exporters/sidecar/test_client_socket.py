"""The Unix socket between a model server and its sidecar."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.recorder import PATIENCE
from tests.exporters.sidecar.serving import serving, write_spec
from tests.processes import free_port

REQUESTS = 'ml_inference_requests_total{model_name="mail",model_version="2",status="success"}'


def test_events_travel_over_a_unix_socket_beside_the_address(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.sock"
    with serving(tmp_path, options=["--socket", str(path)]) as sidecar:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        monitor = Monitor(f"unix://{path}")
        with monitor.inference("mail"):
            pass
        assert monitor.close(PATIENCE)
        assert sidecar.samples()[REQUESTS] == 1
    assert not path.exists(), "a sidecar that stops takes its socket along"


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with serving(tmp_path, options=["--socket", str(path)]):
        monitor = Monitor(f"unix://{path}")
        with monitor.inference("mail"):
            pass
        assert monitor.close(PATIENCE)
        assert monitor.sent == 1


@pytest.mark.parametrize("what", ["a file", "a live socket", "no folder"])
def test_a_path_that_cannot_be_had_is_refused_and_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "sidecar.sock"
    says = {
        "a file": "something is there that is no socket",
        "a live socket": "another process answers there",
        "no folder": "No such file or directory",
    }
    with socket.socket(socket.AF_UNIX) as other:
        if what == "a live socket":
            other.bind(str(path))
            other.listen()
        elif what == "a file":
            path.touch()
        else:
            path = tmp_path / "nowhere/sidecar.sock"
        command = [sys.executable, "-m", "exporters.sidecar", "serve", "--socket", str(path)]
        command += ["--models", str(write_spec(tmp_path)), "--listen", f"127.0.0.1:{free_port()}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"cannot listen on {path}: {says[what]}; choose another --socket" in ended.stderr
    assert path.exists() == (what != "no folder")
