"""NVIDIA Triton. Its counters of time are in microseconds, and have no `_total`."""

from __future__ import annotations

from typing import Final

from contract.runtimes import Signal
from contract.spec import QUANTILES
from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["TRITON"]

_IT: Final = Series("triton")

# Whoever hangs up (CANCELED) is no failure of the model. Older versions have no reason.
_succeeded: Final = _IT.rate("nv_inference_request_success")
_failed: Final = _IT.rate("nv_inference_request_failure", 'reason!="CANCELED"')
_ended: Final = _IT.rate("nv_inference_request_failure")

_QUANTILES: Final[dict[str, Signal]] = {
    "p50": "latency_p50",
    "p90": "latency_p90",
    "p95": "latency_p95",
    "p99": "latency_p99",
    "p999": "latency_p999",
}

TRITON: Final = Adapter(
    runtime="triton",
    version="2.51 scraped; documentation of 2026-08",
    enabled_by="on by default; `--metrics-config summary_latencies=true` for latency quantiles",
    fingerprint=("nv_inference_request_success",),
    fills={
        "requests": Fill(f"{_succeeded}\n+\n{or_zero(_ended, _succeeded)}"),
        "errors": Fill(or_zero(_failed, _succeeded), "without requests that were cancelled"),
        "latency_mean": Fill(
            f"{_IT.rate('nv_inference_request_duration_us')} / 1e6\n/\n({_succeeded} > 0)",
            "of requests that succeeded",
        ),
        **{
            _QUANTILES[name]: Fill(
                _IT.max("nv_inference_request_summary_us", f'quantile="{quantile:g}"')
                + " / 1e6 >= 0",
                "of the slowest replica, over the window that Triton chose; only with "
                "summary_latencies",
            )
            for quantile, name in QUANTILES.items()
        },
        "queue_depth": Fill(_IT.sum("nv_inference_pending_request_count")),
        "batch_size": Fill(
            f"{_IT.rate('nv_inference_count')}\n/\n({_IT.rate('nv_inference_exec_count')} > 0)"
        ),
    },
    missing={
        "latency_buckets": "its latency histogram is of the first response only, and of models "
        "that stream; so a latency SLO needs the sidecar",
        "in_progress": "pending requests wait, those being worked on are not counted",
    },
    traps=(
        (
            "An error that a Python model returns as InferenceResponse(error=...) counts as a "
            "success (server issue 7713): raise TritonModelException, or send outcomes to the "
            "sidecar."
        ),
        (
            "What is refused before it reaches a model (bad JSON, an unknown model) is counted "
            "nowhere."
        ),
        (
            "Without --metrics-config summary_latencies=true there are no latency quantiles, and "
            "with the response cache on there are none either."
        ),
        "Quantiles of replicas can't be added up: what is shown is the slowest replica's.",
    ),
)
