"""vLLM. Its names have a colon: it is no recording rule that made them."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["VLLM"]

_IT: Final = Series("vllm")

# Despite its name it counts every request that ended, whatever the reason. Under `error` alone:
# an abort is usually a client that hung up.
_ended: Final = _IT.rate("vllm:request_success_total")
_failed: Final = _IT.rate("vllm:request_success_total", 'finished_reason="error"')

VLLM: Final = Adapter(
    runtime="vllm",
    version="0.33, from its source",
    enabled_by="on by default, unless `--disable-log-stats`",
    fingerprint=("vllm:num_requests_running", "vllm:num_requests_waiting"),
    fills={
        "requests": Fill(_ended, "counted as they end"),
        "errors": Fill(or_zero(_failed, _ended), "finished_reason error, without aborts"),
        "latency_buckets": Fill(_IT.buckets("vllm:e2e_request_latency_seconds")),
        "latency_mean": Fill(_IT.mean("vllm:e2e_request_latency_seconds")),
        "in_progress": Fill(_IT.sum("vllm:num_requests_running")),
        "queue_depth": Fill(_IT.sum("vllm:num_requests_waiting")),
        "time_to_first_token_buckets": Fill(_IT.buckets("vllm:time_to_first_token_seconds")),
        # Renamed from vllm:time_per_output_token_seconds; older versions have only that one.
        "inter_token_latency_buckets": Fill(
            f"{_IT.buckets('vllm:inter_token_latency_seconds')}\n"
            f"or\n{_IT.buckets('vllm:time_per_output_token_seconds')}"
        ),
        "inter_token_latency_mean": Fill(
            f"{_IT.mean('vllm:inter_token_latency_seconds')}\n"
            f"or\n{_IT.mean('vllm:time_per_output_token_seconds')}"
        ),
        "prompt_tokens": Fill(_IT.rate("vllm:prompt_tokens_total")),
        "generated_tokens": Fill(_IT.rate("vllm:generation_tokens_total")),
        # A ratio, whatever _perc says; renamed from vllm:gpu_cache_usage_perc.
        "kv_cache_usage": Fill(
            f"{_IT.max('vllm:kv_cache_usage_perc')}\nor\n{_IT.max('vllm:gpu_cache_usage_perc')}"
        ),
        "running": Fill(_IT.sum("vllm:num_requests_running")),
        "waiting": Fill(_IT.sum("vllm:num_requests_waiting")),
        "preemptions": Fill(_IT.rate("vllm:num_preemptions_total")),
    },
    missing={
        "batch_size": "it batches token by token: requests running is the batch",
    },
    traps=(
        "vllm:request_success_total counts every request that ended, aborted and failed ones too.",
        (
            "Requests that are refused as invalid (HTTP 4xx) never reach the vllm: series; "
            "http_requests_total alone shows them, without a model."
        ),
        "The smallest edge of inter-token latency is 10 ms: a quantile below it is a guess.",
        "Edges of latency start at 300 ms: a promise between two edges can't be judged.",
    ),
    dropped=r".*_created|python_gc_.*",
)
