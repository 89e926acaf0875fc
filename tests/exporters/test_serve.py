"""A process that serves metrics: formats, health, failures, and how it starts and stops."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.exporters.test_expose import FORMATS, PROMETHEUS_2_42, PROMETHEUS_3
from tests.processes import ROOT, Running, eventually, free_port, http, running

EXPORTER = """\
import math, pathlib, sys
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from contract import catalog, logs
from exporters.expose import Family, Own, app, histogram_series, serve, series

logs.setup("test", "json")
own = Own("test")
devices, latency = series(catalog.GPU_DEVICES), catalog.INFERENCE_LATENCY
histogram = histogram_series(latency, [0.1, 1.0], model_name='a "b"', model_version="1")
switch = pathlib.Path(sys.argv[2])

def mode():
    return switch.read_text() if switch.exists() else ""

def collect():
    if mode() == "raises":
        raise RuntimeError("no data")
    if mode() == "raises while collecting":
        with own.collecting():
            raise RuntimeError("no data")
    with own.collecting():
        yield Family(catalog.GPU_DEVICES, [(devices, math.nan if mode() == "nan" else 3)])
        if mode() == "twice":
            yield Family(catalog.GPU_DEVICES, [(devices, 3)])
        yield Family(latency, histograms=[(histogram, [1, 2, 3], 4.5)])

async def post(request):
    return PlainTextResponse("ok")

