"""The plain way: `json`, then `prometheus_client`, one `labels().observe()` for each feature.

python -m benchmarks.plain_server --port PORT --profile FILE
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from contract.profile import NumericBins, read_profile

NAMES = ("model_name", "model_version")


def application(profile: Path) -> Starlette:
    """A server that counts what the sidecar counts of these events, the way one writes it first."""
    registry = CollectorRegistry()
    bins = [own for own in read_profile(profile).features.values() if isinstance(own, NumericBins)]
    requests = Counter("requests", "-", [*NAMES, "status"], registry=registry)
    classes = Counter("classes", "-", [*NAMES, "predicted_class"], registry=registry)
    latency = Histogram("latency_seconds", "-", NAMES, registry=registry)
    confidence = Histogram("confidence", "-", NAMES, registry=registry)
    # One set of buckets for all, as prometheus_client wants it.
    values = Histogram(
        "values", "-", [*NAMES, "feature_name"], buckets=bins[0].edges, registry=registry
    )

    async def predictions(request: Request) -> Response:
        found = json.loads(await request.body())
        events = found if isinstance(found, list) else [found]
        for event in events:
            own = (event["model_name"], event.get("model_version", "1"))
            requests.labels(*own, event.get("status", "success")).inc()
            classes.labels(*own, str(event["prediction"])).inc()
            latency.labels(*own).observe(event["latency_seconds"])
            confidence.labels(*own).observe(event["confidence"])
            for name, value in event["features"].items():
                values.labels(*own, name).observe(value)
        return PlainTextResponse("ok")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry))

    return Starlette(
        routes=[
            Route("/v1/predictions", predictions, methods=["POST"]),
            Route("/metrics", metrics),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--profile", type=Path, required=True)
    options = parser.parse_args()
    uvicorn.run(
        application(options.profile), port=options.port, log_level="warning", access_log=False
    )
