"""BentoML. It counts probes of its health among its requests."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["BENTOML"]

_IT: Final = Series("bentoml")

# Paths that are no API are labels, too: probes, and whatever does not exist.
_API: Final = 'endpoint!~"/(readyz|livez|healthz|metrics).*"'
_requests: Final = _IT.rate("bentoml_service_request_total", f'{_API}, http_response_code!="404"')
_failed: Final = _IT.rate("bentoml_service_request_total", f'{_API}, http_response_code=~"5.."')
_DURATION: Final = f'{_API}, http_response_code!="404"'

BENTOML: Final = Adapter(
    runtime="bentoml",
    version="1.4.39 scraped",
    enabled_by="on by default, on the port of its API",
    fingerprint=("bentoml_service_request_total",),
    fills={
        "requests": Fill(_requests, "without probes and paths that do not exist"),
        "errors": Fill(or_zero(_failed, _requests), "answers 5xx"),
        "latency_buckets": Fill(_IT.buckets("bentoml_service_request_duration_seconds", _DURATION)),
        "latency_mean": Fill(_IT.mean("bentoml_service_request_duration_seconds", _DURATION)),
        "in_progress": Fill(_IT.sum("bentoml_service_request_in_progress", _API)),
        "batch_size": Fill(
            _IT.mean("bentoml_service_adaptive_batch_size"), "of APIs that batch adaptively"
        ),
    },
    missing={"queue_depth": "it exposes nothing of its queue"},
    traps=(
        "Probes of /readyz and 404s are counted among its requests; they are left out here.",
        "Any path that is asked for becomes a label: limit it if strangers can reach the server.",
        (
            "service_version is 'not available' unless a built Bento is served: set "
            "serving.version only for one."
        ),
    ),
    dropped=r".*_created|python_gc_.*",
)
