"""The GPU exporter beside nvitop-exporter: eight H100 of the same fake driver, once a second.

`make bench-gpu`. No GPU is needed and none is measured: what NVML itself costs on real hardware
comes on top on both sides, and more of it on the side that asks more. nvitop-exporter is installed
from PyPI into an environment of its own, because it needs another version of the binding.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import harness
from benchmarks.harness import Case, Side
from examples.demo.gpu.__main__ import build

ROOT: Final = Path(__file__).resolve().parent.parent
CAPTURE: Final = ROOT / "tests" / "captures" / "gpu" / "h100x8.txt"
NVITOP: Final = "nvitop-exporter==1.7.2"
OURS, THEIRS = 29203, 29204
SCRAPES: Final = 200
CPU_SECONDS: Final = 15.0


def main() -> None:
    """Start both, measure them in turn, keep the result."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        environment = {
            "LD_LIBRARY_PATH": str(build(folder / "driver").parent),
            "FAKE_NVML_STATE": str(CAPTURE),
        }
        theirs = _install(folder / "nvitop")
        ours = [sys.executable, "-m", "exporters.gpu", "serve"]
        ours += [f"--listen=127.0.0.1:{OURS}", "--log-format=json"]
        beside = [str(theirs), "--bind-address=127.0.0.1", f"--port={THEIRS}", "--interval=1"]
        pids = {
            port: stack.enter_context(
                harness.started(command, until=partial(_answers, port), environment=environment)
            ).pid
            for port, command in ((OURS, ours), (THEIRS, beside))
        }
        time.sleep(12)  # until the slow tier was read, too
        harness.run(
            "gpu",
            _cases(pids),
            packages=["nvidia-ml-py", "prometheus-client"],
            notes={
                "beside": NVITOP,
                "series": {name: _series(port) for name, port in _NAMES},
                "inside the process, ms": _inside(environment),
            },
        )


_NAMES: Final = (("ours", OURS), ("beside", THEIRS))


def _cases(pids: dict[int, int]) -> list[Case]:
    def case(what: str, unit: str, target: float | None, measure: Callable[[int], float]) -> Case:
        return Case(
            what,
            unit=unit,
            better="less",
            target=target,
            ours=Side("exporters.gpu", lambda: measure(OURS)),
            beside=Side("nvitop-exporter", lambda: measure(THEIRS)),
        )

    return [
        case("a scrape, over HTTP", "ms", 2.0, _scrape_ms),
        case("a scrape, compressed", "ms", None, lambda port: _scrape_ms(port, gzip=True)),
        case("CPU between scrapes", "% of a core", 0.5, lambda port: _cpu(pids[port])),
        case("resident memory", "MB", None, lambda port: _resident(pids[port])),
    ]


def _install(folder: Path) -> Path:
    """nvitop-exporter in an environment of its own; its program."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, NVITOP], check=True)
    return folder / "bin" / "nvitop-exporter"


def _answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as response:
        return bool(response.read())


def _series(port: int) -> int:
    """How many series about GPUs and their processes a scrape has."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return sum(1 for line in lines if not line.startswith("#"))


def _scrape_ms(port: int, *, gzip: bool = False) -> float:
    """The median over some scrapes on one connection, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Accept-Encoding": "gzip"} if gzip else {}
    times = []
    for _ in range(SCRAPES):
        began = time.perf_counter()
        connection.request("GET", "/metrics", headers=headers)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times) * 1000


def _cpu(pid: int) -> float:
    """Percent of a core over some seconds, by the scheduler's own clock."""
    before, began = _run_time(pid), time.perf_counter()
    time.sleep(CPU_SECONDS)
    return (_run_time(pid) - before) / (time.perf_counter() - began) * 100


def _run_time(pid: int) -> float:
    """Seconds on a core of all threads; /proc/PID/stat counts in ticks, which miss short runs."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


_INSIDE: Final = """
import json, statistics, time
from exporters.expose import Own, render
from exporters.gpu.owners import Owners
from exporters.gpu.reader import REASONS, Intervals, Reader
reader = Reader(Own("gpu", reasons=REASONS), intervals=Intervals(), owners=Owners(None),
                give_up=print)
reader.start()
time.sleep(12)
times = []
for _ in range(200):
    began = time.perf_counter()
    render(reader.families())
    times.append(time.perf_counter() - began)
    time.sleep(0.01)
reader.stop()
print(json.dumps(statistics.median(times) * 1000))
"""


def _inside(environment: dict[str, str]) -> Any:
    """What a scrape takes inside the process, without HTTP: collecting and rendering."""
    done = subprocess.run(
        [sys.executable, "-c", _INSIDE],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return round(json.loads(done.stdout.splitlines()[-1]), 3)


if __name__ == "__main__":
    main()
