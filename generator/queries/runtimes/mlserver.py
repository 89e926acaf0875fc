"""MLServer. Requests and errors are by model; the latency histogram is the whole server's."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["MLSERVER"]

_IT: Final = Series("mlserver")

_requests: Final = _IT.rate("model_infer_request_duration_count")
_failed: Final = _IT.rate("model_infer_request_failure_total")
# 4xx never reached a model, and is fast.
_INFER: Final = 'path=~"/v2/models/.*infer", status_code!~"4.."'

MLSERVER: Final = Adapter(
    runtime="mlserver",
    version="1.7.1 scraped",
    enabled_by="on by default (`metrics_port`)",
    fingerprint=("model_infer_request_success_total", "model_infer_request_duration_count"),
    fills={
        "requests": Fill(_requests),
        "errors": Fill(or_zero(_failed, _requests)),
        "latency_buckets": Fill(
            _IT.buckets("rest_server_request_duration_seconds", _INFER),
            "over HTTP, of the server; only where it serves one model",
        ),
        "latency_mean": Fill(_IT.mean("model_infer_request_duration")),
        "in_progress": Fill(
            _IT.sum("rest_server_requests_in_progress", 'method="POST"'),
            "over HTTP, of the server; only where it serves one model",
        ),
    },
    missing={
        "queue_depth": "its histogram of the queue was not seen in what was scraped",
        "batch_size": "it has no metric of the batches it makes",
    },
    traps=(
        (
            "The label version is what the client wrote into the URL, usually the text None, "
            "whatever model-settings.json says: set serving.version only where clients write one."
        ),
        (
            "Adaptive batching spreads one bad request over its batch: 5 bad ones of 45 made 20 "
            "errors when it was measured."
        ),
        "Bodies that are refused (422) are counted for no model.",
        "Any name in a URL becomes a label: drop strange ones if strangers can reach the server.",
        "Where two models share a server, latency quantiles of neither are known; the means are.",
    ),
    dropped=r".*_created|python_gc_.*",
)
