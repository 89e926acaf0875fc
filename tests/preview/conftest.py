"""One Prometheus with data, and one preview of the generated dashboards, for all tests here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.read import read_spec
from generator.dashboards import render_dashboards
from preview.prometheus import Asked, Prometheus
from tests.live_models import live_models
from tests.processes import ROOT, eventually, free_port, running


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has answers for the model churn."""
    with live_models(tmp_path_factory.mktemp("live")) as client:
        url = str(client.base_url).rstrip("/")

        def has_answers() -> bool:
            asked = {
                "query": 'sum(model:ml_inference_latency_seconds:p99_5m{model_name="churn"}) + '
                'count(model:ml_feature_drift_score{model_name="churn"}) + '
                'sum(rate(ml_inference_latency_seconds_bucket{model_name="churn"}[15s]))'
            }
            answer = client.get("/api/v1/query", params=asked).json()
            return bool(answer["data"]["result"])

        eventually(has_answers, seconds=90)
        yield url


@pytest.fixture(scope="session")
def prometheus(source: str) -> Iterator[Prometheus]:
    with Prometheus(source) as client:
        client.query(Asked("vector(1)", 1.0))
        yield client


@pytest.fixture(scope="session")
def grafana(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the generator writes for Grafana, rendered from models.yaml as committed."""
    folder = tmp_path_factory.mktemp("grafana")
    for path, text in render_dashboards(read_spec(ROOT / "models.yaml")).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder / "grafana" / "generated"


@pytest.fixture(scope="session")
def page(source: str, grafana: Path) -> Iterator[httpx.Client]:
    """A running preview."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "preview", "serve", "--listen", address]
    command += ["--prometheus", source, "--grafana", str(grafana)]
    with (
        running(command, ready_url=f"http://{address}/healthz", exits_with=0),
        httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60) as client,
    ):
        yield client
