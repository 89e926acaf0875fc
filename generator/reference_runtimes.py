"""docs/runtimes.md: which runtime says what, from the adapters themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from contract.runtimes import RUNTIMES, Signal
from generator.queries.runtimes import ADAPTERS
from generator.queries.runtimes.adapter import Adapter
from generator.text import render_template

__all__ = ["render_runtimes_reference"]

_TITLES: Final[dict[Signal, str]] = {
    "requests": "requests",
    "errors": "errors",
    "latency_buckets": "latency buckets",
    "latency_mean": "mean latency",
    "latency_p50": "latency p50",
    "latency_p90": "latency p90",
    "latency_p95": "latency p95",
    "latency_p99": "latency p99",
    "latency_p999": "latency p99.9",
    "in_progress": "requests in progress",
    "queue_depth": "queue depth",
    "batch_size": "batch size",
    "loaded": "model loaded",
    "time_to_first_token_buckets": "time to the first token",
    "time_to_first_token_p50": "time to the first token, p50",
    "time_to_first_token_p99": "time to the first token, p99",
    "inter_token_latency_buckets": "inter-token latency",
    "inter_token_latency_mean": "mean inter-token latency",
    "prompt_tokens": "tokens in",
    "generated_tokens": "tokens out",
    "kv_cache_usage": "KV-cache use",
    "running": "requests running",
    "waiting": "requests waiting",
    "preemptions": "preemptions",
}
_ROWS: Final[tuple[tuple[str, tuple[Signal, ...]], ...]] = (
    ("requests", ("requests",)),
    ("errors", ("errors",)),
    ("latency quantiles", ("latency_buckets", "latency_p50", "latency_p99")),
    ("latency buckets, for SLOs", ("latency_buckets",)),
    ("mean latency", ("latency_mean",)),
    ("requests in progress", ("in_progress",)),
    ("queue depth", ("queue_depth",)),
    ("batch size", ("batch_size",)),
    ("model loaded", ("loaded",)),
    ("time to the first token", ("time_to_first_token_buckets", "time_to_first_token_p50")),
    ("inter-token latency", ("inter_token_latency_buckets", "inter_token_latency_mean")),
    ("tokens in", ("prompt_tokens",)),
    ("tokens out", ("generated_tokens",)),
    ("KV-cache use", ("kv_cache_usage",)),
    ("requests running, waiting", ("running", "waiting")),
    ("preemptions", ("preemptions",)),
)
"""The rows of the table; a runtime fills one by the first of its signals that it has."""


def render_runtimes_reference() -> dict[str, str]:
    """The path below the output folder and its text; it is the same for every models.yaml."""
    adapters = [adapter for adapter in ADAPTERS.values() if adapter.runtime != "custom"]
    unnamed = [RUNTIMES[a.runtime].title for a in adapters if not RUNTIMES[a.runtime].model_label]
    return {
        "docs/runtimes.md": render_template(
            "docs/runtimes.md.j2",
            runtimes=", ".join(f"`{name}`" for name in RUNTIMES),
            unnamed=", ".join(unnamed),
            adapters=adapters,
            rows=[
                (title, [_mark(adapter, signals) for adapter in adapters])
                for title, signals in _ROWS
            ],
            pages=[
                (adapter, RUNTIMES[adapter.runtime], list(_substitutes(adapter)), _missing(adapter))
                for adapter in adapters
            ],
            signals=", ".join(f"`{signal}`" for signal in get_args(Signal)),
        )
    }


def _mark(adapter: Adapter, signals: tuple[Signal, ...]) -> str:
    for signal in signals:
        if fill := adapter.fills.get(signal):
            # A mean stands in for a quantile only.
            return "○" if fill.note or (signal.endswith("mean") and len(signals) > 1) else "●"
    return ""


def _substitutes(adapter: Adapter) -> Iterator[tuple[str, str]]:
    """What is not all that its name says; what several have in common is said once."""
    notes: dict[str, list[str]] = {}
    for signal, fill in adapter.fills.items():
        if fill.note:
            notes.setdefault(fill.note, []).append(_TITLES[signal])
    for text, titles in notes.items():
        yield ", ".join(titles), text


def _missing(adapter: Adapter) -> list[tuple[str, str]]:
    return [(_TITLES[signal], reason) for signal, reason in (adapter.missing or {}).items()]
