"""What a whole evaluation costs, Prometheus included: `make bench-drift-cycle`.

1,000 models of 50 features of 15 bins, 800,000 series: a real Prometheus holds an hour of them, and
the collector's own evaluation asks it, compares and renders, again and again. An hour has 12
samples of each series here, since so many take long to write; what the 240 samples of a 15 second
scrape interval add is measured with 25 models, one query's worth.

There is no peer to hold it against: others read rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks import harness
from contract.profile import NumericBins, Profile, write_profile
from contract.read import read_spec
from exporters.drift.cycle import Cycle
from exporters.drift.families import Labels
from exporters.drift.layout import read_layout
from exporters.drift.prometheus import Prometheus
from exporters.drift.window import QUERIES
from exporters.expose import render
from tests.processes import free_port, http

FEATURES: Final = 50
BINS: Final = 15
HOUR: Final = 3600
START: Final = 1_790_000_000 // (2 * HOUR) * 2 * HOUR
INTERVAL: Final = 60.0
"""Seconds in which a cycle should be over: the collector's default interval."""


def write_spec(folder: Path, models: int) -> Path:
    """models.yaml and one profile for all of them."""
    edges = tuple(map(float, range(BINS - 1)))
    bins = NumericBins(edges=edges, counts=(0, *[400] * (BINS - 2), 0))
    features = {f"feature_{number}": bins for number in range(FEATURES)}
    profile = Profile(model_name="m", rows=400 * (BINS - 2), features=dict(features))
    write_profile(profile, folder / "profile.json")
    lines = [
        f'  - {{name: model-{number}, version: "1", task: regression, profile: profile.json}}'
        for number in range(models)
    ]
    path = folder / "models.yaml"
    path.write_text("models:\n" + "\n".join(lines) + "\n")
    return path


def write_past(path: Path, models: int, step: int) -> int:
    """An hour of counts every `step` seconds, as OpenMetrics; how many series."""
    moments = range(0, HOUR + 1, step)
    les = [*(repr(float(edge)) for edge in range(BINS - 1)), "+Inf"]
    series = 0
    with path.open("w") as file:
        for name, buckets in (("ml_feature_value_bucket", les), ("ml_feature_missing_total", [""])):
            file.write(f"# TYPE {name} unknown\n")
            for model in range(models):
                for feature in range(FEATURES):
                    own = f'model_name="model-{model}",model_version="1"'
                    own += f',feature_name="feature_{feature}"'
                    for place, le in enumerate(buckets):
                        labels = f'{{{own},le="{le}"}}' if le else f"{{{own}}}"
                        grows = place * 7 if le else 0
                        file.write(
                            "".join(
                                f"{name}{labels} {number * grows} {START + moment}\n"
                                for number, moment in enumerate(moments)
                            )
                        )
                        series += 1
        file.write("# EOF\n")
    return series


@contextmanager
def remembering(folder: Path, models: int, step: int) -> Iterator[tuple[str, harness.Started, int]]:
    """A Prometheus that holds that hour: its URL, its process, how many series."""
    source, config = folder / "past.om", folder / "prometheus.yml"
    series = write_past(source, models, step)
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source)]
    subprocess.run([*made, str(folder / "data")], check=True, capture_output=True)
    source.unlink()
    config.write_text("scrape_configs: []\n")
    url = f"http://127.0.0.1:{free_port()}"

    def ready() -> bool:
        with http() as client, suppress(httpx.TransportError):
            return client.get(f"{url}/-/ready").status_code == 200
        return False

    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command += ["--storage.tsdb.retention.time=100y", "--log.level=error"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]
    with harness.started(command, until=ready, seconds=60) as process:
        yield url, process, series


def measure(models: int, step: int, repeats: int) -> dict[str, Any]:
    """Run the cycle and say what it took, in seconds and bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spec = read_spec(write_spec(folder, models))
        began = time.perf_counter()
        layout = read_layout(spec)
        labels, cycle = Labels(layout), Cycle(spec, layout)
        prepared = time.perf_counter() - began
        with remembering(folder, models, step) as (url, process, series):
            prometheus = Prometheus(url)
            wall, own, theirs = [], [], []
            for _ in range(repeats + 1):
                began, cpu, other = time.perf_counter(), time.process_time(), process.cpu_seconds()
                found = cycle.evaluate(prometheus.query_raw, START + HOUR)
                scrape = render(labels.families(found))
                wall.append(time.perf_counter() - began)
                own.append(time.process_time() - cpu)
                theirs.append(process.cpu_seconds() - other)
                if found.failures or not scrape:
                    raise SystemExit(f"could not be evaluated: {found.failures}")
            return {
                "models": models,
                "series": series,
                "samples of each": HOUR // step,
                "seconds to prepare, once": prepared,
                "seconds, the first": wall[0],
                "seconds": statistics.median(wall[1:]),
                "seconds, the most": max(wall[1:]),
                "cpu seconds, collector": statistics.median(own[1:]),
                "cpu seconds, Prometheus": statistics.median(theirs[1:]),
                "bytes, collector": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "bytes, Prometheus": _peak(process.pid),
                "queries at a time": QUERIES,
            }


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Run it, print the table, keep the result."""
    parser = argparse.ArgumentParser(prog="make bench-drift-cycle")
    parser.add_argument("--models", type=int, default=1_000, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N")
    parser.add_argument("--no-result", action="store_true", help="keep no result")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    few = min(25, options.models)
    found = {
        "whole": measure(options.models, 300, options.repeats),
        "a part, 12 samples": measure(few, 300, options.repeats),
        "a part, 240 samples": measure(few, 15, options.repeats),
    }
    for what, numbers in found.items():
        print(what)
        for name, number in numbers.items():
            shown = f"{number / 1e6:,.0f} MB" if name.startswith("bytes") else f"{number:,.6g}"
            print(f"  {name:26}{shown}")
    result = {
        "name": "drift-cycle",
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": harness.machine(),
        "load": {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)},
        "measured": found,
    }
    if not options.no_result:
        harness.RESULTS.mkdir(exist_ok=True)
        path = harness.RESULTS / "drift-cycle.json"
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    ours = found["whole"]["seconds"]
    line = {"name": "drift-cycle", "ours": ours, "beside": INTERVAL, "unit": "seconds"}
    print(json.dumps({**line, "ratio": round(INTERVAL / ours, 2)}))


if __name__ == "__main__":
    main()
