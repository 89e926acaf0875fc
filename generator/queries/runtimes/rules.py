"""Adapters → recording rules: one group for each runtime in use, for all of its models at once.

What the sidecar can say of a model as well is recorded as `runtime:…`, and the rule of `model:…`
takes it before the sidecar's own (`native`): so a model has one figure, whoever gives it, and what
a runtime does not say the sidecar may. What only runtimes say is recorded as `model:…` at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from contract.runtimes import Signal
from contract.spec import Model, Spec
from generator.queries import recorded, recorded_serving
from generator.queries.recorded import Recorded
from generator.queries.runtimes import ADAPTERS
from generator.queries.runtimes.adapter import Adapter, Fill, job_name
from generator.queries.runtimes.custom import combined
from generator.queries.runtimes.jobs import runtimes_in_use
from generator.queries.windows import FIVE_MINUTES, window

__all__ = [
    "RuntimeGroup",
    "RuntimeRule",
    "filled",
    "native",
    "own_expression",
    "runtime_groups",
]


@dataclass(frozen=True, slots=True)
class RuntimeRule:
    """One recording rule; `labels` are set on what it records."""

    name: str
    help: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuntimeGroup:
    """The rules of one runtime, in the order in which one reads what another recorded."""

    name: str
    traps: tuple[str, ...]
    rules: tuple[RuntimeRule, ...]


_FILLS: Final[Mapping[Signal, tuple[Recorded, ...]]] = {
    "requests": (recorded.REQUESTS,),
    "errors": (recorded.ERRORS,),
    "latency_buckets": (recorded.LATENCY_BUCKETS,),
    "latency_mean": (recorded.LATENCY_MEAN,),
    "latency_p50": (recorded.LATENCY_QUANTILES["p50"],),
    "latency_p90": (recorded.LATENCY_QUANTILES["p90"],),
    "latency_p95": (recorded.LATENCY_QUANTILES["p95"],),
    "latency_p99": (recorded.LATENCY_QUANTILES["p99"],),
    "latency_p999": (recorded.LATENCY_QUANTILES["p999"],),
    "in_progress": (recorded_serving.IN_PROGRESS,),
    "queue_depth": (recorded_serving.QUEUE_DEPTH,),
    "batch_size": (recorded_serving.BATCH_SIZE,),
    "loaded": (recorded_serving.LOADED,),
    "time_to_first_token_buckets": tuple(recorded_serving.TIME_TO_FIRST_TOKEN_QUANTILES.values()),
    "time_to_first_token_p50": (recorded_serving.TIME_TO_FIRST_TOKEN_QUANTILES["p50"],),
    "time_to_first_token_p99": (recorded_serving.TIME_TO_FIRST_TOKEN_QUANTILES["p99"],),
    "inter_token_latency_buckets": tuple(recorded_serving.INTER_TOKEN_LATENCY_QUANTILES.values()),
    "inter_token_latency_mean": (recorded_serving.INTER_TOKEN_LATENCY_MEAN,),
    "prompt_tokens": (recorded_serving.PROMPT_TOKENS,),
    "generated_tokens": (recorded_serving.GENERATED_TOKENS,),
    "kv_cache_usage": (recorded_serving.KV_CACHE_USAGE,),
    "running": (recorded_serving.RUNNING,),
    "waiting": (recorded_serving.WAITING,),
    "preemptions": (recorded_serving.PREEMPTIONS,),
}
"""Which of the normalised series each signal fills."""

_ONLY_RUNTIMES: Final = frozenset(rule.name for rule in recorded_serving.LLM_RECORDED)


def filled(signal: Signal) -> tuple[Recorded, ...]:
    """The normalised series that a signal fills, with those that follow from it."""
    follow: Mapping[Signal, tuple[Recorded, ...]] = {
        "requests": (recorded.REQUESTS_INCREASE,),
        "errors": (recorded.ERROR_RATIO,),
        "latency_buckets": tuple(recorded.LATENCY_QUANTILES.values()),
    }
    return (*_FILLS[signal], *follow.get(signal, ()))


def runtime_groups(spec: Spec) -> list[RuntimeGroup]:
    """The rules of all runtimes in use; none where every model has a sidecar alone."""
    return [
        RuntimeGroup(
            name=f"runtime-{name.replace('_', '-')}",
            traps=ADAPTERS[name].traps,
            rules=tuple(_custom_rules(spec) if name == "custom" else _rules(ADAPTERS[name], spec)),
        )
        for name in runtimes_in_use(spec)
    ]


def native(rule: Recorded, names: Collection[str], spec: Spec) -> str | None:
    """What a runtime in use says of a rule, to be taken before the sidecar's own figure.

    `names` are those that the runtimes in use record. A count over the window is the rate times
    its length, and needs no series of its own.
    """
    name = _own_name(rule)
    if name in names:
        return name
    rate = f"{name.removesuffix('increase5m')}rate5m"
    if name.endswith(":increase5m") and rate in names:
        return f"{rate} * {window(spec, FIVE_MINUTES).seconds:g}"
    return None


def _own_name(rule: Recorded) -> str:
    if rule.name in _ONLY_RUNTIMES:
        return rule.name
    return f"runtime:{rule.name.removeprefix('model:')}"


def _rules(adapter: Adapter, spec: Spec) -> Iterator[RuntimeRule]:
    for signal, fill in adapter.fills.items():
        yield from _fill(signal, fill, spec, {})


def _custom_rules(spec: Spec) -> Iterator[RuntimeRule]:
    for model in spec.models:
        if model.serving.runtime != "custom":
            continue
        labels = {"model_name": model.name, "model_version": model.version}
        for signal, expression in _in_order(model):
            # A fresh Fill: it stands alone, and its labels are set by the rule.
            yield from _fill(signal, Fill(combined(signal, expression)), spec, labels)


def own_expression(model: Model, signal: Signal, spec: Spec) -> str:
    """What Prometheus reads of an expression that models.yaml gives for a model."""
    return _with_window(_of_own(model, signal), spec)


def _of_own(model: Model, signal: Signal) -> str:
    own = f'job="{job_name("custom")}", {_matchers(model)}'
    return model.serving.expressions[signal].replace("$model", own)


def _with_window(expression: str, spec: Spec) -> str:
    return expression.replace("$window", str(window(spec, FIVE_MINUTES)))


def _in_order(model: Model) -> Iterator[tuple[Signal, str]]:
    """The expressions in the order of signals, so that requests stand before errors."""
    for signal in _FILLS:
        if signal in model.serving.expressions:
            yield signal, _of_own(model, signal)


def _matchers(model: Model) -> str:
    return ", ".join(
        f"{label}={_quoted(value)}"
        for label, value in (("model_name", model.name), ("model_version", model.version))
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _fill(
    signal: Signal, fill: Fill, spec: Spec, labels: Mapping[str, str]
) -> Iterator[RuntimeRule]:
    """The rules of one signal: what is measured, then what is worked out from it."""
    expression = _with_window(fill.expression, spec)
    note = f" Here: {fill.note}." if fill.note else ""
    for rule in _FILLS[signal]:
        shape = _SHAPES.get(signal)
        text = shape(rule, expression) if shape else expression
        yield RuntimeRule(_own_name(rule), rule.help + note, text, labels)


def _quantile_of_buckets(rule: Recorded, buckets: str) -> str:
    quantile = {"p50": 0.5, "p99": 0.99}[rule.name.rpartition(":")[2].removesuffix("_5m")]
    return f"histogram_quantile({quantile:g}, {buckets}) >= 0"


def _named_queue(rule: Recorded, expression: str) -> str:
    del rule
    return f'label_replace({expression}, "queue_name", "requests", "", "")'


_SHAPES: Final[Mapping[Signal, Callable[[Recorded, str], str]]] = {
    "time_to_first_token_buckets": _quantile_of_buckets,
    "inter_token_latency_buckets": _quantile_of_buckets,
    "queue_depth": _named_queue,
}
"""What becomes of an expression where it is not recorded as it is."""
