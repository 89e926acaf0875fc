"""What it costs to evaluate all rules for 1,000 models: `make bench-rules`.

Ours is the generated rules. Beside them the same alerts as one would write them without thresholds
in series, as Sloth does: for each model a group of rules on the raw counters, with every window,
the budget, and an alert for each tier and threshold. Both scrape the same made-up exporters;
`alone` in the notes is scraping them without rules.

Ours has a past for each window that it looks back over, up to the 30 days of the budgets: the last
hour in Prometheus's head, as it would be there, what is older in a block. The other side has none,
because a month of raw counters would not fit, so that its long windows look cheaper than they are.

CPU time is what counts: how long an evaluation takes by the clock depends on what else runs. A
window of ours is as long as the interval of the slowest group, so that each has all groups in it.
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
from dataclasses import dataclass
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
from contract.slo import TIERS, objectives
from contract.spec import Model, Spec
from generator.queries import recorded, recorded_past, slo_events
from generator.rules.alerts import render_alerts
from generator.rules.recording import render_recording

MODELS: Final = 1_000
WARM: Final = 50
WINDOW: Final = 60
WINDOW_OF_OURS: Final = 300
WINDOWS: Final = 3
"""Seconds, and how many windows of each side count."""
EVALUATION: Final = 30
"""Seconds between two evaluations, of groups that have no interval of their own."""
SLOWEST: Final = 12
"""Groups that are named as those that take longest."""
IN_HEAD: Final = 3_600
"""Seconds that Prometheus always has in its head, whatever it has made a block of."""

_HOUR: Final = 3_600
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen of a Prometheus within a window."""

    cores: float
    clock: float
    """Seconds of evaluation per 30 seconds, beside whatever else ran."""
    lasted: Mapping[str, float]
    """How many seconds the last evaluation of each group took."""


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
        self.alone = statistics.median(w.cores for w in self._watch("alone", {}))

    def ours(self) -> list[Window]:
        """The generated rules, window by window."""
        rules = {
            "recording.yml": render_recording(self.spec),
            "alerts.yml": render_alerts(self.spec),
        }
        past = list(_pasts(self.spec, self.exporters))
        return self._watch("ours", rules, seconds=WINDOW_OF_OURS, past=past)

    def by_model(self) -> list[Window]:
        """A group of rules for each model."""
        groups = [_group_of(model, self.spec) for model in self.spec.models]
        text = yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper, sort_keys=False)
        return self._watch("by model", {"models.yml": text})

    def _watch(
        self,
        name: str,
        rules: Mapping[str, str],
        *,
        seconds: int = WINDOW,
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
            return [_window(process, address, seconds) for _ in range(WINDOWS)]

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
                    "evaluation_interval": f"{EVALUATION}s",
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
        seen: dict[str, list[Window]] = {}
        for side, run in (("ours", bench.ours), ("by model", bench.by_model)):
            seen[side] = run()
            notes[side] = {"seconds of one evaluation, of the slowest groups": _slowest(seen[side])}
        harness.run(
            "rules", list(_cases(seen, bench.alone)), notes=notes, warm=False, repeats=WINDOWS
        )


def _slowest(windows: Sequence[Window]) -> dict[str, float]:
    """The groups that take longest, each with its median."""
    took = {
        group: statistics.median(window.lasted[group] for window in windows)
        for group in windows[-1].lasted
    }
    order = sorted(took, key=lambda group: -took[group])
    return {group: round(took[group], 3) for group in order[:SLOWEST]}


def _cases(seen: Mapping[str, list[Window]], alone: float) -> Iterator[harness.Case]:
    """What was measured already, window by window."""
    cores = {side: [window.cores - alone for window in seen[side]] for side in seen}
    clock = {side: [window.clock for window in seen[side]] for side in seen}
    for what, unit, target, measured in (
        ("CPU over scraping alone", "cores", 0.05, cores),
        (f"evaluation in {EVALUATION} s", "seconds by the clock", 1.0, clock),
    ):
        ours, beside = (partial(next, iter(measured[side])) for side in ("ours", "by model"))
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


def _window(process: harness.Started, address: str, seconds: int) -> Window:
    began, cpu, evaluated = time.monotonic(), process.cpu_seconds(), _evaluated(address)
    time.sleep(seconds)
    cpu, evaluated = process.cpu_seconds() - cpu, _evaluated(address) - evaluated
    lasted = time.monotonic() - began
    return Window(cpu / lasted, evaluated / lasted * EVALUATION, _last(address))


def _evaluated(address: str) -> float:
    """Seconds for which groups of rules were evaluated since the start."""
    found = re.search(
        r"^prometheus_rule_group_duration_seconds_sum (\S+)$", _metrics(address), re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def _last(address: str) -> dict[str, float]:
    """How long each group's last evaluation took."""
    found = re.findall(
        r'^prometheus_rule_group_last_duration_seconds\{rule_group="[^"]*;([^";]+)"\} (\S+)$',
        _metrics(address),
        re.MULTILINE,
    )
    return {group: float(seconds) for group, seconds in found}


def _metrics(address: str) -> str:
    return httpx.get(f"http://{address}/metrics", timeout=60).raise_for_status().text


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
