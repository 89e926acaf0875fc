"""A real Prometheus that holds a month of what rules recorded, with counts that add up by hand.

October 2026 in UTC. Each model is one thing that may happen to a report; FACTS tells which.
"""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract import catalog
from contract.read import read_spec
from contract.spec import Spec
from generator.queries import recorded, recorded_gpu, recorded_quality, slo
from generator.queries.selection import ALERTS
from generator.queries.slo_events import BAD_COUNTED, EVENTS_COUNTED
from tests.processes import free_port, running

__all__ = ["FIVE", "MODELS", "at", "month", "spec_of"]

FIVE: Final = 300
HALF: Final = 30
LOOKBACK: Final = "29s"
"""Nothing that is written this way marks where a series ends: a sample is looked at once."""

MODELS: Final = """\
defaults: {{slo: {{availability: 99.9%, latency: {{threshold: 250ms, target: 99%}}}}}}
stack: {{prometheus: "{address}"}}
teams: {{ml-platform: {{}}, risk: {{}}}}
models:
  - {{name: fraud, version: "2", task: binary_classification, team: risk,
      performance: {{accuracy: {{baseline: 0.95, max_drop: 0.05, min: 80%}}}}}}
  - {{name: spiky, version: "0", task: regression, state: retired}}
  - {{name: spiky, version: "1", task: regression}}
  - {{name: idle, version: "0", task: regression, state: retired}}
  - {{name: idle, version: "1", task: regression}}
  - {{name: absent, version: "1", task: regression}}
"""


def at(day: int, hour: int = 0, minute: int = 0) -> float:
    """A time of October, as Unix seconds."""
    return dt.datetime(2026, 10, day, hour, minute, tzinfo=dt.UTC).timestamp()


END: Final = at(31) + 86_400

Value = Callable[[float], float | None]


def _labels(**labels: str) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _samples(name: object, labels: str, step: int, value: Value) -> Iterator[str]:
    """One series over the month; a value of None is no sample."""
    moment = at(1) + step
    while moment <= END:
        if (told := value(moment)) is not None:
            yield f"{name}{{{labels}}} {told!r} {moment:.0f}"
        moment += step


def _between(start: float, end: float, inside: float, outside: float | None = None) -> Value:
    """`inside` after start and up to end."""
    return lambda moment: inside if start < moment <= end else outside


def _within(start: float, end: float, value: Value) -> Value:
    """`value` after start and up to end, and nothing else."""
    return lambda moment: value(moment) if start < moment <= end else None


def _model(name: str, version: str = "1") -> str:
    return _labels(model_name=name, model_version=version)


def _counts(model: str, objective: str, events: Value, bad: Value) -> Iterator[str]:
    labels = f'{model},objective="{objective}"'
    yield from _samples(EVENTS_COUNTED, labels, FIVE, events)
    yield from _samples(BAD_COUNTED, labels, FIVE, bad)


MIDDLE: Final = at(16)
GAP: Final = at(20, 6), at(20, 12)


def _second(inside: float) -> Value:
    """fraud 2: from the 16th on, with six hours missing."""
    return lambda t: inside if t > MIDDLE and not GAP[0] < t <= GAP[1] else None


def _series() -> Iterator[str]:
    first, second = _model("fraud", "1"), _model("fraud", "2")
    # 100 requests every five minutes until the 16th; on the 10th one of them fails.
    failed = _between(at(10), at(11), 1.0, 0.0)
    yield from _counts(
        first,
        "availability",
        _between(at(1), MIDDLE, 100.0),
        lambda t: failed(t) if t <= MIDDLE else None,
    )
    yield from _samples(
        slo.OBJECTIVES,
        f'{first},objective="availability",kind="availability",limit="",period="30d",source="counters"',
        3600,
        _between(at(1), MIDDLE, 0.995),
    )
    yield from _counts(second, "availability", _second(100.0), _second(0.0))
    # Of each hundred two are slow: its promise is one.
    yield from _counts(second, "latency_250ms", _second(100.0), _second(2.0))
    yield from _samples(
        recorded.TARGET_UP,
        f'{second},target="a:1",targets="1"',
        3600,
        lambda t: 0.0 if at(18) < t <= at(19) else 1.0,
    )
    spike, failure = at(7, 3), at(8, 3)
    yield from _counts(
        _model("spiky"),
        "availability",
        lambda t: 1_000_000.0 if t == spike else 10.0 if t == failure else 0.0,
        lambda t: 10.0 if t == failure else 0.0,
    )
    # Retired on the second day.
    few = _between(at(1), at(2), 10.0), _between(at(1), at(2), 0.0)
    yield from _counts(_model("spiky", "0"), "availability", *few)
    yield from _counts(_model("idle"), "availability", lambda _: 0.0, lambda _: 0.0)
    yield from _alerts()


def _alerts() -> Iterator[str]:
    """fraud 2: burns for 30 and for 60 minutes, drifts from the start on with two features."""

    def alert(name: str, severity: str, *times: tuple[float, float], **more: str) -> Iterator[str]:
        labels = _labels(
            alertname=name,
            alertstate="firing",
            severity=severity,
            model_name="fraud",
            model_version="2",
            **more,
        )
        for start, end in times:
            yield from _samples(ALERTS, labels, HALF, _between(start, end, 1.0))

    yield from alert(
        "HighErrorRatio", "critical", (at(21, 10), at(21, 10, 30)), (at(22, 10), at(22, 11))
    )
    # One episode: the second feature begins before the first one ends.
    yield from alert("FeatureDrift", "warning", (at(25, 1), at(25, 2)), feature_name="age")
    yield from alert("FeatureDrift", "warning", (at(25, 1, 30), at(25, 3)), feature_name="plan")


