"""What it costs to evaluate all rules for 1,000 models: `make bench-rules`.

Ours is the generated rules. Beside them the same alerts as one would write them without thresholds
in series, as Sloth does: for each model a group of rules on the raw counters, with every window,
the budget, and an alert for each tier and threshold. Both scrape the same made-up exporters;
`alone` in the notes is scraping them without rules.

Ours has a past for each window that it looks back over, up to the 30 days of the budgets: the last
hour in Prometheus's head, as it would be there, what is older in a block. The other side has none,
because a month of raw counters would not fit, so that its long windows look cheaper than they are.

CPU time is what counts: how long an evaluation takes by the clock depends on what else runs. What
Prometheus used over scraping alone is shared among groups by how long each took and how often it
was evaluated, and then counted as often as it should be: groups that are evaluated more seldom
than once a minute are evaluated once a minute here, and where the machine is busy some evaluations
are missed.
"""

from __future__ import annotations

import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from benchmarks import harness
from benchmarks import past as past_of
from benchmarks.fleet import counters, fleet
from benchmarks.past import Past
from contract import catalog
from contract.alerts import thresholds
from contract.quantity import Duration
from contract.slo import TIERS, objectives
from contract.spec import Model, Spec
from generator.queries import recorded, recorded_past, slo_events
from generator.rules.alerts import render_alerts
from generator.rules.recording import render_recording

MODELS: Final = 1_000
WARM: Final = 50
WINDOW: Final = 60
WINDOWS: Final = 3
"""Seconds, and how many windows count; a scrape is every 15, an evaluation every 30 or 60."""
SAMPLES: Final = 4
IN_HEAD: Final = 3_600
"""Seconds that Prometheus always has in its head, whatever it has made a block of."""

