"""TensorFlow Serving. Its names begin with a colon; its latency is in microseconds."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["TFSERVING"]

_IT: Final = Series("tfserving")

_requests: Final = _IT.rate(":tensorflow:serving:request_count")
# INVALID_ARGUMENT and NOT_FOUND are the client's.
_failed: Final = _IT.rate(
    ":tensorflow:serving:request_count", 'status!~"OK|INVALID_ARGUMENT|NOT_FOUND|CANCELLED"'
)
_LATENCY: Final = ":tensorflow:serving:request_latency"
_BATCH: Final = ":tensorflow:serving:batching_session:processed_batch_size"

TFSERVING: Final = Adapter(
    runtime="tfserving",
    version="master of 2026-07, from its source",
    enabled_by="`--monitoring_config_file` with `prometheus_config {enable: true}`, REST on",
    fingerprint=(":tensorflow:serving:request_count",),
    fills={
        "requests": Fill(_requests),
        "errors": Fill(
            or_zero(_failed, _requests),
            "without INVALID_ARGUMENT, NOT_FOUND and CANCELLED, which are the client's",
        ),
        "latency_buckets": Fill(_IT.buckets_of(_LATENCY, digits=6), "of requests that succeeded"),
        "latency_mean": Fill(_IT.mean(_LATENCY, divided_by=1e6), "of requests that succeeded"),
        "batch_size": Fill(
            _IT.mean(_BATCH), "of the server; only where it serves one model, and batches"
        ),
    },
    missing={
        "in_progress": "it counts requests only as they end",
        "queue_depth": "it says how long requests waited, not how many wait",
    },
    traps=(
        "Its series name no version: versions that are served side by side are counted as one.",
        "Latency is of requests that succeeded: while it fails, it looks fast.",
        (
            "Its names begin with a colon, which OpenMetrics keeps for recording rules; some tools "
            "refuse them."
        ),
    ),
)
