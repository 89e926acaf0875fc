"""A real Prometheus with data: a sidecar and a drift collector watch two models with traffic.

`churn` version 1 is a classifier, beside which version 2 serves and fails more often; `price`
version 2 is a regressor. It and churn 1 hold memory of two GPUs, which are simulated. `chat`
version 3 is an LLM on vLLM, whose metrics are replayed. A second is one scrape, and three minutes
are an hour.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from contract.profile import Value, build_profile, write_profile
from contract.read import read_spec
from generator.outputs import render
from tests.live_gpus import simulate_gpus
from tests.processes import free_port, running
from tests.runtime_servers import CAPTURES, replaying

__all__ = ["live_models"]

MODELS: Final = """
defaults:
  slo: {{latency: [{{threshold: 50ms, target: 50%}}, {{threshold: 100ms, target: 90%}},
    {{threshold: 100ms, target: 95%}}, {{threshold: 100ms}}, {{threshold: 200ms, target: 99.9%}}]}}
  drift: {{min_samples: 20}}
stack: {{prometheus: "{prometheus}", sidecar: "{sidecar}", drift: "{drift}", gpu: ["{gpu}"],
  alertmanager: "{nobody}", responder: "{nobody}", scrape_interval: 1s, evaluation_interval: 1s}}
gpu: {{expected: 2, slow_interval: 1s}}
models:
  - {{name: churn, version: "1", task: binary_classification, profile: churn.json,
      trained_at: "{trained}", gpu: {{pid_file: churn.pid}},
      performance: {{min_samples: 20, windows: 1h, accuracy: {{baseline: 0.6, max_drop: 0.5}}}},
      business: [{{name: ctr, numerator: click, denominator: view, min: 10%}}]}}
  - {{name: churn, version: "2", task: binary_classification, profile: churn.json,
      trained_at: "{trained}",
      performance: {{min_samples: 20, windows: 1h, accuracy: {{baseline: 0.6, max_drop: 0.5}}}},
      business: [{{name: ctr, numerator: click, denominator: view, min: 10%}}]}}
  - {{name: price, version: "2", task: regression, profile: price.json,
      trained_at: "{trained}", gpu: {{pid_file: price.pid}},
      performance: {{min_samples: 20, windows: 1h, mae: {{baseline: 20, max_drop: 50}}}},
      business: [{{name: sold, numerator: sale, denominator: offer}}]}}
  - {{name: chat, version: "3", task: regression,
      serving: {{runtime: vllm, model: meta-llama/Llama-3.1-8B, targets: ["{vllm}"]}}}}
"""


SCALE: Final = 20
"""What Prometheus sums up every ten minutes is there after half a minute."""

BUSINESS: Final = [
    {"model_name": name, "model_version": version, "event": event, "count": count}
    for name, version, event, count in (
        ("churn", "1", "view", 10),
        ("churn", "1", "click", 3),
        ("churn", "2", "view", 10),
        ("churn", "2", "click", 3),
        ("price", "2", "offer", 5),
        ("price", "2", "sale", 1),
    )
]
FAILS: Final = {("churn", "1"): 5, ("churn", "2"): 3, ("price", "2"): 5}
"""Of the requests to each of them one of so many fails."""


def events(rng: random.Random, start: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Twenty prediction events of each version, some of which failed, and labels of the others."""
    predictions, labels = [], []
    for index in range(start, start + 20):
        age = None if index % 7 == 0 else rng.gauss(60, 10)
        features = {"age": age, "plan": rng.choice(["free", "paid"])}
        for (name, version), of in FAILS.items():
            predicted, actual = (
                rng.choice(["yes", "no"]) if name == "churn" else rng.gauss(100, 20)
                for _ in range(2)
            )
            key = {
                "model_name": name,
                "model_version": version,
                "prediction_id": f"{name} {version} {index}",
            }
            event = {
                **key,
                "features": features,
                "latency_seconds": rng.expovariate(50),
                "stages": {"preprocess": 0.001, "inference": 0.01},
                "status": "success" if index % of else "error",
            }
            if index % of:
                event |= {"prediction": predicted}
                event |= {"confidence": rng.uniform(0.5, 1)} if name == "churn" else {}
                labels.append({**key, "actual": actual})
            predictions.append(event)
    return predictions, labels


