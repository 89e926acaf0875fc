"""/metrics with 100,000 series, gzip at level 1: a whole sidecar beside prometheus_client.

Ours is a scrape over loopback HTTP of a sidecar with 100 models, all of which got one event since
the last scrape, or a hundred, or none; a figure is the CPU time that the sidecar used. Events wait
to be counted together, at the latest by a scrape: a hundred of each model are 570,000 values.
prometheus_client renders as many series from its own registry and compresses them, in this process
and without HTTP; it has counted them before.
`notes` has for how long events that arrived during a scrape waited, beside those that arrived
without one.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import harness
from benchmarks.harness import Case, Side, started
from benchmarks.load import get, post, receive
from contract.profile import build_profile, read_profile, write_profile
from contract.read import read_spec
from exporters.expose import Own
from exporters.expose.server import scrape_chunks
from exporters.sidecar.families import Exposition
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.web import Web
from tests.processes import free_port

SERIES: Final = 100_000
MODELS: Final = 100
SCRAPES: Final = 3
"""Scrapes of one measurement."""

SCRAPE: Final = get("/metrics", "Accept-Encoding: gzip")


def main() -> None:
    """Run the benchmark."""
    harness.require("prometheus_client")
    from prometheus_client import CollectorRegistry, Histogram, generate_latest

    harness.stay_on(1)
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        features = _write_spec(folder)
        port = free_port()
        sidecar = running.enter_context(
            started(
                [
                    *(sys.executable, "-m", "exporters.sidecar", "serve", "--models"),
                    *(str(folder / "models.yaml"), "--listen", f"127.0.0.1:{port}"),
                    *("--data-dir", str(folder / "data")),
                ],
                until=lambda: bool(_scrape(port)),
                core=0,
                seconds=120,
            )
        )
        bodies = {
            events: [json.dumps([_event(n, features)] * events).encode() for n in range(MODELS)]
            for events in (1, 100)
        }

        def feed(events: int) -> None:
            for body in bodies[events]:
                _send(port, body)

        feed(100)
        lines = gzip.decompress(_scrape(port)).decode().splitlines()
        series = sum(not line.startswith("#") for line in lines)

        registry = CollectorRegistry()
        labels = ["model_name", "model_version", "feature_name"]
        edges = [float(edge) for edge in range(11)]
        values = Histogram("ml_feature_value", "-", labels, buckets=edges, registry=registry)
        for place in range(series // 15):  # 11 edges, +Inf, count, sum, created
            values.labels(f"model-{place // 50}", "1", f"feature {place % 50}").observe(5)

        def ours(*, events: int) -> float:
            used = 0.0
            for _ in range(SCRAPES):
                if events:
                    feed(events)
                before = sidecar.exact_cpu_seconds()
                _scrape(port)
                used += sidecar.exact_cpu_seconds() - before
            return used / SCRAPES

        def beside() -> float:
            before = time.process_time()
            gzip.compress(generate_latest(registry), 1)
            return time.process_time() - before

        cases = [
            Case(
                f"{series:,} series, {what}",
                "seconds",
                Side("sidecar, over HTTP", partial(ours, events=events)),
                Side("prometheus_client", beside),
                better="less",
                target=0.05,
            )
            for what, events in (
                ("every model had an event", 1),
                ("every model had a hundred", 100),
                ("none had any", 0),
            )
        ]
        waits = _waits(port, json.dumps(_event(1, features)).encode())
        waits["longest turn of the loop, CPU ms"] = _longest_turn(folder, features)
        harness.run(
            "scrape",
            cases,
            packages=["prometheus-client", "uvicorn"],
            notes={"series": series, **waits},
        )
        print(f"waits in milliseconds: {waits}", file=sys.stderr)


def _write_spec(folder: Path) -> list[str]:
    """100 models whose features make as many series as are wanted."""
    made = random.Random(1)
    names = [f"feature {place}" for place in range(57)]
    columns = {name: [round(made.gauss(0, 1), 3) for _ in range(300)] for name in names}
    profile = build_profile(columns, model_name="model")
    write_profile(profile, folder / "model.json")
    models = "".join(
        f'  - {{name: model-{place}, version: "1", task: regression, profile: model.json}}\n'
        for place in range(MODELS)
    )
    (folder / "models.yaml").write_text(f"models:\n{models}sidecar: {{log: {{store: memory}}}}\n")
    return names


def _event(number: int, features: list[str]) -> dict[str, object]:
    return {
        "model_name": f"model-{number}",
        "features": {name: (place % 7) / 3 for place, name in enumerate(features)},
        "latency_seconds": 0.01,
    }


def _scrape(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(SCRAPE)
        return receive(connection)[1]


def _send(port: int, body: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(post("/v1/predictions", body, "application/json"))
        status, said = receive(connection)
        assert status == 200, said


def _waits(port: int, body: bytes) -> dict[str, float]:
    """How long single events wait for their answer, without scrapes and with one after another."""
    request = post("/v1/predictions", body, "application/json")

    def measure() -> list[float]:
        found = []
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            for _ in range(1500):
                began = time.perf_counter()
                connection.sendall(request)
                receive(connection)
                found.append((time.perf_counter() - began) * 1000)
        return sorted(found)

    quiet = measure()
    ending = threading.Event()

    def scrape() -> None:
        while not ending.is_set():
            _scrape(port)

    thread = threading.Thread(target=scrape)
    thread.start()
    busy = measure()
    ending.set()
    thread.join()
    return {
        f"{quantile} {when}": round(number, 2)
        for when, waits in (("without scrapes", quiet), ("during scrapes", busy))
        for quantile, number in (
            ("median", statistics.median(waits)),
            ("p99", waits[int(len(waits) * 0.99)]),
            ("most", waits[-1]),
        )
    }


def _longest_turn(folder: Path, features: list[str]) -> float:
    """The most CPU time that a scrape takes before events have their turn: median of 9 scrapes."""
    spec = read_spec(folder / "models.yaml")
    layout_of = read_profile(folder / "model.json")
    intake = Intake([Layout.of(model, layout_of) for model in spec.models])
    post_events = Web(intake).directs()["/v1/predictions"].answer
    exposition, own = Exposition(intake), Own("sidecar")

    async def scrape() -> float:
        turns: list[float] = []

        async def tick() -> None:
            last = time.thread_time()
            while True:
                await asyncio.sleep(0)
                now = time.thread_time()
                turns.append(now - last)
                last = now

        for number in range(MODELS):
            post_events(json.dumps([_event(number, features)] * 10).encode(), {})
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        turns.clear()
        await scrape_chunks(own, exposition.collect, openmetrics=False)
        ticking.cancel()
        return max(turns) * 1000

    async def repeat() -> list[float]:
        await exposition.collect()
        gc.collect()
        gc.freeze()
        return [await scrape() for _ in range(9)]

    return round(statistics.median(asyncio.run(repeat())), 2)


if __name__ == "__main__":
    main()
