"""What it costs to evaluate all rules for 1,000 models: `make bench-rules`.

Ours is the generated rules. Beside them the same alerts as one would write them without thresholds
in series, as Sloth does: for each model a group of rules on the raw counters, with every window,
the budget, and an alert for each tier and threshold. Both scrape the same made-up exporters;
`alone` in the notes is scraping them without rules.

Ours has 30 days of five-minute counts to sum up; the other side has none, because a month of raw
counters would not fit, so that its long windows look cheaper than they are.

CPU time is what counts: how long an evaluation takes by the clock depends on what else runs. What
Prometheus used over scraping alone is shared among groups by how long each took and how often it
was evaluated, and then counted as often as it should be: groups that are evaluated more seldom
than once a minute are evaluated once a minute here, and where the machine is busy some evaluations
are missed.
"""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from benchmarks import harness
from benchmarks.fleet import fleet
from contract.alerts import thresholds
from contract.quantity import Duration
from contract.slo import TIERS, objectives
from contract.spec import Model, Spec
from generator.queries.slo_events import BAD_COUNTED, EVENTS_COUNTED
from generator.rules.alerts import render_alerts
from generator.rules.recording import render_recording

MODELS: Final = 1_000
DAYS: Final = 30
WARM: Final = 75
MEASURED: Final = 120
"""Seconds; a scrape is every 15, an evaluation every 30."""
SAMPLES: Final = 8

MINUTE: Final = Duration.parse("1m")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side: cores that its evaluations need, and how long they took by the clock."""

    cores: float
    clock: float
    """Seconds of evaluation per 30 seconds, beside whatever else ran."""
    groups: Mapping[str, float]
    """CPU seconds of one evaluation, of the groups that need most."""


class Bench:
    """The exporters, and what each side costs beside scraping alone."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        port = _free_port()
        self.exporters = f"127.0.0.1:{port}"
        running.enter_context(
            harness.started(
                [sys.executable, "-m", "benchmarks.fleet", f"--models={MODELS}", f"--port={port}"],
                until=lambda: _get(f"http://{self.exporters}/drift") > 0,
                seconds=120,
            )
        )
        here = self.exporters
        self.spec = fleet(MODELS, sidecar=here, drift=here, prometheus=here)
        self.history = folder / "history"
        self._remember()
        self.alone = self.run("alone", {})
        self.found: dict[str, list[Cost]] = {}

    def ours(self) -> Cost:
        """The generated rules."""
        rules = {
            "recording.yml": render_recording(self.spec),
            "alerts.yml": render_alerts(self.spec),
        }
        return self.run("ours", rules, history=self.history)

    def by_model(self) -> Cost:
        """A group of rules for each model."""
        groups = [_group_of(model, self.spec) for model in self.spec.models]
        text = yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper, sort_keys=False)
        return self.run("by model", {"models.yml": text})

    def run(self, name: str, rules: Mapping[str, str], *, history: Path | None = None) -> Cost:
        """Scrape and evaluate for a while."""
        side = self.folder / name.replace(" ", "-")
        shutil.rmtree(side, ignore_errors=True)
        (side / "rules").mkdir(parents=True)
        intervals: dict[str, float] = {}
        for file, text in rules.items():
            (side / "rules" / file).write_text(_hurried(text, intervals))
        if history is not None:
            shutil.copytree(history, side / "data")
        with _prometheus(side, self._config()) as (process, address):
            time.sleep(WARM)
            before, began = process.cpu_seconds(), time.monotonic()
            first = _by_group(address, "iterations_total")
            lasted: dict[str, list[float]] = {}
            for _ in range(SAMPLES):
                time.sleep(MEASURED / SAMPLES)
                for group, seconds in _by_group(address, "last_duration_seconds").items():
                    lasted.setdefault(group, []).append(seconds)
            seconds = time.monotonic() - began
            used = process.cpu_seconds() - before
            last = _by_group(address, "iterations_total")
        shutil.rmtree(side)
        if not rules:
            return Cost(used / seconds, 0.0, {})
        ran = {group: last[group] - first.get(group, 0) for group in last}
        means = {group: statistics.fmean(runs) for group, runs in lasted.items()}
        return _cost(used - self.alone.cores * seconds, means, ran, intervals)

    def _config(self) -> str:
        jobs = [
            {
                "job_name": f"ml-{path}",
                "metrics_path": f"/{path}",
                "static_configs": [{"targets": [self.exporters]}],
            }
            for path in ("sidecar", "drift")
        ]
        return yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": "15s",
                    "scrape_timeout": "15s",
                    "evaluation_interval": "30s",
                },
                "rule_files": ["rules/*.yml"],
                "scrape_configs": jobs,
            }
        )

    def _remember(self) -> None:
        """A month of counts, written into a Prometheus that is stopped then."""
        side = self.folder / "remembering"
        (side / "rules").mkdir(parents=True)
        with (
            _prometheus(side, "scrape_configs: []") as (_, address),
            httpx.Client(base_url=f"http://{address}", timeout=60) as client,
        ):
            now = int(time.time()) // 300 * 300
            for body in _slices(self.spec, now - DAYS * 86_400, now - 600):
                client.post(
                    "/api/v1/write",
                    content=body,
                    headers={
                        "Content-Encoding": "snappy",
                        "Content-Type": "application/x-protobuf",
                    },
                ).raise_for_status()
        (side / "data").rename(self.history)


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        bench = Bench(Path(name), running)
        kept: dict[str, list[Cost]] = {"ours": [], "by model": []}
        notes: dict[str, object] = {
            "models": MODELS,
            "days of counts": DAYS,
            "scraping alone": f"{bench.alone.cores:.3f} cores",
        }

        def cores(side: str) -> float:
            cost = bench.ours() if side == "ours" else bench.by_model()
            kept[side].append(cost)
            notes[side] = {
                "seconds of evaluation in 30 s, by the clock": round(cost.clock, 3),
                "CPU seconds of one evaluation": {k: round(v, 3) for k, v in cost.groups.items()},
            }
            return cost.cores

        seen = dict.fromkeys(kept, 0)

        def seconds(side: str) -> float:
            seen[side] += 1
            return kept[side][seen[side] - 1].cores * 30

        cases = [
            harness.Case(
                what,
                unit=unit,
                better="less",
                ours=harness.Side("one rule for all models", partial(measure, "ours")),
                beside=harness.Side("a group for each model", partial(measure, "by model")),
                target=target,
            )
            for what, unit, measure, target in (
                ("CPU over scraping alone", "cores", cores, 0.05),
                ("evaluation in 30 s", "CPU seconds", seconds, 1.0),
            )
        ]
        harness.run("rules", cases, notes=notes, warm=False, repeats=1)


