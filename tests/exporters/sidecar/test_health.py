"""An upstream's health, from probes at an interval: a gauge of now, and counters of any window."""

from __future__ import annotations

import html
import socket
from pathlib import Path

import pytest

from tests.exporters.sidecar.serving import Sidecar, running_sidecar, write_spec
from tests.exporters.sidecar.upstream import OK, Upstream, read_message, upstream
from tests.processes import eventually, free_port

SPEC = """\
models:
  - name: plain
    version: "1"
    task: regression
    serving: {{upstream: "http://127.0.0.1:{port}", probe_interval: 50ms{more}}}
  - name: elsewhere
    version: "1"
    task: regression
"""

MODEL = '{model_name="plain",model_version="1"}'
LOADED = "ml_model_loaded" + MODEL
PROBES = "ml_upstream_probes_total" + MODEL
FAILURES = "ml_upstream_probe_failures_total" + MODEL


def spec(folder: Path, port: int, more: str = "") -> Path:
    return write_spec(folder, SPEC.format(port=port, more=more))


def becomes(sidecar: Sidecar, loaded: int) -> dict[str, float]:
    def look() -> dict[str, float] | None:
        samples = sidecar.samples()
        return samples if samples.get(LOADED) == loaded else None

    return eventually(look)


def test_probes_follow_the_health_of_the_model(tmp_path: Path) -> None:
    with (
        upstream() as server,
        running_sidecar(spec(tmp_path, server.port, ", health: /ready")) as sidecar,
    ):
        up = becomes(sidecar, 1)
        server.ready = False
        down = becomes(sidecar, 0)
        server.ready = True
        again = becomes(sidecar, 1)
    assert up[FAILURES] == 0 < up[PROBES]
    assert 0 < down[FAILURES] < down[PROBES]
    assert again[FAILURES] >= down[FAILURES]
    assert not [name for name in up if name.startswith("ml_model_loaded") and "elsewhere" in name]


def test_an_upstream_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    with running_sidecar(spec(tmp_path, free_port())) as sidecar:
        samples = becomes(sidecar, 0)
        assert samples[FAILURES] == samples[PROBES] > 0
        found = {model["model_name"]: model["upstream"] for model in sidecar.status()["models"]}
        page = sidecar.client.get(f"{sidecar.url}/v1/status", headers={"Accept": "text/html"}).text
    assert found["elsewhere"] is None
    assert (found["plain"]["ready"], found["plain"]["path"]) == (False, None)
    assert "is not ready: " + html.escape(found["plain"]["why"]) in page


def test_an_upstream_that_never_answers_is_not_ready(tmp_path: Path) -> None:
    def swallow(connection: socket.socket) -> None:
        connection.recv(65536)

    with upstream() as server:
        server.raw = swallow
        with running_sidecar(spec(tmp_path, server.port)) as sidecar:
            becomes(sidecar, 0)
            eventually(lambda: sidecar.samples()[FAILURES] > 1)


PATHS = {
    "the Open Inference Protocol": "/v2/models/plain/ready",
    "a server of it that has no readiness of models": "/v2/health/ready",
    "TensorFlow Serving": "/v1/models/plain",
    "MLflow": "/ping",
    "others": "/health",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_where_a_server_has_its_health_is_found(tmp_path: Path, path: str) -> None:
    asked: list[str] = []

    def answer(connection: socket.socket) -> None:
        asked.append(read_message(connection).split()[1].decode())
        found = asked[-1] == path
        connection.sendall(OK if found else b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")

    with upstream() as server:
        server.raw = answer
        with running_sidecar(spec(tmp_path, server.port)) as sidecar:
            becomes(sidecar, 1)
            samples = sidecar.samples()
            eventually(lambda: sidecar.samples()[PROBES] > samples[PROBES] + 2)
            assert samples[FAILURES] == 0
    assert asked[-2:] == [path, path], "once found, nothing else is asked"


def test_every_probe_that_fails_is_counted_once(tmp_path: Path) -> None:
    def later(server: Upstream) -> int:
        return len([1 for request in server.received if request])

    with upstream() as server:
        server.answer = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        with running_sidecar(spec(tmp_path, server.port, ", health: /other")) as sidecar:
            samples = eventually(lambda: _enough(sidecar.samples()))
        assert samples[FAILURES] == samples[PROBES] <= later(server)


def _enough(samples: dict[str, float]) -> dict[str, float] | None:
    return samples if samples[PROBES] > 3 else None
