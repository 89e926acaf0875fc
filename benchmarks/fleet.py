"""What the sidecars and the drift collector of many models expose, made up, and served over HTTP.

    python -m benchmarks.fleet --models 1000 --port 9200

A model has requests by status, latencies, classes and confidences, and ten features with a score
each; its promises are what the drift collector really makes of models.yaml.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from contract import catalog
from contract.quantity import Duration
from contract.spec import Drift, Latency, Model, Serving, Slo, Spec, Stack
from exporters.drift.promises import promises
from exporters.expose import Family, render, series

__all__ = ["LATENCY_EDGES", "fleet"]

FEATURES: Final = 10
FAILING: Final = 100
"""One model of so many fails enough of its requests for alerts, each of which looks up its text."""
LATENCY_EDGES: Final = (
    *("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5"),
    *("1.0", "2.5", "5.0", "10.0", "+Inf"),
)
CONFIDENCE_EDGES: Final = (*(f"{edge / 20:g}" for edge in range(1, 21)), "+Inf")


def fleet(models: int, *, sidecar: str, drift: str, prometheus: str) -> Spec:
    """So many models with the promises of the built-in defaults, at these addresses."""
    return Spec(
        stack=Stack(sidecar=sidecar, drift=drift, prometheus=prometheus, gpu=()),
        models=tuple(
            Model(
                name=f"model-{number:04}",
                version="1",
                task="binary_classification",
                team="ml-platform",
                profile="profiles/any.json",
                serving=Serving(targets=(sidecar,), sidecars=(sidecar,)),
                slo=Slo(latency=(Latency(threshold=Duration.parse("250ms")),)),
                drift=Drift(),
            )
            for number in range(models)
        ),
    )


def counters(spec: Spec) -> Iterator[tuple[str, int]]:
    """Lines without their numbers, and by how much each grows in a second."""
    requests, buckets = catalog.INFERENCE_REQUESTS, catalog.INFERENCE_LATENCY.bucket
    for index, model in enumerate(spec.models):
        who = f'model_name="{model.name}",model_version="{model.version}"'
        rate = 10 + index % 90
        for status, each in (("success", rate), ("error", index % FAILING == 0), ("rejected", 0)):
            yield f'{requests}{{{who},status="{status}"}} ', int(each)
        # All within 100 ms, or of a model that fails only within half a second.
        slowest = 8 if index % FAILING == 0 else 6
        for place, edge in enumerate(LATENCY_EDGES):
            yield f'{buckets}{{{who},le="{edge}"}} ', rate * min(place, slowest) // slowest
        yield f"{catalog.INFERENCE_LATENCY.sum}{{{who}}} ", rate
        yield f"{catalog.INFERENCE_LATENCY.count}{{{who}}} ", rate
        for predicted in ("yes", "no"):
            yield f'{catalog.PREDICTION_CLASS}{{{who},predicted_class="{predicted}"}} ', rate // 2
        for place, edge in enumerate(CONFIDENCE_EDGES):
            confidences = f'{catalog.PREDICTION_CONFIDENCE.bucket}{{{who},le="{edge}"}} '
            yield confidences, rate * place // 20
        yield f"{catalog.PREDICTION_CONFIDENCE.sum}{{{who}}} ", rate
        yield f"{catalog.PREDICTION_CONFIDENCE.count}{{{who}}} ", rate


def drift_families(spec: Spec) -> Iterator[Family]:
    """Promises, scores and verdicts: nothing has drifted."""
    yield from promises(spec)
    names = [f"feature_{number}" for number in range(FEATURES)]
    score, verdict = catalog.FEATURE_DRIFT_SCORE, catalog.DRIFT_DETECTED
    which = [{"model_name": m.name, "model_version": m.version} for m in spec.models]
    yield Family(
        score,
        [
            (series(score, **who, feature_name=name, method="psi", window="1h"), 0.01)
            for who in which
            for name in names
        ],
    )
    yield Family(
        verdict,
        [
            (series(verdict, **who, kind="feature", feature_name=name, severity=severity), 0)
            for who in which
            for name in names
            for severity in ("warning", "critical")
        ],
    )


def main() -> None:
    """Serve /sidecar and /drift until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    here = f"127.0.0.1:{options.port}"
    spec = fleet(options.models, sidecar=here, drift=here, prometheus=here)
    lines, began = list(counters(spec)), time.time()
    static = render(drift_families(spec))
    evaluated = [
        f'{catalog.DRIFT_EVALUATION_TIMESTAMP}{{model_name="{m.name}",model_version="1"}} '
        for m in spec.models
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seconds = int(time.time() - began) + 1
            if self.path == "/drift":
                now = f"{time.time():.0f}"
                body = static + "".join(f"{line}{now}\n" for line in evaluated).encode()
            else:
                body = "".join(f"{line}{rate * seconds}\n" for line, rate in lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
