"""A Prometheus that holds a past: hours of counts, written as blocks before it starts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.processes import free_port, running

STEP = 60
"""Seconds between two samples."""

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


@contextmanager
def remembering(folder: Path, exposition: str) -> Iterator[str]:
    """A real Prometheus that has these samples and scrapes nothing; gives its URL."""
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
    with running(argv, ready_url=f"http://127.0.0.1:{port}/-/ready"):
        yield f"http://127.0.0.1:{port}"
