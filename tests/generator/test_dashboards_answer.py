"""Every panel asks a real Prometheus, which scrapes a real sidecar and drift collector."""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from contract.profile import Value, build_profile, write_profile
from contract.read import read_spec
from generator.dashboards import render_dashboards
from generator.outputs import render
from tests.generator.panels import Asked, answer, read_asked
from tests.processes import eventually, free_port, running

pytestmark = pytest.mark.stack

MODELS: Final = """
defaults:
  slo: {{latency: [{{threshold: 50ms, target: 50%}}, {{threshold: 100ms, target: 90%}},
    {{threshold: 100ms, target: 95%}}, {{threshold: 100ms}}, {{threshold: 200ms, target: 99.9%}}]}}
  drift: {{min_samples: 20}}
stack: {{prometheus: "{prometheus}", sidecar: "{sidecar}", drift: "{drift}", gpu: [],
  alertmanager: "{nobody}", responder: "{nobody}", scrape_interval: 1s, evaluation_interval: 1s}}
models:
  - {{name: churn, version: "1", task: binary_classification, profile: churn.json}}
  - {{name: price, version: "2", task: regression, profile: price.json}}
"""

EMPTY: Final = {
    "churn": {"Which values does it predict?", "How far off is it?"},
    "price": {
        "Which classes does it predict?",
        "How sure is it?",
        "How often is it right?",
        "Which classes does it confuse?",
    },
}
"""Panels about predictions of the other kind; they say so themselves."""

NEVER: Final = {"Alerts firing"}
"""Nothing fires for long enough here to be marked."""


def events(rng: random.Random, start: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Forty prediction events of both models, a fifth of which failed, and their labels."""
    predictions, labels = [], []
    for index in range(start, start + 20):
        features = {"age": rng.gauss(60, 10), "plan": rng.choice(["free", "paid"])}
        kinds: tuple[tuple[str, str, Any, Any], ...] = (
            ("churn", "1", rng.choice(["yes", "no"]), rng.choice(["yes", "no"])),
            ("price", "2", rng.gauss(100, 20), rng.gauss(100, 20)),
        )
        for name, version, predicted, actual in kinds:
            key = {"model_name": name, "model_version": version, "prediction_id": f"{name}{index}"}
            event = {
                **key,
                "features": features,
                "latency_seconds": rng.expovariate(50),
                "stages": {"preprocess": 0.001, "inference": 0.01},
                "status": "error" if index % 5 == 0 else "success",
            }
            if index % 5:
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
    }
    price: dict[str, list[Value]] = {
        **features,
        "prediction": [rng.gauss(100, 20) for _ in range(rows)],
    }
    profiles = (
        build_profile(churn, model_name="churn", prediction="prediction", confidence="confidence"),
        build_profile(price, model_name="price", prediction="prediction"),
    )
    for profile in profiles:
        write_profile(profile, folder / f"{profile.model_name}.json")


def exporter(name: str, models: Path, listen: str, *more: str) -> list[str]:
    module = [sys.executable, "-m", f"exporters.{name}", "serve"]
    return [*module, "--models", str(models), "--listen", listen, *more]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("answers")
    rng = random.Random(7)
    write_profiles(folder, rng)
    names = ("prometheus", "sidecar", "drift", "nobody")
    at = {name: f"127.0.0.1:{free_port()}" for name in names}
    models = folder / "models.yaml"
    models.write_text(MODELS.format(**at))
    for path, text in render(read_spec(models), ("prometheus",)).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    sidecar = exporter("sidecar", models, at["sidecar"], "--data-dir", str(folder / "data"))
    drift = exporter(
        "drift",
        models,
        at["drift"],
        "--prometheus",
        f"http://{at['prometheus']}",
        "--interval",
        "1s",
    )
    server = [
        "prometheus",
        f"--config.file={folder}/prometheus/generated/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={at['prometheus']}",
    ]
    with ExitStack() as stack:
        stack.enter_context(running(server, ready_url=f"http://{at['prometheus']}/-/ready"))
        stack.enter_context(running(sidecar, ready_url=f"http://{at['sidecar']}/readyz"))
        stack.enter_context(running(drift, ready_url=f"http://{at['drift']}/healthz"))
        stack.enter_context(traffic(f"http://{at['sidecar']}", rng))
        yield stack.enter_context(
            httpx.Client(base_url=f"http://{at['prometheus']}", trust_env=False, timeout=10)
        )


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
                if ended.wait(0.3):
                    return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def asked() -> list[Asked]:
    # The dashboards do not depend on models.yaml, but for the address of the runbooks.
    spec = read_spec(Path(__file__).parents[2] / "models.yaml")
    texts = render_dashboards(spec)
    return [
        one for path, text in texts.items() if path.endswith(".json") for one in read_asked(text)
    ]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("model", "version"), [("churn", "1"), ("price", "2")])
def test_every_panel_has_an_answer_and_the_others_say_why_not(
    prometheus: httpx.Client, model: str, version: str
) -> None:
    choices = {
        "$__rate_interval": "15s",
        "$__range": "5m",
        "$team": ".*",
        "$model": model,
        "$version": version,
    }

    def answers() -> dict[Asked, list[dict[str, Any]]]:
        end = time.time()
        found = {one: answer(prometheus, one, choices, end=end) for one in asked()}
        missing = [
            str(one) for one, series in found.items() if not series and one.panel not in silent
        ]
        assert not missing, missing
        return found

    silent = EMPTY[model] | NEVER
    found = eventually(answers, seconds=90)
    for one, series in found.items():
        if one.panel in EMPTY[model]:
            assert not series, f"{one} has an answer for {model}"
        if one.kind == "stat":
            assert len(series) == 1, f"{one} has {len(series)} values"
        if one.kind == "timeseries":
            assert len(series) <= 6, f"{one} has {len(series)} lines"


@pytest.mark.timeout(180)
def test_the_columns_of_a_table_are_about_the_same_rows(prometheus: httpx.Client) -> None:
    choices = {
        "$__rate_interval": "15s",
        "$__range": "5m",
        "$team": ".*",
        "$model": "churn",
        "$version": "1",
    }

    def labels() -> dict[str, set[frozenset[str]]]:
        tables: dict[str, set[frozenset[str]]] = {}
        for one in asked():
            if one.kind == "table" and "alerts" not in one.panel:
                series = answer(prometheus, one, choices, end=time.time())
                assert series, one
                keys = tables.setdefault(f"{one.dashboard} / {one.panel}", set())
                keys.update(frozenset(each["metric"]) for each in series)
        return tables

    for table, found in eventually(labels, seconds=90).items():
        assert len(found) == 1, f"{table}: rows can't be merged: {sorted(map(sorted, found))}"
