"""What monitoring costs the thread that serves: `make bench-client`.

A model server's process calls its model at a steady rate and measures, on the thread that serves,
how long it is held up by telling what went in and out: 20 numeric features, a class, a confidence.
Ours is the client before a real sidecar, an absent one and one that hangs; beside it the plain
way, prometheus_client in the serving thread: a histogram for each feature, found by its label.

Each measurement is a process of its own (`python -m benchmarks.client serve ...`), so that no side
inherits the other's threads or memory.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from benchmarks import harness
from exporters.sidecar.client import Monitor

FEATURES: Final = 20
ROWS: Final = 1_000
WARM_UP: Final = 2_000
RATE: Final = 2_000
CALLS: Final = 10_000

Sidecar = Literal["up", "absent", "hanging"]
Row = dict[str, float]


class Call(Protocol):
    """The block that a call of the model runs in."""

    def record(self, *, features: Row, prediction: str, confidence: float) -> None:
        """Say what went in and out."""


def rows() -> list[Row]:
    """Rows of FEATURES log-normal numbers."""
    made = random.Random(1)
    names = [f"feature_{number}" for number in range(FEATURES)]
    return [{name: made.lognormvariate(0, 1) for name in names} for _ in range(ROWS)]


def serve(begin: Callable[[], AbstractContextManager[Call]]) -> None:
    """Call a model CALLS times, RATE times a second; print what it took as JSON.

    `record` is the call that says what went in and out, `call` all that monitoring adds: making
    the block, entering it, recording and leaving it.
    """
    requests = [json.dumps(row) for row in rows()]
    now = time.perf_counter_ns
    recorded, whole = [], []
    start = time.perf_counter()
    for number in range(-WARM_UP, CALLS):
        row = json.loads(requests[number % ROWS])  # as a server reads what it is asked
        begun = now()
        with begin() as call:
            before = now()
            call.record(features=row, prediction="yes", confidence=0.9)
            after = now()
        ended = now()
        if number >= 0:
            recorded.append(after - before)
            whole.append(ended - begun)
        # As a server does: its thread sleeps until the next request.
        pause = start + (number + WARM_UP + 1) / RATE - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
    print(json.dumps({name: quantiles(own) for name, own in
                      (("record", recorded), ("call", whole))}))  # fmt: skip


def quantiles(nanoseconds: list[int]) -> dict[str, float]:
    """Median and p99 in microseconds."""
    ordered = sorted(nanoseconds)
    return {name: ordered[int(len(ordered) * share)] / 1_000
            for name, share in (("median", 0.5), ("p99", 0.99))}  # fmt: skip


class PlainCall:
    """The plain way: every value into a metric of its own, in the serving thread."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Histogram

        edges = tuple(0.25 * number for number in range(1, 11))
        own = ["model_name", "model_version"]
        self._feature = Histogram("feature", ".", [*own, "feature_name"], buckets=edges)
        self._class = Counter("prediction", ".", [*own, "predicted_class"])
        self._confidence = Histogram(
            "confidence", ".", own, buckets=[0.1 * n for n in range(1, 10)]
        )
        self._latency = Histogram("latency", ".", own)

    def __enter__(self) -> PlainCall:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._latency.labels("bench", "1").observe(time.perf_counter() - self._started)

    def record(self, *, features: Row, prediction: str, confidence: float) -> None:
        """Say what went in and out."""
        for name, value in features.items():
            self._feature.labels("bench", "1", name).observe(value)
        self._class.labels("bench", "1", prediction).inc()
        self._confidence.labels("bench", "1").observe(confidence)


@functools.cache
def measured(way: str, state: Sidecar, turn: int) -> dict[str, dict[str, float]]:  # noqa: ARG001 - turns are told apart
    """The numbers of the process that serves in one turn; the cases share it."""
    with sidecar_at(state) as url:
        command = [sys.executable, "-m", "benchmarks.client", "serve", way, url]
        ended = subprocess.run(
            command, cwd=harness.ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
    found: dict[str, dict[str, float]] = json.loads(ended.stdout)
    return found


@contextlib.contextmanager
def sidecar_at(state: Sidecar) -> Iterator[str]:
    """The address of a sidecar in that state."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if state == "hanging":  # it takes connections and never answers
            listener.listen()
            yield f"http://{address}"
            return
    if state == "absent":
        yield f"http://{address}"
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "exporters.sidecar", "serve", "--listen", address]
        command += ["--models", str(write_spec(Path(folder))), "--data-dir", f"{folder}/data"]

        def ready() -> bool:
            with urllib.request.urlopen(f"http://{address}/readyz") as answer:
                return bool(answer.status == 200)

        with harness.started(command, until=ready):
            yield f"http://{address}"


def write_spec(folder: Path) -> Path:
    """A models.yaml with one model whose profile has all features."""
    # Here and not above, so that the process that serves has only the standard library's json.
    from contract.profile import build_profile, write_profile

    table: dict[str, Sequence[float | int | str | bool | None]] = {
        name: [row[name] for row in rows()] for name in rows()[0]
    }
    table["class"] = ["yes", "no"] * (ROWS // 2)
    profile = build_profile(table, model_name="bench", prediction="class")
    write_profile(profile, folder / "bench.json")
    path = folder / "models.yaml"
    path.write_text(
        "models: [{name: bench, version: '1', task: binary_classification, profile: bench.json}]\n"
    )
    return path


def cases() -> Iterator[harness.Case]:
    """Each number of each state of the sidecar; a process gives all four at once."""
    for state in get_args(Sidecar):
        for what, targets in (("record", {"median": 3.0, "p99": 20.0}), ("call", {})):
            for name in ("median", "p99"):
                yield harness.Case(
                    f"{what}, {name}, sidecar {state}",
                    unit="µs",
                    better="less",
                    target=targets.get(name),
                    ours=harness.Side("client", reader("ours", state, what, name)),
                    beside=harness.Side("prometheus_client", reader("plain", "absent", what, name)),
                )


def reader(way: str, state: Sidecar, what: str, name: str) -> Callable[[], float]:
    """Gives one number of one more process at each call."""
    turns = itertools.count()
    return lambda: measured(way, state, next(turns))[what][name]


def main(arguments: Sequence[str]) -> None:
    """Compare; or be one of the processes that are compared."""
    if arguments[:1] != ["serve"]:
        harness.require("prometheus_client")
        notes = {"calls": CALLS, "calls per second": RATE, "features": FEATURES}
        harness.run(
            "client",
            list(cases()),
            packages=["prometheus_client", "msgspec", "uvicorn"],
            notes=notes,
            arguments=arguments,
        )
        return
    _, way, url = arguments
    if way == "plain":
        plain = PlainCall()
        serve(lambda: plain)
    else:
        serve(functools.partial(Monitor(url).inference, "bench", "1"))


if __name__ == "__main__":
    main(sys.argv[1:])