# Prometheus


class _prometheus:  # noqa: N801 - reads as the function that it stands for
    """A Prometheus in a folder, with its address."""

    def __init__(self, folder: Path, config: str) -> None:
        (folder / "prometheus.yml").write_text(config)
        self._address = f"127.0.0.1:{_free_port()}"
        self._started = harness.started(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=35d",
                f"--web.listen-address={self._address}",
                "--web.enable-remote-write-receiver",
                "--log.level=error",
            ],
            until=lambda: _get(f"http://{self._address}/-/ready") > 0,
            seconds=300,
        )

    def __enter__(self) -> tuple[harness.Started, str]:
        return self._started.__enter__(), self._address

    def __exit__(self, *error: Any) -> None:
        self._started.__exit__(*error)


def _get(url: str) -> int:
    try:
        return len(httpx.get(url, timeout=20).raise_for_status().content)
    except httpx.HTTPError:
        return 0


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _hurried(text: str, intervals: dict[str, float]) -> str:
    """Rules whose groups are evaluated once a minute at least; notes their real intervals."""
    data = yaml.load(text, Loader=yaml.CSafeLoader)
    for group in data["groups"]:
        interval = Duration.parse(group.get("interval", "30s"))
        intervals[group["name"]] = interval.seconds
        if interval > MINUTE:
            group["interval"] = str(MINUTE)
    return yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, width=10_000)


def _by_group(address: str, what: str) -> dict[str, float]:
    """What Prometheus says of each group of rules, by its name."""
    text = httpx.get(f"http://{address}/metrics", timeout=60).text
    found = re.findall(
        rf'^prometheus_rule_group_{what}\{{rule_group="[^"]*;([^";]+)"\}} (\S+)$',
        text,
        re.MULTILINE,
    )
    return {group: float(number) for group, number in found}


def _cost(
    used: float,
    took: Mapping[str, float],
    ran: Mapping[str, float],
    intervals: Mapping[str, float],
) -> Cost:
    """CPU seconds that evaluations used, as what they need when all are on time."""
    by_clock = sum(took[group] * ran[group] for group in took)
    each = {group: used * took[group] / by_clock for group in took}
    slowest = sorted(each, key=lambda group: -each[group])[:12]
    return Cost(
        sum(each[group] / intervals[group] for group in each),
        sum(took[group] * 30 / intervals[group] for group in took),
        {group: each[group] for group in slowest},
    )


# A group for each model