routes = [
    Route("/v1/events", post, methods=["POST"]),
    Route("/v1/status", post),
    Route("/v1/{name}", post),
]
ready = lambda: "waits for its first answer" if mode() == "not ready" else ""
sys.exit(serve(app(own, collect, ready=ready, routes=routes), sys.argv[1]))
"""

START = Callable[[], AbstractContextManager["Exporter"]]


class Exporter:
    """A running exporter, a client for it, and the switch of what its collection does."""

    def __init__(self, process: Running, web: httpx.Client, switch: Path) -> None:
        self.process, self.web, self._switch = process, web, switch

    def does(self, mode: str) -> None:
        self._switch.write_text(mode)

    def samples(self) -> dict[str, float]:
        families = parse_text(self.web.get("/metrics").text)
        return {
            " ".join([sample.name, *(v for k, v in sample.labels.items() if k == "reason")]): (
                sample.value
            )
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "exporter.py"
    path.write_text(EXPORTER)
    return path


@pytest.fixture
def exporter(script: Path) -> Iterator[Exporter]:
    with started(script) as exporter:
        yield exporter


@contextmanager
def started(script: Path, *, host: str = "127.0.0.1") -> Iterator[Exporter]:
    switch = script.with_name("switch")
    address = f"{host}:{free_port()}"
    argv = [sys.executable, str(script), address, str(switch)]
    environment = {"PYTHONPATH": str(ROOT)}
    url = f"http://{address}"
    with running(argv, ready_url=f"{url}/healthz", env=environment) as process, http() as web:
        web.base_url = httpx.URL(url)
        yield Exporter(process, web, switch)


def test_each_prometheus_gets_the_format_it_prefers(exporter: Exporter) -> None:
    text = exporter.web.get("/metrics", headers={"Accept": "text/plain;version=0.0.4"})
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert text.headers["vary"] == "Accept, Accept-Encoding"
    names = {family.name for family in parse_text(text.text)}
    assert {"ml_gpu_devices", "ml_inference_latency_seconds", "ml_exporter_build_info"} <= names
    for accept in (PROMETHEUS_2_42, PROMETHEUS_3):
        answer = exporter.web.get("/metrics", headers={"Accept": accept})
        assert answer.headers["content-type"] == (
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        )
        _, parse = FORMATS["openmetrics"]
        assert {family.name for family in parse(answer.text)} == {
            name.removesuffix("_total") for name in names
        }


def test_the_body_is_compressed_for_those_who_ask(exporter: Exporter) -> None:
    for encoding, compressed in (("gzip", True), ("identity", False), ("gzip;q=0", False)):
        with exporter.web.stream("GET", "/metrics", headers={"Accept-Encoding": encoding}) as got:
            raw = b"".join(got.iter_raw())
        assert (got.headers.get("content-encoding") == "gzip") is compressed
        assert b"ml_gpu_devices 3\n" in (gzip.decompress(raw) if compressed else raw)


def test_promtool_reads_what_is_exposed(exporter: Exporter) -> None:
    text = exporter.web.get("/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_health_and_readiness_answer(exporter: Exporter) -> None:
    assert exporter.web.get("/healthz").text == "ok\n"
    assert exporter.web.get("/readyz").status_code == 200
    exporter.does("not ready")
    answer = exporter.web.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "waits for its first answer\n")
    assert exporter.web.get("/healthz").status_code == 200


def test_the_first_page_links_what_can_be_opened(exporter: Exporter) -> None:
    page = exporter.web.get("/").text
    for path in ("/metrics", "/healthz", "/readyz", "/v1/status"):
        assert f'href="{path}"' in page
    assert "/v1/events" not in page
    assert "{" not in page


@pytest.mark.parametrize("mode", ["raises", "raises while collecting", "nan", "twice"])
def test_a_collection_that_fails_leaves_what_the_exporter_tells_of_itself(
    exporter: Exporter, mode: str
) -> None:
    assert exporter.samples()["ml_gpu_devices"] == 3
    exporter.does(mode)
    found = exporter.samples()
    assert "ml_gpu_devices" not in found
    assert found["ml_exporter_build_info"] == 1
    assert found["ml_exporter_errors_total collect"] == 1, "counted once"
    assert "scrape_failed" in exporter.process.stderr.read_text()
    exporter.does("")
    found = exporter.samples()
    assert found["ml_gpu_devices"] == 3
    assert found["ml_exporter_errors_total collect"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_status_0(exporter: Exporter, number: signal.Signals) -> None:
    exporter.process.send(number)
    assert exporter.process.process.wait(10) == 0
    assert '"event": "stopped"' in exporter.process.stderr.read_text()


def test_a_signal_that_comes_while_it_starts_is_not_lost(script: Path) -> None:
    argv = [sys.executable, str(script), f"127.0.0.1:{free_port()}", "none"]
    with running(argv, env={"PYTHONPATH": str(ROOT)}) as process:
        eventually(lambda: "listening" in process.stderr.read_text())
        process.send(signal.SIGTERM)
        assert process.process.wait(10) == 0


def test_a_connection_that_is_kept_open_does_not_hold_it_up(exporter: Exporter) -> None:
    exporter.web.get("/healthz")  # the client keeps the connection
    assert exporter.process.stop(seconds=10) == 0


BAD_ADDRESSES = {
    "no port": ("localhost", "is not host:port"),
    "a port that is none": ("127.0.0.1:70000", "is not host:port"),
    "no host": (":9101", "is not host:port"),
    "an address of another machine": ("192.0.2.1:9101", "Cannot assign requested address"),
}


@pytest.mark.parametrize(("address", "reason"), BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
def test_an_address_that_cannot_be_used_ends_with_2(
    script: Path, address: str, reason: str
) -> None:
    assert serve_once(script, address) == (
        2,
        f"cannot listen on {address}: {reason}; choose another --listen\n",
    )


def test_a_taken_port_ends_with_2_and_names_it(script: Path, exporter: Exporter) -> None:
    address = str(exporter.web.base_url).removeprefix("http://").rstrip("/")
    assert serve_once(script, address) == (
        2,
        f"cannot listen on {address}: Address already in use; choose another --listen\n",
    )


def serve_once(script: Path, address: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, script, address, "none"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_it_answers_on_ipv6(script: Path) -> None:
    with started(script, host="[::1]") as exporter:
        assert exporter.web.get("/healthz").status_code == 200


def test_log_lines_are_json_with_an_event_that_is_a_name(exporter: Exporter) -> None:
    exporter.process.stop()
    lines = [json.loads(line) for line in exporter.process.stderr.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["listening", "stopped"]
    assert all(list(line)[:4] == ["time", "level", "component", "event"] for line in lines)
