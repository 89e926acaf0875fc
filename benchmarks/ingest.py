"""Events per second and core: the sidecar beside `json` and `prometheus_client`, over loopback.

Both servers take events of 20 numeric features, class, confidence and latency. A figure is events
answered divided by the CPU seconds that the server used for them, so that other work on the machine
changes it little; a server that has a core for itself reaches it. `notes` has what was reached by
the clock. The last cases say how much of what this machine can do at all is left: their other side
decodes and bins and does nothing else, see bare_server.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Case, Side, Started, started
from benchmarks.load import Load, get, post, receive
from contract.profile import build_profile, write_profile
from tests.processes import free_port

FEATURES: Final = [f"feature_{place:02d}" for place in range(20)]
OTHERS: Final = ("prediction", "confidence", "latency_seconds")
SECONDS: Final = 1.0
ARROW: Final = "application/vnd.apache.arrow.stream"

MODELS: Final = """\
models:
  - {name: fraud, version: "1", task: binary_classification, profile: fraud.json}
sidecar: {log: {store: memory}}
"""

clocked: dict[str, list[float]] = {}


def main() -> None:
    """Run the benchmark."""
    harness.require("prometheus_client", "pyarrow", "simdjson")
    harness.stay_on(1)
    made = random.Random(1)
    rows = [_event(made) for _ in range(1000)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        _write_spec(folder, rows)
        ours, plain, bare = free_port(), free_port(), free_port()
        sidecar = running.enter_context(_sidecar(ours, folder))
        peer = running.enter_context(_other("plain_server", plain, folder))
        least = running.enter_context(_other("bare_server", bare, folder))
        batches = [json.dumps(rows[start : start + 100]).encode() for start in range(0, 1000, 100)]
        singles = [json.dumps(row).encode() for row in rows[:200]]
        lines = [
            "\n".join(map(json.dumps, rows[s : s + 100])).encode() for s in range(0, 1000, 100)
        ]

        def posts(bodies: Sequence[bytes], kind: str = "application/json") -> list[bytes]:
            return [post("/v1/predictions", body, kind) for body in bodies]

        rows_beside = _side("json, prometheus_client", peer, plain, posts(batches), 100)
        single_beside = _side("json, prometheus_client", peer, plain, posts(singles), 1)

        def case(
            what: str, bodies: list[bytes], events: int, beside: Side, target: float | None
        ) -> Case:
            own = _side(what, sidecar, ours, bodies, events)
            return Case(what, "events/s/core", Side("sidecar", own.measure), beside, target=target)

        cases = [
            case("JSON rows by 100", posts(batches), 100, rows_beside, 300_000),
            case("single events", posts(singles), 1, single_beside, 15_000),
            case("columnar JSON by 1,000", posts([_columns(rows)]), 1000, rows_beside, 1_000_000),
            case("Arrow by 1,000", posts([_arrow(rows)], ARROW), 1000, rows_beside, 2_000_000),
            case(
                "Arrow by 10,000", posts([_arrow(rows * 10)], ARROW), 10_000, rows_beside, 2_000_000
            ),
            case("NDJSON by 100", posts(lines, "application/x-ndjson"), 100, rows_beside, None),
        ]
        for what, bodies, events in (
            ("JSON rows by 100", posts(batches), 100),
            ("single events", posts(singles), 1),
            ("columnar JSON by 1,000", posts([_columns(rows)]), 1000),
            ("Arrow by 1,000", posts([_arrow(rows)], ARROW), 1000),
            ("Arrow by 10,000", posts([_arrow(rows * 10)], ARROW), 10_000),
        ):
            beside = _side(f"{what}, bare", least, bare, bodies, events)
            beside = Side("decode and bin alone", beside.measure)
            cases.append(case(f"{what} beside bare", bodies, events, beside, None))
        harness.run(
            "ingest",
            cases,
            packages=[
                *("msgspec", "numpy", "pysimdjson", "pyarrow"),
                *("uvicorn", "uvloop", "httptools", "prometheus-client"),
            ],
            notes={"events_per_second_by_the_clock": clocked, "features": len(FEATURES)},
        )


def _event(made: random.Random) -> dict[str, Any]:
    return {
        "model_name": "fraud",
        "model_version": "1",
        "features": {name: round(made.gauss(0, 1), 4) for name in FEATURES},
        "prediction": made.choice(["fraud", "good"]),
        "confidence": round(made.uniform(0.5, 1), 3),
        "latency_seconds": round(made.expovariate(20), 5),
    }


def _columns(rows: Sequence[dict[str, Any]]) -> bytes:
    columns = {name: [row[name] for row in rows] for name in OTHERS}
    features = {name: [row["features"][name] for row in rows] for name in FEATURES}
    head = {"model_name": "fraud", "model_version": "1"}
    return json.dumps({**head, "columns": {"features": features, **columns}}).encode()


def _arrow(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow as pa

    columns = {name: [row[name] for row in rows] for name in OTHERS}
    table = pa.table({"features": [row["features"] for row in rows], **columns})
    table = table.replace_schema_metadata({"model_name": "fraud", "model_version": "1"})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _write_spec(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    columns = {name: [row["features"][name] for row in rows] for name in FEATURES}
    columns["prediction"] = [row["prediction"] for row in rows]
    profile = build_profile(columns, model_name="fraud", prediction="prediction")
    write_profile(profile, folder / "fraud.json")
    (folder / "models.yaml").write_text(MODELS)


def _sidecar(port: int, folder: Path) -> Any:
    return started(
        [
            *(sys.executable, "-m", "exporters.sidecar", "serve", "--models"),
            *(str(folder / "models.yaml"), "--listen", f"127.0.0.1:{port}"),
            *("--data-dir", str(folder / "data")),
        ],
        until=lambda: _answers(port),
        core=0,
    )


def _other(module: str, port: int, folder: Path) -> Any:
    return started(
        [
            *(sys.executable, "-m", f"benchmarks.{module}", "--port", str(port)),
            *("--profile", str(folder / "fraud.json")),
        ],
        until=lambda: _answers(port),
        core=0,
    )


def _answers(port: int) -> bool:
    load = Load(port, 1)
    [connection] = load._sockets
    connection.sendall(get("/metrics"))
    try:
        return receive(connection)[0] == 200
    finally:
        load.close()


def _side(name: str, process: Started, port: int, requests: Sequence[bytes], events: int) -> Side:
    def measure() -> float:
        load = Load(port)
        before = process.cpu_seconds()
        answered, seconds = load.run(requests, SECONDS)
        used = process.cpu_seconds() - before
        load.close()
        clocked.setdefault(name, []).append(round(answered * events / seconds))
        return answered * events / used

    return Side(name, measure)


if __name__ == "__main__":
    main()