def _fast() -> Iterator[str]:
    """Two hours of fraud 2 on the 24th, as it is recorded every half a minute."""
    second = _model("fraud", "2")
    noon = at(24, 12)

    def hours(first: float, then: float) -> Value:
        return lambda t: (
            first if noon - 3600 < t <= noon else then if noon < t <= noon + 3600 else None
        )

    # First hour: 10 a second, of which 9 within 0.1 s; then 1 a second, of which half above 10 s.
    for le, one, two in (
        ("0.1", 9.0, 0.0),
        ("0.25", 10.0, 0.5),
        ("10.0", 10.0, 0.5),
        ("+Inf", 10.0, 1.0),
    ):
        yield from _samples(recorded.LATENCY_BUCKETS, f'{second},le="{le}"', HALF, hours(one, two))
    yield from _samples(recorded.LATENCY_MEAN, second, HALF, hours(0.05, 6.0))
    yield from _samples(recorded.REQUESTS, second, HALF, hours(10.0, 1.0))
    yield from _samples(recorded_gpu.MODEL_POWER, second, HALF, hours(100.0, 40.0))
    yield from _samples(recorded_gpu.MODEL_MEMORY, second, HALF, hours(1e9, 3e9))


def _drift() -> Iterator[str]:
    """fraud 2 on the 25th: `age` drifts for an hour, `plan` never; accuracy falls at noon."""
    second = _model("fraud", "2")
    day = at(25), at(26)
    for feature, highest, usual in (("age", 0.5, 0.05), ("plan", 0.02, 0.02)):
        labels = f'{second},feature_name="{feature}",method="psi",window="1h"'
        moves = _within(*day, _between(at(25, 1), at(25, 2), highest, usual))
        yield from _samples(recorded.DRIFT_SCORE, labels, 60, moves)
        floor = f'{second},kind="feature",feature_name="{feature}",method="psi",window="1h"'
        yield from _samples(catalog.DRIFT_NOISE_FLOOR, floor, 60, _between(*day, 0.03))
    for severity, threshold in (("warning", 0.1), ("critical", 0.25)):
        limit = f'{second},kind="feature",severity="{severity}"'
        yield from _samples(catalog.DRIFT_THRESHOLD, limit, 60, _between(*day, threshold))
        held = f'{second},feature_name="age",severity="{severity}"'
        yield from _samples(recorded.DRIFT_DETECTED, held, 60, _between(at(25, 1), at(25, 2), 1.0))
    yield from _samples(recorded.DRIFTED_FEATURES, second, 60, _between(*day, 0.5))
    of = f'{second},metric="accuracy",window="1d"'
    noon = at(25, 12)
    falls = _within(*day, _between(day[0], noon, 0.96, 0.7))
    yield from _samples(catalog.MODEL_PERFORMANCE, of, 60, falls)
    for bound, value in (("lower", 0.65), ("upper", 0.75)):
        ends = f'{of},bound="{bound}"'
        yield from _samples(catalog.MODEL_PERFORMANCE_LIMIT, ends, 60, _between(*day, value))
    yield from _samples(
        catalog.MODEL_PERFORMANCE_SAMPLES, f'{second},window="1d"', 60, _between(*day, 400.0)
    )
    yield from _samples(
        recorded_quality.DECAYED,
        f'{second},objective="accuracy",window="1d"',
        60,
        _between(noon, at(26), 0.7),
    )
    # Three of four answers are right; the counter begins anew at six.
    for predicted, actual, each in (("yes", "yes", 2.0), ("no", "no", 1.0), ("no", "yes", 1.0)):
        labels = f'{second},predicted_class="{predicted}",actual_class="{actual}"'
        yield from _samples(catalog.OUTCOMES, labels, 60, _restarting(each, *day, at(25, 6)))


def _restarting(each: float, start: float, end: float, restart: float) -> Value:
    """A counter that grows by `each` a minute, and starts from 0 at `restart`."""
    return lambda t: (
        None if not start < t <= end else each * (t - (start if t < restart else restart)) / 60
    )


@contextmanager
def month(folder: Path) -> Iterator[str]:
    """The address of a Prometheus that has all of this."""
    source, data, config = folder / "past.om", folder / "data", folder / "prometheus.yml"
    with source.open("w") as file:
        for series in (_series(), _fast(), _drift()):
            file.writelines(f"{line}\n" for line in series)
        file.write("# EOF\n")
    config.write_text("scrape_configs: []\n")
    subprocess.run(
        [
            "promtool",
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=1536h",
            "openmetrics",
            source,
            data,
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    argv: list[str | Path] = ["prometheus", f"--config.file={config}"]
    argv += [f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", f"--query.lookback-delta={LOOKBACK}"]
    with running(argv, ready_url=f"http://127.0.0.1:{port}/-/ready"):
        yield f"127.0.0.1:{port}"


def spec_of(folder: Path, address: str) -> Spec:
    """The models.yaml of those models."""
    file = folder / "models.yaml"
    file.write_text(MODELS.format(address=address))
    return read_spec(file)
