"""The shortest possible detection, from windows and intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import catalog
from contract.quantity import Duration
from contract.read import read_spec
from gameday.environment import Environment
from gameday.reach import of_window, promised, until, until_certain
from gameday.rendered import Chain, NoChainError, Rendered

PROMETHEUS = """
global: {scrape_interval: 1s, evaluation_interval: 2s}
"""
ALERTMANAGER = """
route: {group_wait: 1s, group_interval: 10s}
"""
RULES = """
groups:
- name: traffic
  rules:
  - {record: "model:errors:rate5m", expr: "rate(ml_inference_requests_total[10s])"}
  - {record: "model:errors:ratio", expr: "model:errors:rate5m / 2"}
- name: hour
  interval: 4s
  rules:
  - {record: "model:errors:ratio1h", expr: "avg_over_time(model:errors:ratio[2m])"}
- name: drift
  rules:
  - {record: "model:drift", expr: "max(ml_feature_drift_score)"}
- name: alerts
  rules:
  - {alert: Fast, expr: "model:errors:ratio > 1", for: 4s, labels: {severity: critical}}
  - {alert: Slow, expr: "model:errors:ratio1h > 1", labels: {severity: critical}}
  - {alert: Drifted, expr: "model:drift > 1", for: 30s, labels: {severity: warning}}
"""


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    for name, text in (
        ("prometheus/generated/prometheus.yml", PROMETHEUS),
        ("prometheus/generated/rules/all.yml", RULES),
        ("alertmanager/generated/alertmanager.yml", ALERTMANAGER),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    models = tmp_path / "models.yaml"
    models.write_text("models: [{name: m, version: '1', task: regression}]\n")
    return Rendered(tmp_path, read_spec(models, time_scale=30))


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    made = Environment(tmp_path, time_scale=30, say=lambda _: None)
    made.started = time.monotonic() - 1000
    yield made
    made.close()


def test_a_chain_is_the_scrape_and_every_group_on_the_way(rendered: Rendered) -> None:
    # Half a second for the client, the scrape, and one group of two rules, in their order.
    fast = rendered.chain("Fast", "critical", catalog.INFERENCE_REQUESTS)
    assert fast == Chain(seen=3.5, evaluated=2.0, hold=4.0)
    slow = rendered.chain("Slow", "critical", catalog.INFERENCE_REQUESTS)
    assert slow == Chain(seen=7.5, evaluated=2.0, hold=0.0)


def test_what_the_drift_collector_judges_is_scraped_asked_and_scraped(rendered: Rendered) -> None:
    found = rendered.chain("Drifted", "warning", catalog.FEATURE_DRIFT_SCORE)
    assert found == Chain(seen=0.5 + 1 + 2 + 1 + 2, evaluated=2.0, hold=30.0)


@pytest.mark.parametrize(
    ("alert", "severity"), [("Fast", "warning"), ("Drifted", "warning"), ("None", "critical")]
)
def test_an_alert_that_does_not_read_a_metric_has_no_chain(
    rendered: Rendered, alert: str, severity: str
) -> None:
    with pytest.raises(NoChainError):
        rendered.chain(alert, severity, catalog.INFERENCE_REQUESTS)


def test_a_share_of_a_full_window_has_to_pass(environment: Environment) -> None:
    five = Duration.parse("5m")
    assert of_window(five, 0.5)(environment) == 5.0
    assert of_window(five)(environment) == 10.0


def test_a_window_that_still_fills_is_crossed_sooner(environment: Environment) -> None:
    environment.started = time.monotonic() - 20
    # Of 20 seconds of past, a fifth more that is bad is a sixth of all.
    assert of_window(Duration.parse("1h"), 1 / 6)(environment) == pytest.approx(4.0, abs=0.1)


def test_a_mean_crosses_its_threshold_on_the_way_to_what_it_becomes(
    environment: Environment,
) -> None:
    five = Duration.parse("5m")
    reach = until(five, "HighErrorRatio", "screening", becomes=0.5)
    assert promised(environment.spec, "HighErrorRatio", "screening") == 0.05
    assert reach(environment) == pytest.approx(1.0)


def test_what_must_be_certain_takes_longer_with_fewer_events(environment: Environment) -> None:
    def reach(events: float) -> float:
        hour = Duration.parse("1h")
        limit = lambda _: 0.1  # noqa: E731
        return until_certain(hour, limit, becomes=1.0, usually=0.0, events=events)(environment)

    assert 12.0 < reach(100.0) < reach(10.0) < reach(1.0) < math.inf


def test_a_promise_that_is_none_is_an_error(environment: Environment) -> None:
    with pytest.raises(LookupError, match="progression has no AccuracyDecay"):
        promised(environment.spec, "AccuracyDecay", "progression")