def _group_of(model: Model, spec: Spec) -> dict[str, Any]:
    who = f'model_name="{model.name}", model_version="{model.version}"'
    rules: list[dict[str, Any]] = []
    for objective in objectives(model):
        labels = {"model_name": model.name, "objective": objective.name}
        about = f'{{model_name="{model.name}", objective="{objective.name}"}}'
        windows = dict.fromkeys(str(w) for tier in TIERS for w in (tier.short, tier.long))
        for window in windows:
            expression = (
                f'sum(rate(ml_inference_requests_total{{{who}, status="error"}}[{window}])) '
                f"/ sum(rate(ml_inference_requests_total{{{who}}}[{window}]))"
                if objective.kind == "availability"
                else f'1 - sum(rate(ml_inference_latency_seconds_bucket{{{who}, le="0.25"}}'
                f"[{window}])) / sum(rate(ml_inference_latency_seconds_count{{{who}}}[{window}]))"
            )
            rules.append(
                {"record": f"slo:error:ratio{window}", "expr": expression, "labels": labels}
            )
        month = "slo:error:ratio30d"
        for name, expression in {
            month: f"sum_over_time(slo:error:ratio5m{about}[30d]) "
            f"/ count_over_time(slo:error:ratio5m{about}[30d])",
            "slo:objective:ratio": f"vector({objective.target})",
            "slo:budget:ratio": f"vector({objective.budget})",
            "slo:burn:ratio": f"slo:error:ratio5m{about} / {objective.budget}",
            "slo:period_burn:ratio": f"{month}{about} / {objective.budget}",
            "slo:remaining:ratio": f"1 - {month}{about} / {objective.budget}",
        }.items():
            rules.append({"record": name, "expr": expression, "labels": labels})
        for tier in TIERS:
            limit = tier.factor(objective.period) * objective.budget
            burns = " and ".join(
                f"slo:error:ratio{window}{about} > {limit:.12g}"
                for window in (tier.short, tier.long)
            )
            rules.append(
                {"alert": tier.alert, "expr": burns, "labels": {"severity": tier.severity}}
            )
    rules += _others(model, who, spec)
    return {"name": model.name, "rules": rules}


def _others(model: Model, who: str, spec: Spec) -> Iterator[dict[str, Any]]:
    ratio = (
        f'sum(rate(ml_inference_requests_total{{{who}, status="error"}}[5m])) '
        f"/ sum(rate(ml_inference_requests_total{{{who}}}[5m]))"
    )
    quantile = (
        "histogram_quantile(0.99, sum by (le) "
        f"(rate(ml_inference_latency_seconds_bucket{{{who}}}[5m])))"
    )
    score, verdict = f"ml_feature_drift_score{{{who}}}", f"ml_drift_detected{{{who}}}"
    expressions = {
        "TargetDown": 'up{job="ml-sidecar"} == 0',
        "HighErrorRatio": f"{ratio} > %s",
        "HighLatencyP99": f"{quantile} > %s",
        "FeatureDrift": f"{score} > %s and on (feature_name) {verdict} == 1",
        "DriftShare": f"ml_drifted_features_ratio{{{who}}} > %s",
        "DriftEvaluationStale": (f"time() - ml_drift_evaluation_timestamp_seconds{{{who}}} > %s"),
    }
    first = spec.model_copy(update={"models": (model,)})
    for threshold in thresholds(first):
        if (expression := expressions.get(threshold.alert)) is not None:
            expr = expression % f"{threshold.value:g}" if "%s" in expression else expression
            labels = {"severity": threshold.severity}
            hold = str(threshold.hold)
            yield {"alert": threshold.alert, "expr": expr, "for": hold, "labels": labels}


# A month of counts, as Prometheus's remote write takes it


def _slices(spec: Spec, start: int, end: int) -> Iterator[bytes]:
    """Bodies of an hour each, oldest first: some events, none of them bad."""
    both = {
        rule: [
            b"".join(
                _field(1, _field(1, name.encode()) + _field(2, value.encode()))
                for name, value in (
                    ("__name__", str(rule)),
                    ("model_name", model.name),
                    ("model_version", model.version),
                    ("objective", objective.name),
                )
            )
            for model in spec.models
            for objective in objectives(model)
        ]
        for rule in (EVENTS_COUNTED, BAD_COUNTED)
    }
    for hour in range(start, end, 3600):
        body = []
        for rule, series in both.items():
            bad = rule is BAD_COUNTED
            samples = b"".join(
                _field(2, _sample(at, 0 if bad else at % 7919))
                for at in range(hour, min(hour + 3600, end), 300)
            )
            body += [_field(1, labels + samples) for labels in series]
        yield _uncompressed(b"".join(body))


def _sample(seconds: int, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(seconds * 1000)


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _uncompressed(content: bytes) -> bytes:
    """A block of Snappy that is one literal."""
    return _varint(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content


if __name__ == "__main__":
    main()
