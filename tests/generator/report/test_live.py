"""The three reports of models that run: some with a sidecar, one on vLLM, all with real rules."""

from __future__ import annotations

import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.quantity import Duration
from contract.read import read_spec
from contract.spec import Spec
from generator.doctor.ask import Prometheus
from generator.queries.slo_events import counts_step
from generator.report.ask import Progress
from generator.report.figures import Kind, ModelReport
from generator.report.gather import gather
from generator.report.pages import page_of
from generator.report.period import read_period
from generator.report.text import render_text
from tests.live_models import SCALE, live_models
from tests.processes import eventually

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spec]:
    """Twenty times faster than models.yaml says: requests are counted every 15 seconds."""
    folder: Path = tmp_path_factory.mktemp("live")
    with live_models(folder):
        yield read_spec(folder / "models.yaml", time_scale=SCALE)


def models(spec: Spec, kind: Kind) -> dict[str, ModelReport]:
    now = time.time()
    period = read_period(
        "3m",
        None,
        now=now,
        zone=zoneinfo.ZoneInfo("UTC"),
        usual=Duration.parse("30d"),
        shortest=counts_step(spec),
    )
    with Prometheus(spec) as prometheus:
        report = gather(
            spec,
            kind,
            [model.name for model in spec.models],
            period,
            prometheus,
            now=now,
            progress=Progress(shown=False),
        )
    assert "nan" not in render_text(page_of(report)).lower()
    # Of two versions the first.
    return {model.name: model for model in reversed(report.models)}


def test_promises_are_judged_whatever_serves_the_model(live: Spec) -> None:
    def told() -> dict[str, ModelReport] | None:
        found = models(live, "sla")
        judged = all(one.sla and one.sla.verdict != "no_data" for one in found.values())
        return found if judged and (found["chat"].traffic.requests or 0) > 0 else None

    found = eventually(told, seconds=120, says="not every model has requests")
    # A fifth of the sidecar's requests fail, of a promise of 99.9%.
    churn = found["churn"]
    assert churn.sla
    promises = {promise.objective: promise for promise in churn.sla.promises}
    assert promises["availability"].verdict == "broken"
    assert promises["availability"].achieved_ratio == pytest.approx(0.8, abs=0.05)
    assert promises["latency_50ms"].events == pytest.approx(churn.traffic.requests, rel=0.1)
    assert churn.coverage.first is not None


def test_latency_and_throughput_are_told_of_every_runtime(live: Spec) -> None:
    def told() -> dict[str, ModelReport] | None:
        found = models(live, "performance")
        known = all(
            one.performance and one.performance.latency.p99_seconds for one in found.values()
        )
        return found if known else None

    found = eventually(told, seconds=120, says="not every model has a latency")
    churn = found["churn"].performance
    assert churn
    # Exponentially distributed, with a mean of 20 ms: the median is ln 2 of it.
    assert churn.latency.mean_seconds == pytest.approx(0.02, rel=0.25)
    assert churn.latency.p50_seconds == pytest.approx(0.0139, rel=0.4)
    names = {measure.name for measure in churn.measures}
    assert {"throughput_requests_per_second", "error_ratio", "latency_mean_seconds"} <= names
    chat = found["chat"].performance
    assert chat
    assert "generated_tokens_per_second" in {measure.name for measure in chat.measures}


def test_drift_and_quality_are_told_of_a_classifier_and_a_regressor(live: Spec) -> None:
    def told() -> dict[str, ModelReport] | None:
        found = models(live, "drift")
        known = {name for name, one in found.items() if one.drift and one.drift.quality}
        return found if {"churn", "price"} <= known else None

    found = eventually(told, seconds=120, says="no quality yet")
    churn, price, chat = (found[name].drift for name in ("churn", "price", "chat"))
    assert churn
    assert price
    assert chat
    # Ages are ten years above the profile's: plans are as they were.
    scores = {one.feature: one for one in churn.features}
    assert scores["age"].score_last > scores["plan"].score_last
    assert scores["age"].threshold_warning == 0.1
    [accuracy] = [one for one in churn.quality if one.metric == "accuracy"]
    assert accuracy.promised_min == pytest.approx(0.1)
    assert accuracy.interval_lower is not None
    # Coins are right half of the time.
    assert accuracy.period_value == pytest.approx(0.5, abs=0.15)
    assert {"mae", "rmse"} <= {one.metric for one in price.quality}
    assert chat.features == []
