"""What the stack will cost: series in Prometheus and samples per second, before anything runs.

The estimate is of a model whose every figure is there: labels arrive, each class occurs. It counts
what the catalog and the recorded series say of a model by their labels, and is held against a real
Prometheus in tests/generator/test_estimate.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.alerts import thresholds
from contract.catalog import METRICS, Exporter
from contract.document import read_document
from contract.problems import ProblemsError
from contract.runtimes import SIDECAR
from contract.spec import Model, Spec
from generator.queries.recorded import THRESHOLD, Recorded
from generator.rules.recording import recorded_rules
from generator.series import Shape, recorded_series, series_of

__all__ = ["Cost", "Estimate", "estimate", "refuse_beyond_limit"]

RUNTIME_SERIES: Final = 500
"""Series of a target that is not ours, for each model on it: vLLM has about 300, Triton 50."""
GPU_SERIES: Final = 350
"""Series of one GPU with two models on it, as an H100 tells."""
STACK_SERIES: Final = 1_200
"""What Prometheus, Alertmanager and the exporters tell of themselves."""
KIB: Final = 4
"""Memory of Prometheus for one series: 3.4 KiB two minutes after a start (2.42, 200,000 series with
labels like ours), and the samples of two hours on top."""
MOST: Final = 5
"""Models that are named as the most expensive ones."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Series, and samples that they take each second."""

    series: float = 0
    samples: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.series + other.series, self.samples + other.samples)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of all parts by their names, and of models by name and version."""

    parts: Mapping[str, Cost]
    models: Mapping[tuple[str, str], Cost]

    @property
    def total(self) -> Cost:
        """Everything."""
        return sum(self.parts.values(), Cost())

    def lines(self) -> list[str]:
        """The estimate as `render` prints it."""
        parts = ", ".join(f"{name} {_about(cost.series)}" for name, cost in self.parts.items())
        series, samples = _about(self.total.series), _about(self.total.samples)
        head = f"About {series} series, {samples} samples a second: {parts}."
        return [head, f"Of models: {_most(self.models)}."]


def estimate(spec: Spec) -> Estimate:
    """What Prometheus will hold and take in, with everything that models.yaml turns on."""
    models: dict[tuple[str, str], Cost] = {}
    parts = {part: Cost() for part in ("sidecar", "runtimes", "drift", "responder", "recorded")}
    known: dict[Shape, _Series] = {}
    rules = recorded_rules(spec)
    for model in spec.models:
        shape = Shape.of(model, spec)
        if shape not in known:
            known[shape] = _Series.of(shape, model, spec, rules)
        costs = _of_model(known[shape], model, spec)
        models[model.key] = sum(costs.values(), Cost())
        for part, cost in costs.items():
            parts[part] += cost
    gpus = (spec.gpu.expected or 1) * len(spec.stack.gpu)
    parts["gpu"] = _scraped(gpus * GPU_SERIES, spec)
    of_gpus = [rule for rule in rules if {"gpu_id", "model_name"} & set(rule.labels) == {"gpu_id"}]
    parts["recorded"] += Cost(
        gpus * len(of_gpus),
        gpus * sum(1 / _interval(rule, spec) for rule in of_gpus),
    )
    parts["the stack itself"] = _scraped(STACK_SERIES, spec)
    return Estimate({name: cost for name, cost in parts.items() if cost.series}, models)


def _memory(kib: float) -> str:
    return f"{kib / 2**20:,.1f} GiB" if kib >= 2**20 else f"{kib / 2**10:,.0f} MiB"


def refuse_beyond_limit(found: Estimate, spec: Spec, path: Path) -> None:
    """Raise ProblemsError, at its place in models.yaml, where `limits.series` is not enough."""
    limit, series = spec.limits.series, found.total.series
    if series <= limit:
        return
    _, document = read_document(path)
    document.problem(
        ("limits", "series"),
        f"about {_about(series)} series are more than {limit:,} (limits.series); "
        f"of models: {_most(found.models)}",
        "leave features out of profiles, give them fewer bins, take models out; or raise the "
        f"limit where Prometheus has about {_memory(series * KIB)} of memory",
    )
    raise ProblemsError(document.problems)


def _about(number: float) -> str:
    """Two digits: more would promise more than an estimate can."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}"


def _most(models: Mapping[tuple[str, str], Cost]) -> str:
    ordered = sorted(models.items(), key=lambda item: (-item[1].series, item[0]))
    shown = [f"{' '.join(key)} {_about(cost.series)}" for key, cost in ordered[:MOST]]
    rest = sum(cost.series for _, cost in ordered[MOST:])
    return ", ".join([*shown, f"{len(ordered) - MOST} others {_about(rest)}"] if rest else shown)


# One model


@dataclass(frozen=True, slots=True)
class _Series:
    """What each model of a shape has."""

    sidecar: float
    drift: float
    responder: float
    recorded: Cost

    @classmethod
    def of(cls, shape: Shape, model: Model, spec: Spec, rules: Iterable[Recorded]) -> _Series:
        told = {Exporter.SIDECAR: 0.0, Exporter.DRIFT: 0.0, Exporter.RESPONDER: 0.0}
        for metric in METRICS:
            if metric.exporter in told and "model_name" in metric.labels:
                told[metric.exporter] += series_of(metric, shape)
        alone = spec.model_copy(update={"models": (model,)})
        promised = sum(1 for _ in thresholds(alone))
        recorded = Cost(promised, promised / _interval(THRESHOLD, spec))
        for rule in rules:
            if "model_name" in rule.labels:
                series = recorded_series(rule, shape)
                recorded += Cost(series, series / _interval(rule, spec))
        return cls(
            sidecar=told[Exporter.SIDECAR],
            drift=told[Exporter.DRIFT] + promised,
            responder=told[Exporter.RESPONDER],
            recorded=recorded,
        )


def _of_model(series: _Series, model: Model, spec: Spec) -> dict[str, Cost]:
    serving = model.serving
    foreign = 0 if serving.runtime == SIDECAR else len(serving.targets)
    return {
        "sidecar": _scraped(series.sidecar * len(serving.sidecars), spec),
        "runtimes": _scraped(foreign * RUNTIME_SERIES, spec),
        "drift": _scraped(series.drift, spec),
        "responder": _scraped(series.responder, spec),
        "recorded": series.recorded,
    }


def _scraped(series: float, spec: Spec) -> Cost:
    return Cost(series, series / spec.clock(spec.stack.scrape_interval).seconds)


def _interval(rule: Recorded, spec: Spec) -> float:
    usual = spec.clock(spec.stack.evaluation_interval)
    return (rule.group.interval(spec) or usual).seconds
