"""A Prometheus that stops, starts again, is slow or answers in part: errors, and no verdicts."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from tests.exporters.drift.counting import (
    EDGES,
    Replica,
    Scrape,
    listening,
    numeric,
    prometheus,
    scrape,
    serving,
    write_models,
)
from tests.processes import Running, eventually, free_port, running

STEADY = Replica({("m", "age"): (EDGES, (0, 40, 30, 30, 0))})
DRIFT: dict[str, dict[str, object]] = {"m": {"window": "20s", "min_samples": 300}}


@dataclass
class Between:
    """A proxy before Prometheus: it may be slow, or admit that its answer is partial."""

    url: str
    delay: float = 0.0
    partial: bool = False
    asked: int = 0


@contextmanager
def _between(port: int) -> Iterator[tuple[str, Between]]:
    between = Between(f"http://127.0.0.1:{port}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            between.asked += 1
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            with httpx.Client(trust_env=False) as client:
                answer = client.post(between.url + self.path, content=body, headers=kind).json()
            if between.partial:
                # As Thanos does it: what is there, and a warning.
                answer["data"]["result"] = answer["data"]["result"][:2]
                answer["warnings"] = ["store b did not answer"]
            time.sleep(between.delay)
            text = json.dumps(answer).encode()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object, **__: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        yield f"http://{address}", between


@dataclass
class Collector:
    """A collector, and whatever verdicts it ever exposed."""

    address: str
    process: Running
    verdicts: set[float] = field(default_factory=set)

    def scrape(self) -> Scrape:
        found = scrape(self.address)
        self.verdicts |= set(found.all("ml_drift_detected"))
        return found

    def scored(self) -> bool:
        return bool(self.scrape().all("ml_feature_drift_score"))

    def errors(self) -> float:
        found = self.scrape().get("ml_drift_errors_total", model_name="m", reason="prometheus")
        assert found is not None
        return found


@contextmanager
def _collecting(models: Path, url: str, interval: str = "1s") -> Iterator[Collector]:
    address = f"127.0.0.1:{free_port()}"
    argv = [sys.executable, "-m", "exporters.drift", "serve", "--models", str(models)]
    argv += ["--prometheus", url, "--listen", address, "--interval", interval]
    ready = f"http://{address}/healthz"
    with running([*argv, "--log-format", "json"], ready_url=ready, exits_with=0) as process:
        yield Collector(address, process)


@contextmanager
def _watching(collector: Collector) -> Iterator[None]:
    """Scrape again and again, so that no verdict goes by unseen."""
    stop = threading.Event()

    def scrape_on() -> None:
        while not stop.wait(0.2):
            with suppress(httpx.TransportError):
                collector.scrape()

    thread = threading.Thread(target=scrape_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_prometheus_that_stops_and_starts_again_is_survived(tmp_path: Path) -> None:
    models = write_models(tmp_path, {"m": {"age": numeric(0, 400, 300, 300, 0)}}, drift=DRIFT)
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving([STEADY]))
        collector = stack.enter_context(_collecting(models, f"http://127.0.0.1:{port}"))
        stack.enter_context(_watching(collector))
        with prometheus(tmp_path / "prometheus", port, endpoint, 1):
            eventually(collector.scored, seconds=90, says=collector.process.tail)
        before = collector.errors()
        eventually(lambda: not collector.scored(), seconds=60)
        assert collector.errors() > before
        with prometheus(tmp_path / "prometheus", port, endpoint, 1):
            eventually(collector.scored, seconds=90, says=collector.process.tail)
    assert collector.verdicts == {0.0}


SPOILT = {"slow": (8.0, False), "partial": (0.0, True)}


@pytest.mark.parametrize(("delay", "partial"), SPOILT.values(), ids=SPOILT.keys())
def test_a_prometheus_that_is_slow_or_answers_in_part_gives_no_verdict(
    tmp_path: Path, delay: float, partial: bool
) -> None:
    models = write_models(tmp_path, {"m": {"age": numeric(0, 400, 300, 300, 0)}}, drift=DRIFT)
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving([STEADY]))
        stack.enter_context(prometheus(tmp_path / "prometheus", port, endpoint, 1))
        url, between = stack.enter_context(_between(port))
        between.delay, between.partial = delay, partial
        # An interval that a busy machine keeps to, and the delay does not.
        collector = stack.enter_context(_collecting(models, url, "5s"))
        stack.enter_context(_watching(collector))
        eventually(lambda: collector.errors() >= 1, seconds=60, says=collector.process.tail)
        assert collector.verdicts == set()
        said = "the interval is over" if delay else "a partial answer: store b did not answer"
        assert said in collector.process.output

        between.delay, between.partial = 0.0, False
        eventually(collector.scored, seconds=90, says=collector.process.tail)
    assert collector.verdicts == {0.0}


def test_a_query_that_hangs_does_not_keep_the_collector_from_ending(tmp_path: Path) -> None:
    models = write_models(tmp_path, {"m": {"age": numeric(0, 400, 300, 300, 0)}}, drift=DRIFT)
    port = free_port()
    with ExitStack() as stack:
        endpoint = stack.enter_context(serving([STEADY]))
        stack.enter_context(prometheus(tmp_path / "prometheus", port, endpoint, 1))
        url, between = stack.enter_context(_between(port))
        between.delay = 30
        with _collecting(models, url) as collector:
            eventually(lambda: between.asked > 0)
            # After 15 seconds it would be killed.
            assert collector.process.stop(seconds=15) == 0
