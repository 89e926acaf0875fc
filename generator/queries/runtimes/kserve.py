"""KServe's Python model server. It has no counter of requests or errors, only of its stages."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series

__all__ = ["KSERVE"]

_IT: Final = Series("kserve")

_begun: Final = _IT.rate("request_preprocess_seconds_count")
_ended: Final = _IT.rate("request_postprocess_seconds_count")
_STAGES: Final = ("preprocess", "predict", "postprocess")
_spent: Final = "\n+\n".join(_IT.rate(f"request_{stage}_seconds_sum") for stage in _STAGES)

KSERVE: Final = Adapter(
    runtime="kserve",
    version="0.21 scraped",
    enabled_by="on by default, on the port of its API",
    fingerprint=("request_preprocess_seconds_count", "request_predict_seconds_bucket"),
    fills={
        "requests": Fill(_begun, "those that began; unknown models are not among them"),
        # What began and did not come to its end. A request on its way counts until it is there,
        # which can be less than nothing a moment later.
        "errors": Fill(
            f"clamp_min({_begun} - {_ended}, 0)", "requests that began and never came to their end"
        ),
        "latency_buckets": Fill(
            _IT.buckets("request_predict_seconds"),
            "of the prediction alone, without pre- and postprocessing",
        ),
        "latency_mean": Fill(f"({_spent})\n/\n({_begun} > 0)", "of all three stages"),
    },
    missing={
        "in_progress": "Knative's queue-proxy knows it, and names no model",
        "queue_depth": "Knative's queue-proxy knows it, and names no model",
        "batch_size": "it has no metrics of its batcher",
    },
    traps=(
        (
            "Errors are worked out: what began less what ended. A few requests on their way show "
            "as errors for a moment; the guard on few requests keeps that quiet."
        ),
        "Quantiles are of the prediction alone: the three stages' can't be added up.",
        "Unknown models and bodies that can't be read are counted nowhere.",
        "It listens on every address, and there is no option against it.",
    ),
    dropped=r".*_created|python_gc_.*",
)
