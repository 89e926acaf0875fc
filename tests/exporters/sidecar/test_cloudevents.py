"""KServe's inference logger: what it sends, in every mode, becomes predictions."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.read import read_spec
from exporters.sidecar.cloudevents import CloudEvent, CloudEvents
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.proxy.observe import Observer
from tests.exporters.sidecar.serving import Sidecar, classifier_profile, write_spec

ROW = {"length": 12.5, "links": 3, "sender": "de", "reply": True}
V1_REQUEST, V1_RESPONSE = {"instances": [ROW]}, {"predictions": ["spam"]}
V2_REQUEST = {
    "inputs": [
        {"name": "length", "shape": [2], "datatype": "FP64", "data": [1, 2]},
        {"name": "sender", "shape": [2], "datatype": "BYTES", "data": ["de", "fr"]},
    ]
}
V2_RESPONSE = {
    "model_name": "mail",
    "outputs": [{"name": "predict", "shape": [2], "datatype": "BYTES", "data": ["ham", "spam"]}],
}

TYPE = "org.kubeflow.serving.inference."
PATH = "/v1/cloudevents"
SUCCESS = 'ml_inference_requests_total{status="success"}'


def attributes(what: str, identity: str, **more: str) -> dict[str, str]:
    return {
        "specversion": "1.0",
        "id": identity,
        "type": TYPE + what,
        "source": "http://localhost:9081/",
        "inferenceservicename": "mail",
        "namespace": "default",
        **more,
    }


def binary(sidecar: Sidecar, what: str, identity: str, body: Any, **more: str) -> httpx.Response:
    headers = {
        f"Ce-{name.title()}": value for name, value in attributes(what, identity, **more).items()
    }
    headers["Content-Type"] = "application/json"
    return sidecar.client.post(sidecar.url + PATH, json=body, headers=headers)


def structured(sidecar: Sidecar, found: Any, kind: str = "cloudevents") -> httpx.Response:
    return sidecar.post(PATH, json.dumps(found), f"application/{kind}+json; charset=utf-8")


def test_a_request_and_its_response_make_one_prediction(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        times = ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.25Z")
        first = binary(sidecar, "request", "a1", V1_REQUEST, time=times[0])
        assert (first.status_code, first.json()["accepted"]) == (200, 1)
        binary(sidecar, "response", "a1", V1_RESPONSE, time=times[1])
    assert changed[SUCCESS] == 1
    assert changed['ml_feature_value_sum{feature_name="length"}'] == 12.5
    assert changed['ml_prediction_class_total{predicted_class="spam"}'] == 1
    assert changed["ml_inference_latency_seconds_sum"] == 0.25
    assert changed['ml_cloudevents_total{result="joined"}'] == 1


def test_the_response_may_come_first(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        binary(sidecar, "response", "b1", V1_RESPONSE)
        binary(sidecar, "request", "b1", V1_REQUEST)
    assert changed[SUCCESS] == 1
    assert changed['ml_prediction_class_total{predicted_class="spam"}'] == 1


def test_a_request_that_is_delivered_twice_counts_once(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        for what, body in (("request", V1_REQUEST), ("request", V1_REQUEST)):
            binary(sidecar, what, "c1", body)
        binary(sidecar, "response", "c1", V1_RESPONSE)
    assert changed[SUCCESS] == 1


def test_tensors_are_read_row_by_row(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        binary(sidecar, "request", "d1", V2_REQUEST)
        binary(sidecar, "response", "d1", V2_RESPONSE)
    assert changed[SUCCESS] == 2
    assert changed["ml_inference_batch_size_sum"] == 2
    assert changed['ml_feature_value_sum{feature_name="length"}'] == 3
    assert changed['ml_prediction_class_total{predicted_class="ham"}'] == 1


STRUCTURED = {
    "data as JSON": lambda body: {"data": body, "datacontenttype": "application/json"},
    "data as text": lambda body: {"data": json.dumps(body)},
    "data in base64": lambda body: {
        "data_base64": base64.b64encode(json.dumps(body).encode()).decode()
    },
}


@pytest.mark.parametrize("wrap", STRUCTURED.values(), ids=STRUCTURED)
def test_structured_mode_says_the_same(sidecar: Sidecar, wrap: Any) -> None:
    with sidecar.changes() as changed:
        for what, body in (("request", V1_REQUEST), ("response", V1_RESPONSE)):
            identity = f"e{[*STRUCTURED.values()].index(wrap)}"
            answer = structured(sidecar, attributes(what, identity) | wrap(body))
            assert answer.status_code == 200, answer.text
    assert changed[SUCCESS] == 1
    assert changed['ml_feature_category_total{feature_name="sender",category="de"}'] == 1


def test_a_batch_holds_several_events(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        events = [
            attributes("request", "f1") | {"data": V1_REQUEST},
            attributes("response", "f1") | {"data": V1_RESPONSE},
            attributes("surprise", "f2"),
        ]
        answer = structured(sidecar, events, "cloudevents-batch").json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert (answer["errors"][0]["index"], answer["errors"][0]["field"]) == (2, "type")
    assert changed[SUCCESS] == 1
    assert changed['ml_cloudevents_total{result="rejected"}'] == 1


def test_a_label_finds_the_prediction_by_the_events_id(sidecar: Sidecar) -> None:
    binary(sidecar, "request", "g1", V1_REQUEST)
    binary(sidecar, "response", "g1", V1_RESPONSE)
    with sidecar.changes() as changed:
        sidecar.label({"model_name": "mail", "prediction_id": "g1", "actual": "ham"})
    assert changed['ml_labels_total{result="matched"}'] == 1


WRONG = {
    "no version": ({"specversion": ""}, "specversion"),
    "no id": ({"id": ""}, "id"),
    "an id that is too long": ({"id": "x" * 300}, "id"),
    "a type of others": ({"type": "com.example.sold"}, "type"),
}


@pytest.mark.parametrize(("more", "field"), WRONG.values(), ids=WRONG)
def test_a_wrong_event_is_refused_by_field(
    sidecar: Sidecar, more: dict[str, str], field: str
) -> None:
    answer = structured(sidecar, attributes("request", "h1") | more | {"data": V1_REQUEST})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"3"])
def test_a_body_that_is_no_event_is_refused(sidecar: Sidecar, body: bytes) -> None:
    for kind in ("application/cloudevents+json", "application/cloudevents-batch+json", "text/x"):
        assert sidecar.post(PATH, body, kind).status_code == 400


def test_an_unknown_model_is_refused_by_name(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        binary(sidecar, "request", "i1", V1_REQUEST, inferenceservicename="other")
        binary(sidecar, "response", "i1", V1_RESPONSE, inferenceservicename="other")
    assert changed['ml_sidecar_rejected_total{reason="model"}'] == 1


# Halves that stay alone: with a clock of our own


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def intake(tmp_path: Path) -> Intake:
    spec = read_spec(write_spec(tmp_path))
    return Intake([Layout.of(spec.models[0], classifier_profile())])


def half(identity: str, *, request: bool, data: Any = None) -> CloudEvent:
    body = data if data is not None else (V1_REQUEST if request else V1_RESPONSE)
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CloudEvent(identity, "mail", request, None, text, "application/json")


def statuses(intake: Intake) -> list[int]:
    """Successes, errors, rejections."""
    (tally,) = intake.tallies
    found: list[int] = tally.counts.statuses.tolist()
    return found


def test_a_request_alone_is_an_error_once_responses_were_seen(intake: Intake) -> None:
    clock = Clock()
    events = CloudEvents(Observer(intake), time_to_live=60, clock=clock)
    for identity in ("1", "2"):
        events.take(half(identity, request=True))
    events.take(half("1", request=False))
    clock.now = 61
    events.forget()
    assert statuses(intake) == [1, 1, 0]
    assert (events.results["joined"], events.results["unmatched"]) == (1, 1)
    assert events.waiting == 0


def test_a_logger_of_requests_only_makes_no_errors(intake: Intake) -> None:
    clock = Clock()
    events = CloudEvents(Observer(intake), time_to_live=60, clock=clock)
    events.take(half("1", request=True))
    clock.now = 61
    events.forget()
    assert statuses(intake) == [1, 0, 0]


def test_a_response_alone_still_counts_its_prediction(intake: Intake) -> None:
    clock = Clock()
    events = CloudEvents(Observer(intake), time_to_live=60, clock=clock)
    events.take(half("1", request=False))
    clock.now = 61
    events.forget()
    assert statuses(intake) == [1, 0, 0]
    assert intake.tallies[0].counts.classes.sum() == 1


def test_what_waits_is_bounded_by_number_and_by_size(intake: Intake) -> None:
    events = CloudEvents(Observer(intake), limit=5, bytes_limit=1000)
    for number in range(20):
        events.take(half(str(number), request=True))
    assert events.waiting == 5
    for number in range(20):
        events.take(half(f"large {number}", request=True, data=b"x" * 400))
    assert events.waiting == 2
    assert events.results["unmatched"] == 38
