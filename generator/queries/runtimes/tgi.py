"""Hugging Face's Text Generation Inference. It names no model and no units."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["TGI"]

_IT: Final = Series("tgi")

_requests: Final = _IT.rate("tgi_request_count")


def _first_token(quantile: float) -> str:
    waited = _IT.quantile(quantile, "tgi_request_queue_duration")
    computed = _IT.quantile(quantile, "tgi_batch_inference_duration", 'method="prefill"')
    return f"({waited})\n+\n({computed})"


_UPPER: Final = "the quantile of the queue plus that of the prefill, which is more than both"

TGI: Final = Adapter(
    runtime="tgi",
    version="main of 2026-01, from its source; it is only maintained",
    enabled_by="on by default, on the port of its API",
    fingerprint=("tgi_request_count", "tgi_queue_size"),
    fills={
        "requests": Fill(_requests),
        # Bad requests are the client's; a kind of failure has no series before its first one.
        "errors": Fill(
            or_zero(_IT.rate("tgi_request_failure", 'err!="validation"'), _requests),
            "without requests that did not validate",
        ),
        "latency_buckets": Fill(_IT.buckets("tgi_request_duration"), "of requests that succeeded"),
        "latency_mean": Fill(_IT.mean("tgi_request_duration"), "of requests that succeeded"),
        "in_progress": Fill(_IT.sum("tgi_batch_current_size")),
        "queue_depth": Fill(_IT.sum("tgi_queue_size")),
        "batch_size": Fill(_IT.mean("tgi_batch_next_size")),
        "time_to_first_token_p50": Fill(_first_token(0.5), _UPPER),
        "time_to_first_token_p99": Fill(_first_token(0.99), _UPPER),
        "inter_token_latency_buckets": Fill(
            _IT.buckets("tgi_request_mean_time_per_token_duration"),
            "of the means of requests, which hide single slow tokens",
        ),
        "inter_token_latency_mean": Fill(
            _IT.mean("tgi_request_mean_time_per_token_duration"), "of the means of requests"
        ),
        "prompt_tokens": Fill(_IT.rate("tgi_request_input_length_sum")),
        "generated_tokens": Fill(_IT.rate("tgi_request_generated_tokens_sum")),
        "kv_cache_usage": Fill(
            f"{_IT.max('tgi_batch_current_max_tokens')}\n"
            f"/\n({_IT.max('tgi_batch_max_total_tokens')} > 0)",
            "tokens reserved of its budget",
        ),
        "running": Fill(_IT.sum("tgi_batch_current_size")),
        "waiting": Fill(_IT.sum("tgi_queue_size")),
    },
    missing={"preemptions": "it reserves what a request can need at most, and preempts nothing"},
    traps=(
        "Latency is of requests that succeeded: while it fails, it looks fast.",
        "Time to the first token is put together of two quantiles, and is an upper estimate.",
        "A kind of failure has no series before it first happens, so the very first one is unseen.",
    ),
    # 1,024 buckets, of which nothing is read but sum and count.
    dropped=r"tgi_batch_next_size_bucket",
)
