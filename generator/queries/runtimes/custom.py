"""A server of one's own: its figures are expressions of models.yaml, one set for each model."""

from __future__ import annotations

from typing import Final

from contract.runtimes import Signal
from generator.queries.runtimes.adapter import Adapter

__all__ = ["CUSTOM", "combined"]

CUSTOM: Final = Adapter(
    runtime="custom",
    version="whatever you run",
    enabled_by="your own code",
    fingerprint=(),
    fills={},
    traps=(
        (
            "What an expression gives is taken as it is: requests and errors per second, latency "
            "in seconds, ratios from 0 to 1."
        ),
        "Without {$model} in its selectors an expression reads the series of other models, too.",
    ),
)

_WORST: Final = {"kv_cache_usage", "latency_mean", "batch_size", "inter_token_latency_mean"}


def combined(signal: Signal, expression: str) -> str:
    """One series of however many an expression gives: added up, or the worst of them."""
    if signal.endswith("_buckets"):
        return f"sum by (le) ({expression})"
    if signal == "loaded":
        return f"min({expression})"
    worst = signal in _WORST or signal.rpartition("_")[2].startswith("p")
    return f"max({expression})" if worst else f"sum({expression})"
