"""A taken port is reported with its name, its holder and the variable that moves it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from stack.ports import find_taken, read_holder

LISTENER = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def listener() -> Iterator[tuple[int, int]]:
    """Pid and port of a process that listens."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_free_port_is_not_reported() -> None:
    assert find_taken({"drift": f"127.0.0.1:{free_port()}"}, {"drift": "DRIFT_PORT"}) == []


def test_a_taken_port_names_the_process_that_holds_it(listener: tuple[int, int]) -> None:
    pid, port = listener
    (taken,) = find_taken({"drift": f"127.0.0.1:{port}"}, {"drift": "DRIFT_PORT"})
    assert f"127.0.0.1:{port} (drift) is taken by pid {pid} (" in str(taken)
    assert sys.executable in str(taken)
    assert "make up DRIFT_PORT=" in str(taken)


def test_all_taken_ports_are_reported_at_once(listener: tuple[int, int]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        mine = server.getsockname()[1]
        taken = find_taken(
            {
                "prometheus": f"127.0.0.1:{listener[1]}",
                "drift": f"127.0.0.1:{free_port()}",
                "gpu": f"127.0.0.1:{mine}",
            },
            {"prometheus": "PROMETHEUS_PORT", "drift": "DRIFT_PORT", "gpu": "GPU_PORT"},
        )
    assert [port.name for port in taken] == ["prometheus", "gpu"]
    assert f"pid {os.getpid()}" in taken[1].holder


def test_a_port_taken_on_all_addresses_is_taken_on_loopback() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert find_taken({"gpu": address}, {"gpu": "GPU_PORT"})


def test_two_of_our_own_on_one_address_are_reported() -> None:
    address = f"127.0.0.1:{free_port()}"
    (taken,) = find_taken(
        {"drift": address, "gpu": address}, {"drift": "DRIFT_PORT", "gpu": "GPU_PORT"}
    )
    assert taken.name == "gpu"
    assert taken.holder == "drift of this stack"


def test_a_holder_that_may_not_be_seen_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert "only root" in read_holder(80)
