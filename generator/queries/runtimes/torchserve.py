"""TorchServe. Its latency is a running total in microseconds, its errors are the whole server's."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import BY_MODEL, Adapter, Fill, Series, or_zero

__all__ = ["TORCHSERVE"]

_IT: Final = Series("torchserve")

_requests: Final = _IT.rate("ts_inference_requests_total")
# Neither names a model, so that they are of a model only where it has a server to itself; and
# where it shares one, its errors are unknown and not 0.
_failed: Final = _IT.rate("Requests5XX")
_answered: Final = _IT.rate("Requests2XX")
_LAST: Final = _IT.select("PredictionTime")

TORCHSERVE: Final = Adapter(
    runtime="torchserve",
    version="0.12, from its source; it is no longer maintained",
    enabled_by="`metrics_mode=prometheus`; by default it only logs",
    fingerprint=("ts_inference_requests_total",),
    fills={
        "requests": Fill(_requests),
        "errors": Fill(
            or_zero(_failed, _answered), "answers 5xx of the server; only where it serves one model"
        ),
        "latency_mean": Fill(
            f"{_IT.rate('ts_inference_latency_microseconds')} / 1e6\n/\n({_requests} > 0)"
        ),
        "latency_p50": Fill(
            f"max {BY_MODEL} (quantile_over_time(0.5, {_LAST}[$window])) / 1e3",
            "of the last request before each scrape: a hint",
        ),
        "latency_p99": Fill(
            f"max {BY_MODEL} (quantile_over_time(0.99, {_LAST}[$window])) / 1e3",
            "of the last request before each scrape: a hint",
        ),
    },
    missing={
        "latency_buckets": "it has no histogram; so a latency SLO needs the sidecar",
        "queue_depth": "it says how long requests waited, not how many wait",
    },
    traps=(
        "With metrics_mode=log, the default, nothing can be scraped.",
        "Errors are counted for the whole server: where two models share one, nobody knows whose.",
        (
            "Its quantiles are of the last request before each scrape. Send events to the "
            "sidecar for real ones."
        ),
    ),
)