def write_profiles(folder: Path, rng: random.Random) -> None:
    rows = 500
    features: dict[str, list[Value]] = {
        "age": [rng.gauss(50, 10) for _ in range(rows)],
        "plan": [rng.choice(["free", "paid"]) for _ in range(rows)],
    }
    churn: dict[str, list[Value]] = {
        **features,
        "prediction": [rng.choice(["yes", "no"]) for _ in range(rows)],
        "confidence": [rng.uniform(0.5, 1) for _ in range(rows)],
        "label": [rng.choice(["yes", "no"]) for _ in range(rows)],
    }
    price: dict[str, list[Value]] = {
        **features,
        "prediction": [rng.gauss(100, 20) for _ in range(rows)],
    }
    profiles = (
        build_profile(
            churn,
            model_name="churn",
            prediction="prediction",
            confidence="confidence",
            label="label",
        ),
        build_profile(price, model_name="price", prediction="prediction"),
    )
    for profile in profiles:
        write_profile(profile, folder / f"{profile.model_name}.json")


def exporter(name: str, models: Path, listen: str, *more: str) -> list[str]:
    module = [sys.executable, "-m", f"exporters.{name}", "serve"]
    scaled = ["--time-scale", str(SCALE)]
    return [*module, "--models", str(models), "--listen", listen, *scaled, *more]


@contextmanager
def traffic(sidecar: str, rng: random.Random) -> Iterator[None]:
    """Send events and their labels until the block ends."""
    ended = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=sidecar, trust_env=False) as client:
            for start in itertools.count(step=20):
                predictions, labels = events(rng, start)
                client.post("/v1/predictions", json=predictions).raise_for_status()
                client.post("/v1/labels", json=labels).raise_for_status()
                client.post("/v1/business", json=BUSINESS).raise_for_status()
                if ended.wait(0.3):
                    return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def live_models(folder: Path) -> Iterator[httpx.Client]:
    """A client of that Prometheus; its first answers come within seconds, use `eventually`."""
    rng = random.Random(7)
    write_profiles(folder, rng)
    names = ("prometheus", "sidecar", "drift", "gpu", "nobody")
    at = {name: f"127.0.0.1:{free_port()}" for name in names}
    models = folder / "models.yaml"
    sidecar = exporter("sidecar", models, at["sidecar"], "--data-dir", str(folder / "data"))
    drift = exporter(
        "drift",
        models,
        at["drift"],
        "--prometheus",
        f"http://{at['prometheus']}",
        "--interval",
        "1m",
    )
    server = [
        "prometheus",
        f"--config.file={folder}/prometheus/generated/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={at['prometheus']}",
    ]
    with ExitStack() as stack:
        at["vllm"] = stack.enter_context(replaying(CAPTURES / "vllm.txt"))
        trained = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        models.write_text(MODELS.format(**at, trained=trained.isoformat()))
        spec = read_spec(models, time_scale=SCALE)
        for path, text in render(spec, ("prometheus",)).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        ran = stack.enter_context(running(server, ready_url=f"http://{at['prometheus']}/-/ready"))
        gpus = simulate_gpus(folder, {"churn": os.getpid(), "price": ran.process.pid})
        gpu = exporter("gpu", models, at["gpu"])
        stack.enter_context(running(gpu, ready_url=f"http://{at['gpu']}/readyz", env=gpus))
        stack.enter_context(running(sidecar, ready_url=f"http://{at['sidecar']}/readyz"))
        stack.enter_context(running(drift, ready_url=f"http://{at['drift']}/healthz"))
        stack.enter_context(traffic(f"http://{at['sidecar']}", rng))
        yield stack.enter_context(
            httpx.Client(base_url=f"http://{at['prometheus']}", trust_env=False, timeout=10)
        )