MINUTE: Final = Duration.parse("1m")
_HOUR: Final = 3_600
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one side: cores that its evaluations need, and how long they took by the clock."""

    cores: float
    clock: float
    """Seconds of evaluation per 30 seconds, beside whatever else ran."""
    groups: Mapping[str, float]
    """CPU seconds of one evaluation, of the groups that need most."""


@dataclass(slots=True)
class Window:
    """What was seen of a Prometheus within a window."""

    seconds: float
    cpu: float
    ran: Mapping[str, float]
    """How often each group was evaluated."""
    lasted: dict[str, list[float]] = field(default_factory=dict)
    """How long each of its evaluations took."""


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
        alone = self._watch("alone", {}, windows=WINDOWS)
        self.alone = sum(w.cpu for w in alone) / sum(w.seconds for w in alone)

    def ours(self) -> list[Cost]:
        """The generated rules, once for each window."""
        rules = {
            "recording.yml": render_recording(self.spec),
            "alerts.yml": render_alerts(self.spec),
        }
        return self._run("ours", rules, past=list(_pasts(self.spec, self.exporters)))

    def by_model(self) -> list[Cost]:
        """A group of rules for each model."""
        groups = [_group_of(model, self.spec) for model in self.spec.models]
        text = yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper, sort_keys=False)
        return self._run("by model", {"models.yml": text})

    def _run(self, name: str, rules: Mapping[str, str], *, past: Sequence[Past] = ()) -> list[Cost]:
        intervals: dict[str, float] = {}
        hurried = {file: _hurried(text, intervals) for file, text in rules.items()}
        windows = self._watch(name, hurried, windows=WINDOWS, past=past)
        lasted: dict[str, list[float]] = {}
        for window in windows:
            for group, seconds in window.lasted.items():
                lasted.setdefault(group, []).extend(seconds)
        took = {group: statistics.median(seconds) for group, seconds in lasted.items() if seconds}
        return [
            _cost(window.cpu - self.alone * window.seconds, took, window.ran, intervals)
            for window in windows
        ]

    def _watch(
        self,
        name: str,
        rules: Mapping[str, str],
        *,
        windows: int,
        past: Sequence[Past] = (),
    ) -> list[Window]:
        """Scrape and evaluate for a while."""
        side = self.folder / name.replace(" ", "-")
        (side / "rules").mkdir(parents=True)
        for file, text in rules.items():
            (side / "rules" / file).write_text(text)
        boundary = int(time.time()) - IN_HEAD
        if past:
            self._block(past, boundary).rename(side / "data")
        with _prometheus(side, NOTHING_TO_DO, *past_of.RECEIVES) as (process, address):
            if past:
                past_of.write(address, past, now=int(time.time()) - 15, begin=boundary)
            (side / "prometheus.yml").write_text(self._config())
            httpx.post(f"http://{address}/-/reload", timeout=60).raise_for_status()
            time.sleep(WARM)
            return [_window(process, address) for _ in range(windows)]

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

    def _block(self, past: Sequence[Past], end: int) -> Path:
        """Data of a Prometheus that has watched for a month, up to `end`."""
        side = self.folder / "past"
        side.mkdir()
        with _prometheus(side, NOTHING_TO_DO, *past_of.FLAGS) as (_, address):
            past_of.write(address, past, now=int(time.time()) - 15, end=end)
            return past_of.snapshot(address, side / "data")


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        bench = Bench(Path(name), running)
        notes: dict[str, object] = {
            "models": MODELS,
            "past": "30 days of hours, 3 of five minutes, an hour of rates",
            "scraping alone": f"{bench.alone:.3f} cores",
        }
        costs: dict[str, list[Cost]] = {}
        for side, run in (("ours", bench.ours), ("by model", bench.by_model)):
            costs[side] = run()
            groups = costs[side][-1].groups
            notes[side] = {
                "CPU seconds of one evaluation": {k: round(v, 3) for k, v in groups.items()}
            }
        harness.run("rules", list(_cases(costs)), notes=notes, warm=False, repeats=WINDOWS)


def _cases(costs: Mapping[str, list[Cost]]) -> Iterator[harness.Case]:
    """What was measured already, window by window."""
    for what, unit, target, attribute in (
        ("CPU over scraping alone", "cores", 0.05, "cores"),
        ("evaluation in 30 s", "seconds by the clock", 1.0, "clock"),
    ):
        ours, beside = (
            partial(next, iter([getattr(cost, attribute) for cost in costs[side]]))
            for side in ("ours", "by model")
        )
        yield harness.Case(
            what,
            unit=unit,
            better="less",
            ours=harness.Side("one rule for all models", ours),
            beside=harness.Side("a group for each model", beside),
            target=target,
        )


# Prometheus


NOTHING_TO_DO: Final = "scrape_configs: []"


class _prometheus:  # noqa: N801 - reads as the function that it stands for
    """A Prometheus in a folder, with its address."""

    def __init__(self, folder: Path, config: str, *flags: str) -> None:
        (folder / "prometheus.yml").write_text(config)
        self._address = f"127.0.0.1:{_free_port()}"
        self._started = harness.started(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=35d",
                f"--web.listen-address={self._address}",
                "--log.level=error",
                "--web.enable-lifecycle",
                *flags,
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


def _window(process: harness.Started, address: str) -> Window:
    began, before = time.monotonic(), process.cpu_seconds()
    first = _by_group(address, "iterations_total")
    lasted: dict[str, list[float]] = {}
    for _ in range(SAMPLES):
        time.sleep(WINDOW / SAMPLES)
        for group, seconds in _by_group(address, "last_duration_seconds").items():
            # 0 says that it was not evaluated yet.
            lasted.setdefault(group, []).extend([seconds] if seconds else [])
    used, seconds = process.cpu_seconds() - before, time.monotonic() - began
    last = _by_group(address, "iterations_total")
    return Window(
        seconds, used, {group: last[group] - first.get(group, 0) for group in last}, lasted
    )


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


# What ours looks back on


def _pasts(spec: Spec, exporters: str) -> Iterator[Past]:
    """For each window that is looked over, what is recorded and scraped within it."""
    for model in spec.models:
        who = {"model_name": model.name, "model_version": model.version}
        for objective in objectives(model):
            for events, bad, step, seconds in (
                (slo_events.EVENTS, slo_events.BAD, 60, _HOUR),
                (slo_events.EVENTS_COUNTED, slo_events.BAD_COUNTED, 300, 3 * _DAY),
                (slo_events.EVENTS_OF_HOURS, slo_events.BAD_OF_HOURS, _HOUR, 30 * _DAY),
                (slo_events.EVENTS_SINCE_HOUR, slo_events.BAD_SINCE_HOUR, 300, 2 * _HOUR),
            ):
                labels = {**who, "objective": objective.name}
                yield Past({"__name__": str(events), **labels}, step, seconds, _busy)
                yield Past({"__name__": str(bad), **labels}, step, seconds, _never)
        for series, step, seconds in (
            (recorded.LATENCY_MEAN, 60, 26 * _HOUR),
            (recorded.REQUESTS, 30, _HOUR),
            (recorded_past.REQUESTS_1H, 120, 30 * _HOUR),
            (recorded.LATENCY_OF_LIMIT, 60, _HOUR),
        ):
            yield Past({"__name__": str(series), **who}, step, seconds, _busy)
    # A rate needs five minutes, a count what there was within the hour.
    target = {"job": "ml-sidecar", "instance": exporters}
    counted = re.compile(rf'{catalog.INFERENCE_REQUESTS}|.*le="(0\.25|\+Inf)"')
    for line, _ in counters(spec):
        name, _, rest = line.partition("{")
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        seconds = _HOUR if counted.match(line) else 360
        yield Past({"__name__": name, **pairs, **target}, 15, seconds, _grows)


def _busy(at: int) -> float:
    return at % 7919


def _never(_: int) -> float:
    return 0


def _grows(at: int) -> float:
    return at // 15 % 1_000_000


if __name__ == "__main__":
    main()
