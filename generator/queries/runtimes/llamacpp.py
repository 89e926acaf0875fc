"""llama.cpp's server. It counts tokens, and no requests."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series

__all__ = ["LLAMACPP"]

_IT: Final = Series("llamacpp")

_generated: Final = _IT.rate("llamacpp:tokens_predicted_total")

LLAMACPP: Final = Adapter(
    runtime="llamacpp",
    version="main of 2026, from its source",
    enabled_by="`--metrics`",
    fingerprint=("llamacpp:tokens_predicted_total",),
    fills={
        "in_progress": Fill(_IT.sum("llamacpp:requests_processing")),
        "queue_depth": Fill(_IT.sum("llamacpp:requests_deferred")),
        "inter_token_latency_mean": Fill(
            f"{_IT.rate('llamacpp:tokens_predicted_seconds_total')}\n/\n({_generated} > 0)"
        ),
        "prompt_tokens": Fill(_IT.rate("llamacpp:prompt_tokens_total")),
        "generated_tokens": Fill(_generated),
        "running": Fill(_IT.sum("llamacpp:requests_processing")),
        "waiting": Fill(_IT.sum("llamacpp:requests_deferred")),
    },
    missing={
        "requests": "it counts none: put the sidecar's proxy before it",
        "errors": "it counts none: put the sidecar's proxy before it",
        "latency_buckets": "it has none: put the sidecar's proxy before it",
        "time_to_first_token_buckets": "it has totals of prefill time, not by request",
        "kv_cache_usage": "was taken out of the server (issue 13660)",
        "batch_size": "llamacpp:n_busy_slots_per_decode is a mean since the start",
    },
    traps=(
        (
            "It counts no requests, errors or latency: without the sidecar's proxy before it, no "
            "alert on those can fire."
        ),
        (
            "llamacpp:prompt_tokens_seconds and predicted_tokens_seconds start anew with each "
            "scrape, so that two Prometheus disturb each other; the counters are read here."
        ),
        "With several models behind its router it needs ?model= to answer: give each a server.",
    ),
)
