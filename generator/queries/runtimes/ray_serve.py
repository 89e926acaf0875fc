"""Ray Serve. What it counts as requests of a deployment are those that succeeded."""

from __future__ import annotations

from typing import Final

from generator.queries.runtimes.adapter import Adapter, Fill, Series, or_zero

__all__ = ["RAY_SERVE"]

_IT: Final = Series("ray_serve")

_succeeded: Final = _IT.rate("ray_serve_deployment_request_counter_total")
_failed: Final = _IT.rate("ray_serve_deployment_error_counter_total")
_LATENCY: Final = "ray_serve_deployment_processing_latency_ms"

RAY_SERVE: Final = Adapter(
    runtime="ray_serve",
    version="2.60 scraped; batches from its source",
    enabled_by="on by default; `--metrics-export-port` on every node",
    fingerprint=("ray_serve_deployment_request_counter_total",),
    fills={
        # Either can be missing: a deployment that has always failed has counted no success.
        "requests": Fill(
            f"{or_zero(_succeeded, _failed)}\n+\n{or_zero(_failed, _succeeded)}",
            "of the deployment, by whatever way they came",
        ),
        "errors": Fill(or_zero(_failed, _succeeded)),
        "latency_buckets": Fill(
            _IT.buckets_of(_LATENCY, digits=3), "of the replica's work, without routing and queue"
        ),
        "latency_mean": Fill(
            _IT.mean(_LATENCY, divided_by=1e3), "of the replica's work, without routing and queue"
        ),
        "in_progress": Fill(_IT.sum("ray_serve_replica_processing_queries")),
        "queue_depth": Fill(_IT.sum("ray_serve_deployment_queued_queries")),
        "batch_size": Fill(
            _IT.mean("ray_serve_actual_batch_size"), "of deployments with @serve.batch"
        ),
        "loaded": Fill(_IT.min("ray_serve_deployment_replica_healthy")),
    },
    traps=(
        (
            "ray_serve_deployment_request_counter_total counts successes alone: errors are added "
            "to it here."
        ),
        (
            "What the proxy refuses (no route, back-pressure, its own timeout) never reaches a "
            "deployment; ray_serve_num_http_error_requests_total has it, by application."
        ),
        "A kind of error has no series before it first happens, so the very first one is unseen.",
        "Ids of replicas and actors are labels: every redeployment makes a new set of series.",
        "Every node has metrics of its own: name them all as targets.",
    ),
    # The same in every series of a session, so that without them they are still apart.
    dropped_labels=r"SessionName|otel_scope_.*",
)
