"""SGLang. Its scheduler's gauges are repeated by each rank of a model that is split over GPUs."""

from __future__ import annotations

from typing import Final

from contract.catalog import MODEL
from generator.queries.runtimes.adapter import BY_MODEL, Adapter, Fill, Series, or_zero

__all__ = ["SGLANG"]

_IT: Final = Series("sglang")

_ended: Final = _IT.rate("sglang:num_requests_total")
_aborted: Final = _IT.rate("sglang:num_aborted_requests_total")


def _of_schedulers(gauge: str) -> str:
    """Ranks of one scheduler (tp, pp, moe_ep) say the same; schedulers (dp) add up."""
    labels = ", ".join((*MODEL, "instance", "dp_rank"))
    return f"sum {BY_MODEL} (max by ({labels}) ({_IT.select(gauge)}))"


SGLANG: Final = Adapter(
    runtime="sglang",
    version="0.5.23, from its source",
    enabled_by="`--enable-metrics`",
    fingerprint=("sglang:num_running_reqs", "sglang:num_queue_reqs"),
    fills={
        "requests": Fill(_ended, "counted as they end"),
        "errors": Fill(
            or_zero(_aborted, _ended), "aborted requests, those whose client hung up among them"
        ),
        "latency_buckets": Fill(_IT.buckets("sglang:e2e_request_latency_seconds")),
        "latency_mean": Fill(_IT.mean("sglang:e2e_request_latency_seconds")),
        "in_progress": Fill(_of_schedulers("sglang:num_running_reqs")),
        "queue_depth": Fill(_of_schedulers("sglang:num_queue_reqs")),
        "time_to_first_token_buckets": Fill(_IT.buckets("sglang:time_to_first_token_seconds")),
        "inter_token_latency_buckets": Fill(_IT.buckets("sglang:inter_token_latency_seconds")),
        "inter_token_latency_mean": Fill(_IT.mean("sglang:inter_token_latency_seconds")),
        "prompt_tokens": Fill(_IT.rate("sglang:prompt_tokens_total")),
        "generated_tokens": Fill(
            _IT.rate("sglang:generation_tokens_total"), "added when a request ends, so in steps"
        ),
        "kv_cache_usage": Fill(_IT.max("sglang:token_usage")),
        "running": Fill(_of_schedulers("sglang:num_running_reqs")),
        "waiting": Fill(_of_schedulers("sglang:num_queue_reqs")),
    },
    missing={
        "preemptions": "retracted requests are a gauge, sglang:num_retracted_reqs, and no counter",
        "batch_size": "it batches token by token: requests running is the batch",
    },
    traps=(
        "An aborted request counts as an error, though its client may have hung up.",
        (
            "HTTP errors are counted only in sglang:http_responses_total, without a model and "
            "with a label for any path that is asked for: limit it if strangers can reach the "
            "server."
        ),
        (
            "The smallest edge of the time to the first token is 100 ms: a quantile below it is a "
            "guess."
        ),
        "Scheduler gauges are repeated by each rank: never add them up yourself.",
    ),
    dropped=r".*_created|python_gc_.*",
)
