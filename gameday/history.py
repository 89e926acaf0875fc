"""A day of past for a stack that has just been set up.

What is usual for a model is what it did yesterday, and the game day has none. So what was recorded
then is written into Prometheus before it starts: that every model had its usual traffic at its
usual latency. Only series that no counter of today contradicts are written.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contract.quantity import Duration
from contract.spec import Model, Spec
from generator.queries import recorded, recorded_past
from generator.queries.windows import DAY, FIVE_MINUTES, HOUR, window

__all__ = ["render_history", "write_history"]

LATENCY: Final = 0.02
"""Seconds that requests took yesterday in the mean: what a busy machine makes of the demo's few."""
SPREAD: Final = {"requests": 0.02, "latency": 0.9}
"""By how much both varied, as a share."""
LATEST: Final = 5.0
"""Seconds before now at which the past ends: a running Prometheus takes nothing before its end."""


def write_history(folder: Path, spec: Spec, *, rate: float) -> None:
    """Write the past into the folder of a Prometheus that does not run yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(render_history(spec, rate=rate, now=time.time() - LATEST))
        file.flush()
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file.name, str(folder)]
        subprocess.run(command, check=True, capture_output=True)


def render_history(spec: Spec, *, rate: float, now: float) -> str:
    """The past as OpenMetrics: `rate` requests a second of every model until `now`, Unix time."""
    step = window(spec, FIVE_MINUTES).seconds
    length = spec.clock(Duration(DAY.milliseconds + 2 * HOUR.milliseconds)).seconds
    moments = [now - ago * step for ago in range(int(length / step), -1, -1)]
    return "\n".join([*_lines(spec, rate, moments), "# EOF", ""])


def _lines(spec: Spec, rate: float, moments: list[float]) -> Iterator[str]:
    draw = random.Random(0)
    for series, usual, spread in (
        (recorded_past.REQUESTS_1H, rate, SPREAD["requests"]),
        (recorded.LATENCY_MEAN, LATENCY, SPREAD["latency"]),
    ):
        name = str(series)
        yield f"# TYPE {name} gauge"
        for model in spec.models:
            for moment in moments:
                value = usual * (1 + spread * draw.uniform(-1, 1))
                yield f"{name}{_labels(model)} {value:.6g} {moment:.3f}"


def _labels(model: Model) -> str:
    return f'{{model_name="{model.name}",model_version="{model.version}"}}'
