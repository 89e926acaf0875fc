"""What was acknowledged survives kill -9, and nothing is doubled: in the log, joins and counters.

The sidecar is forked from a process that has imported it already, so that a hundred kills fit
into a minute; it is the real one, with real HTTP, killed at any moment of starting or working.
`make test-kill` kills it as often as one likes.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from exporters.sidecar.__main__ import main
from exporters.sidecar.log.export import Period, Source, read_sqlite
from exporters.sidecar.log.postgres import read_postgres
from exporters.sidecar.log.sqlite import FILE
from tests.exporters.sidecar.serving import MODELS, write_spec
from tests.postgres import cluster
from tests.processes import eventually, free_port
from tests.processes import http as http_client

KILLS: Final = int(os.environ.get("KILLS", "0"))
"""Of each store; without it what fits into the suite."""

CLIENTS: Final = 3
LARGEST: Final = 30
"""Events of a batch."""

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["exporters.sidecar.__main__"])


@dataclass
class Client:
    """Sends batches and their labels, each again and again until it is acknowledged."""

    name: str
    port: int
    stop: threading.Event
    predictions: list[str] = field(default_factory=list)
    labels: int = 0
    acknowledged: int = 0
    counted: int = 0
    """Predictions that were acknowledged, with their labels or not yet."""
    resent: int = 0

    def run(self) -> None:
        made = random.Random(self.name)
        for batch in self._batches():
            events = [
                {"model_name": "mail", "prediction_id": identity, "prediction": "ham",
                 "features": {"length": 3.5, "links": 1}, "latency_seconds": 0.01}
                for identity in batch
            ]  # fmt: skip
            labels = [
                {"model_name": "mail", "prediction_id": identity, "actual": "spam"}
                for identity in batch
            ]
            calls = [("/v1/predictions", events), ("/v1/labels", labels)]
            if made.random() < 0.2:
                calls.reverse()  # labels may come first
            for path, content in calls:
                self._send(path, json.dumps(content))
                self.counted += len(batch) if content is events else 0
            self.predictions += batch
            self.labels += len(batch)

    def _batches(self) -> Iterator[list[str]]:
        made = random.Random(self.name)
        number = 0
        while not self.stop.is_set():
            size = made.choice((1, 5, LARGEST))
            yield [f"{self.name}-{number + place}" for place in range(size)]
            number += size

    def _send(self, path: str, body: str) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.acknowledged += 1
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()
            self.resent += 1


@dataclass
class Load:
    """A sidecar that is killed again and again, and clients that never stop."""

    arguments: list[str]
    port: int
    stop: threading.Event = field(default_factory=threading.Event)
    clients: list[Client] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    made: random.Random = field(default_factory=lambda: random.Random(1))

    @classmethod
    def start(cls, spec: Path, data: Path) -> Load:
        port = free_port()
        arguments = ["serve", "--models", str(spec), "--listen", f"127.0.0.1:{port}"]
        load = cls([*arguments, "--data-dir", str(data), "--log-format", "json"], port)
        load.clients = [Client(f"c{number}", port, load.stop) for number in range(CLIENTS)]
        load.threads = [threading.Thread(target=client.run) for client in load.clients]
        for thread in load.threads:
            thread.start()
        return load

    @property
    def counted(self) -> int:
        return sum(client.counted for client in self.clients)

    def kill_one(self, before: Callable[[], None] = lambda: None) -> None:
        """Start a sidecar and kill it; mostly after it has acknowledged something and `before`."""
        process = CONTEXT.Process(target=main, args=(self.arguments,))
        process.start()
        if self.made.random() < 0.8:
            _wait_for_an_acknowledgement(self.clients)
            before()
        time.sleep(self.made.uniform(0, 0.1))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        assert process.exitcode == -signal.SIGKILL

    def end(self) -> dict[str, float]:
        """What the last sidecar has counted once all clients have what they wanted."""
        last = CONTEXT.Process(target=main, args=(self.arguments,))
        last.start()
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        counted = samples(self.port)
        assert last.pid is not None
        os.kill(last.pid, signal.SIGTERM)
        last.join(20)
        return counted

    def check(self, source: Source) -> int:
        """Hold the log against what was acknowledged; how many predictions that is."""
        acknowledged = [identity for client in self.clients for identity in client.predictions]
        logged = Counter[str | None]()
        labelled = 0
        for part in source():
            logged.update(own.event.prediction_id for own in part)
            labelled += sum(own.label == "spam" for own in part)
        assert logged == Counter(acknowledged), "each exactly once"
        assert labelled == len(acknowledged)
        return len(acknowledged)

    def __str__(self) -> str:
        resent = sum(client.resent for client in self.clients)
        return f"{self.counted} events, {resent} requests without an answer"


NAME: Final = 'model_name="mail",model_version="2"'
REQUESTS: Final = f'ml_inference_requests_total{{{NAME},status="success"}}'
MATCHED: Final = f'ml_labels_total{{{NAME},result="matched"}}'
OUTCOMES: Final = f'ml_outcomes_total{{{NAME},predicted_class="ham",actual_class="spam"}}'


@pytest.mark.timeout(240 + 3 * KILLS)
def test_an_acknowledged_event_survives_kills_and_is_never_doubled(tmp_path: Path) -> None:
    load = Load.start(write_spec(tmp_path), tmp_path / "data")
    kills = KILLS or 80
    for _ in range(kills):
        load.kill_one()
    counted = load.end()
    events = load.check(read_sqlite(tmp_path / "data" / FILE, "mail", Period()))
    assert events > kills
    assert counted[REQUESTS] == counted[MATCHED] == counted[OUTCOMES] == events
    print(f"sqlite: {kills} kills, {load}")


@pytest.mark.timeout(240 + 3 * KILLS)
def test_with_postgres_too_and_counters_lose_what_came_after_their_last_scrape(
    tmp_path: Path,
) -> None:
    """Each sidecar is scraped once, as Prometheus would, and begins at 0."""
    kills = KILLS or 20
    scraped = 0.0
    unscraped = 0

    with cluster() as database:
        url = f"sidecar: {{log: {{store: postgres, url: '{database.url}'}}}}\n"
        load = Load.start(write_spec(tmp_path, url + MODELS), tmp_path / "data")
        for _ in range(kills):
            start = load.counted

            def scrape() -> None:
                nonlocal scraped, start
                start = load.counted
                scraped += samples(load.port)[REQUESTS]

            load.kill_one(scrape)
            unscraped += load.counted - start
        scraped += load.end()[REQUESTS]
        events = load.check(read_postgres(database.url, "mail", Period()))
    assert events > kills
    # Of each client one batch may be in the log without having been acknowledged yet.
    lost = events - scraped
    assert 0 <= lost <= unscraped + kills * CLIENTS * LARGEST
    print(f"postgres: {kills} kills, {load}; {lost:.0f} events missing from counters")


def _wait_for_an_acknowledgement(clients: list[Client]) -> None:
    before = sum(client.acknowledged for client in clients)
    eventually(lambda: sum(client.acknowledged for client in clients) > before)


def samples(port: int) -> dict[str, float]:
    with http_client() as client:
        text = client.get(f"http://127.0.0.1:{port}/metrics").text
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("ml_"))
    return {name: float(value) for name, _, value in lines}
