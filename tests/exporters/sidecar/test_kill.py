"""What was acknowledged survives kill -9, and nothing is doubled: in the log, joins and counters.

The sidecar is forked from a process that has imported it already, so that hundreds of kills fit
into a minute; it is the real one, with real HTTP, killed at any moment of starting or working.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from exporters.sidecar.__main__ import main
from exporters.sidecar.log.export import Period, read_sqlite
from exporters.sidecar.log.sqlite import FILE
from tests.exporters.sidecar.serving import write_spec
from tests.processes import eventually, free_port
from tests.processes import http as http_client

KILLS: Final = int(os.environ.get("KILLS", "100"))
CLIENTS: Final = 3

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
            self.predictions += batch
            self.labels += len(batch)

    def _batches(self) -> Iterator[list[str]]:
        made = random.Random(self.name)
        number = 0
        while not self.stop.is_set():
            size = made.choice((1, 5, 30))
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


@pytest.mark.timeout(300)
def test_an_acknowledged_event_survives_hundreds_of_kills_and_is_never_doubled(
    tmp_path: Path,
) -> None:
    spec, port = write_spec(tmp_path), free_port()
    arguments = ["serve", "--models", str(spec), "--listen", f"127.0.0.1:{port}"]
    arguments += ["--data-dir", str(tmp_path / "data"), "--log-format", "json"]
    stop = threading.Event()
    clients = [Client(f"c{number}", port, stop) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    made = random.Random(1)
    for _ in range(KILLS):
        process = CONTEXT.Process(target=main, args=(arguments,))
        process.start()
        if made.random() < 0.8:
            _wait_for_an_acknowledgement(clients)
        time.sleep(made.uniform(0, 0.1))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        assert process.exitcode == -signal.SIGKILL
    last = CONTEXT.Process(target=main, args=(arguments,))
    last.start()
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    counted = _samples(port)
    assert last.pid is not None
    os.kill(last.pid, signal.SIGTERM)
    last.join(20)
    acknowledged = [identity for client in clients for identity in client.predictions]
    assert len(acknowledged) > KILLS
    logged = Counter[str | None]()
    labelled = 0
    for part in read_sqlite(tmp_path / "data" / FILE, "mail", Period())():
        logged.update(own.event.prediction_id for own in part)
        labelled += sum(own.label == "spam" for own in part)
    assert logged == Counter(acknowledged), "each exactly once"
    assert labelled == len(acknowledged)
    name = 'model_name="mail",model_version="2"'
    assert counted[f'ml_inference_requests_total{{{name},status="success"}}'] == len(acknowledged)
    assert counted[f'ml_labels_total{{{name},result="matched"}}'] == len(acknowledged)
    assert counted[f'ml_outcomes_total{{{name},predicted_class="ham",actual_class="spam"}}'] == len(
        acknowledged
    )
    print(f"{KILLS} kills, {len(acknowledged)} events, {sum(c.resent for c in clients)} resent")


def _wait_for_an_acknowledgement(clients: list[Client]) -> None:
    before = sum(client.acknowledged for client in clients)
    eventually(lambda: sum(client.acknowledged for client in clients) > before)


def _samples(port: int) -> dict[str, float]:
    with http_client() as client:
        text = client.get(f"http://127.0.0.1:{port}/metrics").text
    lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("ml_"))
    return {name: float(value) for name, _, value in lines}
