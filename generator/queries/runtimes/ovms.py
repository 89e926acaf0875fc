"""OpenVINO Model Server. It counts asking for metadata as a request; its time is microseconds."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["OVMS"]

_IT: Final = Series("ovms")

_INFERENCE: Final = 'method=~"ModelInfer|Predict"'
_succeeded: Final = _IT.rate("ovms_requests_success", _INFERENCE)
_failed: Final = _IT.rate("ovms_requests_fail", _INFERENCE)

OVMS: Final = Adapter(
    runtime="ovms",
    version="main of 2026-08, from its source",
    enabled_by="`--metrics_enable`, on the port of `--rest_port`",
    fingerprint=("ovms_requests_success",),
    fills={
        "requests": Fill(f"{_succeeded}\n+\n{or_zero(_failed, _succeeded)}"),
        "errors": Fill(or_zero(_failed, _succeeded)),
        "latency_buckets": Fill(_IT.buckets_of("ovms_request_time_us", digits=6)),
        "latency_mean": Fill(_IT.mean("ovms_request_time_us", divided_by=1e6)),
        "in_progress": Fill(_IT.sum("ovms_current_requests")),
        # Not exposed unless --metrics_list names it; requests beyond the streams wait.
        "queue_depth": Fill(
            f"clamp_min({_IT.sum('ovms_current_requests')}"
            f" - {_IT.sum('ovms_infer_req_active')}, 0)",
            "requests that no inference works on; only with ovms_infer_req_active in "
            "--metrics_list",
        ),
    },
    missing={"batch_size": "it has no metric of its batches"},
    traps=(
        "Without --metrics_enable nothing is exposed.",
        "ovms_requests_success counts metadata and readiness too; they are left out here.",
        (
            "Graphs and language models of MediaPipe have series of their own (ovms_graph_...), "
            "which are not read."
        ),
        (
            "Some versions call their metrics application/json (its issue 3689), which "
            "Prometheus 3 refuses: set stack.fallback_scrape_protocol."
        ),
    ),
)
