"""A Prometheus that holds a past: hours of counts, written as blocks before it starts."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import yaml

from contract import catalog
from tests.exporters.drift.counting import EDGES, Bins, category, numeric
from tests.processes import eventually, free_port, http, running

STEP = 60
"""Seconds between two samples."""

NOON = dt.datetime(2026, 10, 1, 12, tzinfo=dt.UTC)
TRAINED = (0, 400, 300, 300, 0)
BEFORE, AFTER = (0, 40, 30, 30, 0), (0, 10, 20, 60, 10)
"""What is counted each minute, before noon and from noon on."""

PROFILES: dict[str, dict[str, Bins]] = {
    "m": {"age": numeric(*TRAINED), "city": category({"Oslo": 600, "Rome": 400})},
}

Series = Mapping[str, Sequence[float]]
"""By name and labels, what a counter grew by in each step."""


def openmetrics(series: Series, start: float, *, family: str) -> str:
    """Counters that grow, as OpenMetrics with timestamps."""
    lines = [f"# TYPE {family} unknown"]
    for name, steps in series.items():
        total = 0.0
        for number, step in enumerate(steps):
            total += step
            lines.append(f"{name} {total!r} {start + number * STEP:.0f}")
    return "\n".join(lines)


def exposition() -> str:
    """From nine in the morning to three in the afternoon."""
    steps = 6 * 3600 // STEP
    labels = 'model_name="m",model_version="1",feature_name='
    buckets: dict[str, list[float]] = {}
    for column, edge in enumerate((*EDGES, float("inf"))):
        text = "+Inf" if edge == float("inf") else repr(edge)
        name = f'{catalog.FEATURE_VALUE.bucket}{{{labels}"age",le="{text}"}}'
        below = [list(accumulate(counts))[column] for counts in (BEFORE, AFTER)]
        buckets[name] = [below[number >= steps // 2] for number in range(steps)]
    categories = {
        f'{catalog.FEATURE_CATEGORY.name}{{{labels}"city",category="{city}"}}': [count] * steps
        for city, count in (("Oslo", 60.0), ("Rome", 40.0), ("other", 0.0))
    }
    start = NOON.timestamp() - 3 * 3600
    parts = [
        openmetrics(buckets, start, family=catalog.FEATURE_VALUE.bucket),
        openmetrics(categories, start, family=catalog.FEATURE_CATEGORY.name),
    ]
    return "\n".join(parts)


@contextmanager
def remembering(
    folder: Path, exposition: str, *, web: Mapping[str, object] | None = None
) -> Iterator[str]:
    """A real Prometheus that has these samples and scrapes nothing; gives its address.

    `web` is its own configuration of TLS and basic authentication.
    """
    folder.mkdir(exist_ok=True)
    source, data, config = folder / "past.om", folder / "data", folder / "prometheus.yml"
    source.write_text(exposition + "\n# EOF\n")
    config.write_text(yaml.safe_dump({"scrape_configs": []}))
    made: list[str | Path] = ["promtool", "tsdb", "create-blocks-from", "openmetrics", source, data]
    subprocess.run(made, check=True, capture_output=True)
    port = free_port()
    argv: list[str | Path] = ["prometheus", f"--config.file={config}"]
    argv += [f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"]
    argv += [f"--web.listen-address=127.0.0.1:{port}"]
    if web is None:
        with running(argv, ready_url=f"http://127.0.0.1:{port}/-/ready"):
            yield f"127.0.0.1:{port}"
        return
    (folder / "web.yml").write_text(yaml.safe_dump(web))
    with running([*argv, f"--web.config.file={folder / 'web.yml'}"]) as server:
        eventually(lambda: "Server is ready" in server.output, says=server.tail)
        yield f"127.0.0.1:{port}"


@contextmanager
def victoria_metrics(folder: Path, exposition: str) -> Iterator[str]:
    """A real VictoriaMetrics that has these samples; gives its address."""
    port = free_port()
    argv: list[str | Path] = ["victoria-metrics", f"-storageDataPath={folder / 'data'}"]
    argv += ["-retentionPeriod=10y", f"-httpListenAddr=127.0.0.1:{port}"]
    address = f"127.0.0.1:{port}"
    lines = [line for line in exposition.splitlines() if not line.startswith("#")]
    # Seconds in OpenMetrics, milliseconds here.
    body = "\n".join(f"{line}000" for line in lines)
    with running(argv, ready_url=f"http://{address}/health", cwd=folder), http() as client:
        client.post(f"http://{address}/api/v1/import/prometheus", content=body).raise_for_status()
        client.get(f"http://{address}/internal/force_flush").raise_for_status()
        yield address
