"""Business events and a model's own metrics: what models.yaml declares, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from contract.spec import BusinessRatio, CustomMetric, Model
from exporters.sidecar.declared import Declared, custom_metric
from exporters.sidecar.event import BusinessEvent, Measurement
from tests.exporters.sidecar.serving import Sidecar

BUSINESS = {
    "an event counts once": ({"event": "click"}, {'ml_business_events_total{event="click"}': 1}),
    "an event counts as often as it says": (
        {"event": "impression", "count": 40},
        {'ml_business_events_total{event="impression"}': 40},
    ),
    "an event of no ratio is other": (
        {"event": "purchase"},
        {'ml_business_events_total{event="other"}': 1},
    ),
}


@pytest.mark.parametrize(("event", "expected"), BUSINESS.values(), ids=BUSINESS)
def test_business_events_are_counted(
    sidecar: Sidecar, event: dict[str, Any], expected: dict[str, float]
) -> None:
    with sidecar.changes() as changed:
        body = {"model_name": "mail", "model_version": "1", **event}
        assert sidecar.post("/v1/business", body).json()["accepted"] == 1
    assert changed == {**expected, 'ml_sidecar_events_total{result="accepted"}': 1}


METRICS = {
    "a counter grows by what is sent": (
        {"metric": "retries", "value": 3, "labels": {"cause": "timeout"}},
        {'ml_custom_retries_total{cause="timeout"}': 3},
    ),
    "a value of a label that is not declared is other": (
        {"metric": "retries", "value": 1, "labels": {"cause": "moon"}},
        {'ml_custom_retries_total{cause="other"}': 1},
    ),
}


@pytest.mark.parametrize(("sent", "expected"), METRICS.values(), ids=METRICS)
def test_own_counters_grow(
    sidecar: Sidecar, sent: dict[str, Any], expected: dict[str, float]
) -> None:
    with sidecar.changes() as changed:
        body = {"model_name": "mail", "model_version": "1", **sent}
        assert sidecar.post("/v1/metrics", body).json()["accepted"] == 1
    assert changed == {**expected, 'ml_sidecar_events_total{result="accepted"}': 1}


def test_an_own_gauge_is_what_it_was_last_told(sidecar: Sidecar) -> None:
    name = 'ml_custom_cache_entries{model_name="mail",model_version="1"}'
    assert name not in sidecar.samples()
    for value in (7, -3.5):
        body = {"model_name": "mail", "model_version": "1", "metric": "cache_entries"}
        sidecar.post("/v1/metrics", [{**body, "value": value}])
        assert sidecar.samples()[name] == value


REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a metric that is not declared": (
        "metrics",
        {"metric": "cash_entries", "value": 1},
        "metric",
        "declared: cache_entries, retries",
    ),
    "a label that is not declared": (
        "metrics",
        {"metric": "cache_entries", "value": 1, "labels": {"a": "b"}},
        "labels",
        "just those of models.yaml: none",
    ),
    "a label that is missing": (
        "metrics",
        {"metric": "retries", "value": 1},
        "labels",
        "just those of models.yaml: cause",
    ),
    "a counter that shrinks": (
        "metrics",
        {"metric": "retries", "value": -1, "labels": {"cause": "reset"}},
        "value",
        "0 or more for a counter",
    ),
    "a value that is no number": (
        "metrics",
        {"metric": "cache_entries", "value": "many"},
        "value",
        "a number",
    ),
    "no event": ("business", {}, "event", "is missing"),
    "a count of 0": ("business", {"event": "click", "count": 0}, "count", "1 or more"),
    "a model without ratios": (
        "business",
        {"model_version": "2", "event": "click"},
        "event",
        "no ratio of this model",
    ),
    "a model that nobody knows": (
        "business",
        {"model_name": "nobody", "event": "click"},
        "model_name",
        "no model is called",
    ),
}


@pytest.mark.parametrize(("path", "body", "field", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_declared_is_refused_with_a_reason(
    sidecar: Sidecar, path: str, body: dict[str, Any], field: str, message: str
) -> None:
    good = {"model_name": "mail", "model_version": "1"}
    with sidecar.changes() as changed:
        answer = sidecar.post(f"/v1/{path}", good | body)
    assert answer.status_code == (404 if field == "model_name" else 400)
    [error] = answer.json()["errors"]
    assert (error["index"], error["field"]) == (0, field)
    assert message in error["message"]
    assert set(changed) == {
        'ml_sidecar_events_total{result="rejected"}',
        f'ml_sidecar_rejected_total{{reason="{"model" if field == "model_name" else "field"}"}}',
    }


NAMES = {
    "a gauge": ({"type": "gauge"}, "ml_custom_queue"),
    "a counter": ({"type": "counter"}, "ml_custom_queue_total"),
    "a gauge with a unit": ({"type": "gauge", "unit": "bytes"}, "ml_custom_queue_bytes"),
    "a counter with a unit": (
        {"type": "counter", "unit": "seconds"},
        "ml_custom_queue_seconds_total",
    ),
}


@pytest.mark.parametrize(("given", "name"), NAMES.values(), ids=NAMES)
def test_unit_and_type_are_in_the_name(given: dict[str, Any], name: str) -> None:
    assert custom_metric(CustomMetric(name="queue", help="-", **given)).name == name


def test_a_new_models_yaml_keeps_what_is_still_declared() -> None:
    def model(*ratios: BusinessRatio, metrics: tuple[CustomMetric, ...] = ()) -> Model:
        return Model(name="a", version="1", task="regression", business=ratios, metrics=metrics)

    ctr = BusinessRatio(name="ctr", numerator="click", denominator="impression")
    retries = CustomMetric(name="retries", type="counter", help="-")
    declared = Declared(model(ctr, metrics=(retries,)))
    declared.take_event(BusinessEvent("a", "click", count=5))
    declared.take(Measurement("a", "retries", 2.0))
    more = BusinessRatio(name="sales", numerator="sale", denominator="click")
    declared.follow(model(more, metrics=(retries,)))
    assert {line.labels[2]: count for line, count in declared.events()} == {
        "sale": 0,
        "click": 5,
        "other": 0,
    }
    [(_, samples)] = declared.measured()
    assert [value for _, value in samples] == [2.0]
