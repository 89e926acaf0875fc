"""Prediction events over real HTTP: what each changes, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.exporters.sidecar.serving import Sidecar, model_of

ACCEPTED = 'ml_sidecar_events_total{result="accepted"}'
REJECTED = 'ml_sidecar_events_total{result="rejected"}'
SUCCESS = 'ml_inference_requests_total{status="success"}'
MISSING = 'ml_feature_missing_total{feature_name="%s"}'
ALL_FEATURES = {"length": 20.5, "links": 3, "sender": "de", "reply": True}
COUNTED = {
    'ml_feature_value_count{feature_name="length"}': 1,
    'ml_feature_value_sum{feature_name="length"}': 20.5,
    'ml_feature_value_count{feature_name="links"}': 1,
    'ml_feature_category_total{feature_name="sender",category="de"}': 1,
    'ml_feature_category_total{feature_name="reply",category="true"}': 1,
}
Changes = dict[str, float]

TAKEN: dict[str, tuple[dict[str, Any], Changes]] = {
    "a name is enough": ({}, {}),
    "all features are counted in their bins": ({"features": ALL_FEATURES}, COUNTED),
    "absent and null features are missing": (
        {"features": {"length": None, "sender": "fr"}},
        {
            MISSING % "length": 1,
            MISSING % "links": 1,
            MISSING % "reply": 1,
            'ml_feature_category_total{feature_name="sender",category="fr"}': 1,
        },
    ),
    "an event without features has none missing": ({"prediction": "ham"}, {
        'ml_prediction_class_total{predicted_class="ham"}': 1,
    }),
    "values of the wrong type are invalid, and not missing": (
        {"features": {**ALL_FEATURES, "length": "20.5", "links": True}},
        {
            'ml_feature_invalid_total{feature_name="length",reason="type"}': 1,
            'ml_feature_invalid_total{feature_name="links",reason="type"}': 1,
            **{key: value for key, value in COUNTED.items() if "category" in key},
        },
    ),
    "numbers whose sums would overflow are invalid": (
        {"features": {**ALL_FEATURES, "length": 1e300, "links": -(10**300)}},
        {
            'ml_feature_invalid_total{feature_name="length",reason="type"}': 1,
            'ml_feature_invalid_total{feature_name="links",reason="type"}': 1,
            **{key: value for key, value in COUNTED.items() if "category" in key},
        },
    ),
    "a new category is other, and invalid": (
        {"features": {**ALL_FEATURES, "sender": "uk"}},
        {
            **{key: value for key, value in COUNTED.items() if '"de"' not in key},
            'ml_feature_category_total{feature_name="sender",category="other"}': 1,
            'ml_feature_invalid_total{feature_name="sender",reason="category"}': 1,
        },
    ),
    "a class that the profile does not know is other": (
        {"prediction": "eggs"}, {'ml_prediction_class_total{predicted_class="other"}': 1}
    ),
    "probabilities choose the likeliest class, and give the confidence": (
        {"prediction": [0.25, 0.75]},
        {
            'ml_prediction_class_total{predicted_class="spam"}': 1,
            "ml_prediction_confidence_count": 1,
            "ml_prediction_confidence_sum": 0.75,
        },
    ),
    "a confidence of its own goes before that of the probabilities": (
        {"prediction": [0.9, 0.1], "confidence": 0.5},
        {
            'ml_prediction_class_total{predicted_class="ham"}': 1,
            "ml_prediction_confidence_count": 1,
            "ml_prediction_confidence_sum": 0.5,
        },
    ),
    "latency, stages and batch size are histograms": (
        {
            "latency_seconds": 0.2,
            "batch_size": 8,
            "stages": {"preprocess": 0.05, "inference": 0.1, "tokenize": 0.03, "rank": 0.02},
        },
        {
            "ml_inference_latency_seconds_count": 1,
            "ml_inference_latency_seconds_sum": 0.2,
            "ml_inference_batch_size_count": 1,
            "ml_inference_batch_size_sum": 8,
            'ml_inference_stage_latency_seconds_count{stage="preprocess"}': 1,
            'ml_inference_stage_latency_seconds_sum{stage="preprocess"}': 0.05,
            'ml_inference_stage_latency_seconds_count{stage="inference"}': 1,
            'ml_inference_stage_latency_seconds_sum{stage="inference"}': 0.1,
            'ml_inference_stage_latency_seconds_count{stage="other"}': 2,
            'ml_inference_stage_latency_seconds_sum{stage="other"}': 0.05,
        },
    ),
    "an actual class in the event is a label": (
        {"prediction": "ham", "actual": "spam"},
        {
            'ml_prediction_class_total{predicted_class="ham"}': 1,
            'ml_labels_total{result="matched"}': 1,
            'ml_outcomes_total{predicted_class="ham",actual_class="spam"}': 1,
            "ml_label_delay_seconds_count": 1,
        },
    ),
    "an actual class without a prediction matches nothing": (
        {"actual": "spam"}, {'ml_labels_total{result="unmatched"}': 1}
    ),
    "what a model does not count is taken too": (
        {
            "timestamp": "2026-10-01T12:00:00.5+02:00",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "metadata": {"any": ["thing"]},
        },
        {},
    ),
    "a time is RFC 3339 or Unix seconds": ({"timestamp": 1790000000.25}, {}),
    "a field that is not known is ignored": ({"latency": 12}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), TAKEN.values(), ids=TAKEN)
def test_an_event_is_counted(sidecar: Sidecar, fields: dict[str, Any], expected: Changes) -> None:
    event = {"model_name": "mail", "model_version": "1", **fields}
    with sidecar.changes() as changed:
        response = sidecar.predict(event)
    assert response.json() == {"accepted": 1, "rejected": 0, "errors": []}
    assert response.status_code == 200
    assert changed == {ACCEPTED: 1, SUCCESS: 1, **expected}


def test_a_failed_event_counts_with_its_latency_alone(sidecar: Sidecar) -> None:
    events = [
        {"model_name": "mail", "status": "error", "latency_seconds": 0.5},
        {"model_name": "mail", "status": "rejected"},
    ]
    with sidecar.changes() as changed:
        assert sidecar.predict(events).status_code == 200
    assert changed == {
        ACCEPTED: 2,
        'ml_inference_requests_total{status="error"}': 1,
        'ml_inference_requests_total{status="rejected"}': 1,
        "ml_inference_latency_seconds_count": 1,
        "ml_inference_latency_seconds_sum": 0.5,
    }


def test_a_regressor_counts_values(sidecar: Sidecar) -> None:
    event = {"model_name": "price", "features": {"area": 50}, "prediction": 480, "actual": 500}
    with sidecar.changes() as changed:
        assert sidecar.predict(event).status_code == 200
    assert changed == {
        ACCEPTED: 1,
        SUCCESS: 1,
        'ml_feature_value_count{feature_name="area"}': 1,
        'ml_feature_value_sum{feature_name="area"}': 50,
        "ml_prediction_value_count": 1,
        "ml_prediction_value_sum": 480,
        'ml_labels_total{result="matched"}': 1,
        "ml_label_delay_seconds_count": 1,
        'ml_actual_total{sign="positive"}': 500,
        "ml_squared_actual_total": 250_000,
        "ml_absolute_error_total": 20,
        "ml_squared_error_total": 400,
        "ml_quartic_error_total": 160_000,
        'ml_signed_error_total{sign="negative"}': 20,
        "ml_error_samples_total": 1,
    }


def test_a_model_without_a_profile_counts_what_it_can(sidecar: Sidecar) -> None:
    events = [
        {"model_name": "plain", "prediction": [0.1, 0.2, 0.7], "features": {"x": 1}, "actual": "a"},
        {"model_name": "plain-number", "prediction": 3, "actual": 5},
    ]
    with sidecar.changes() as changed:
        assert sidecar.predict(events).status_code == 200
    notes = {model["model_name"]: model["notes"] for model in sidecar.status()["models"]}
    assert changed == {
        ACCEPTED: 2,
        SUCCESS: 1,
        'ml_prediction_class_total{predicted_class="other"}': 1,
        "ml_prediction_confidence_count": 1,
        "ml_prediction_confidence_sum": 0.7,
        'ml_labels_total{result="matched"}': 1,
        "ml_label_delay_seconds_count": 1,
        'ml_actual_total{sign="positive"}': 5,
        "ml_squared_actual_total": 25,
        "ml_absolute_error_total": 2,
        "ml_squared_error_total": 4,
        "ml_quartic_error_total": 16,
        'ml_signed_error_total{sign="negative"}': 2,
        "ml_error_samples_total": 1,
    }
    assert notes["plain"] == [
        "no profile: features are not counted",
        "no profile: all classes count as other, and outcomes are not counted",
    ]
    assert notes["mail"] == []


def test_without_a_version_the_last_one_of_the_file_counts(sidecar: Sidecar) -> None:
    before = sidecar.samples()
    sidecar.predict([{"model_name": "mail"}, {"model_name": "price"}])
    changed = [line for line, value in sidecar.samples().items() if before[line] != value]
    assert model_of(changed, "ml_inference_requests_total") == ["mail 2", "price 7"]


GOOD = {"model_name": "mail"}
BODIES: dict[str, tuple[bytes | str, str, int]] = {
    "an object": (json.dumps(GOOD), "application/json", 1),
    "a list": (json.dumps([GOOD, GOOD]), "application/json", 2),
    "lines": (f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}\n", "application/x-ndjson", 2),
    "lines with empty ones": (f"\n{json.dumps(GOOD)}\r\n\n{json.dumps(GOOD)}\n\n",
                              "application/x-ndjson; charset=utf-8", 2),
    "lines by another name": (f"{json.dumps(GOOD)}\n" * 3, "application/x-www-form-urlencoded", 3),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "application/json", 1),
    "NaN, as Python's json writes it": (
        '[{"model_name": "mail", "features": {"length": NaN}, "confidence": NaN}]',
        "application/json", 1,
    ),
    "Infinity in a feature": (
        '{"model_name": "mail", "features": {"length": -Infinity, "x": "NaN"}}',
        "application/json", 1,
    ),
    "a number too large for a float": (
        '{"model_name": "mail", "features": {"length": 1e999, "links": %s}}' % ("9" * 6000),
        "application/json", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kind", "accepted"), BODIES.values(), ids=BODIES)
def test_a_body_may_be(sidecar: Sidecar, body: bytes | str, kind: str, accepted: int) -> None:
    response = sidecar.predict(body, kind)
    assert response.json() == {"accepted": accepted, "rejected": 0, "errors": []}
    assert response.status_code == 200


def test_infinite_features_are_invalid(sidecar: Sidecar) -> None:
    body = '{"model_name": "price", "features": {"area": Infinity}, "metadata": {"s": "Infinity"}}'
    with sidecar.changes() as changed:
        sidecar.predict(body)
    assert changed == {
        ACCEPTED: 1,
        SUCCESS: 1,
        'ml_feature_invalid_total{feature_name="area",reason="type"}': 1,
    }


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "a name is needed": ({"model_name": None}, {"model_name": "should be text, got null"}),
    "a version is text": ({"model_version": 1}, {"model_version": "should be text, got 1"}),
    "features are an object": (
        {"features": [1]}, {"features": "should be an object of names and values, got a list"}
    ),
    "a feature is one value": (
        {"features": {"length": [1], "links": {}, "sender": "de"}},
        {
            "features.length": "should be a number, text, true, false or null, got a list",
            "features.links": "should be a number, text, true, false or null, got an object",
        },
    ),
    "a confidence is from 0 to 1": (
        {"confidence": 1.5}, {"confidence": "should be a number from 0 to 1, got 1.5"}
    ),
    "probabilities are from 0 to 1": (
        {"prediction": [0.5, -0.5]},
        {"prediction[1]": "should be a probability from 0 to 1, got -0.5"},
    ),
    "there is a probability for every class": (
        {"prediction": [0.5]},
        {
            "prediction": "should hold one probability for each of the 2 classes (ham, spam), "
            "got 1"
        },
    ),
    "an empty list is no prediction": (
        {"prediction": []},
        {"prediction": "should be a number, text, true, false or a list of class probabilities, "
         "got a list"},
    ),
    "a latency is not negative": (
        {"latency_seconds": -1},
        {"latency_seconds": "should be a number of seconds, 0 or more, got -1"},
    ),
    "a latency is finite": (
        {"latency_seconds": 10**400},
        {"latency_seconds": "should be a number of seconds, 0 or more, got 1" + 58 * "0" + "…"},
    ),
    "a stage takes seconds": (
        {"stages": {"preprocess": "fast"}},
        {"stages.preprocess": 'should be a number of seconds, 0 or more, got "fast"'},
    ),
    "a status is one of three": (
        {"status": "ok"}, {"status": 'should be success, error or rejected, got "ok"'}
    ),
    "a batch size is whole": (
        {"batch_size": 1.5}, {"batch_size": "should be a whole number, 1 or more, got 1.5"}
    ),
    "an id is not endless": (
        {"prediction_id": "x" * 201},
        {"prediction_id": 'should be text of 1 to 200 characters, got "' + 58 * "x" + "…"},
    ),
    "a time has a zone": (
        {"timestamp": "2026-10-01T12:00:00"},
        {
            "timestamp": "should be RFC 3339 text with a zone (2026-10-01T12:00:00Z) or Unix "
            'seconds, got "2026-10-01T12:00:00"'
        },
    ),
    "every problem is told": (
        {"status": 1, "confidence": "high"},
        {
            "confidence": 'should be a number from 0 to 1, got "high"',
            "status": "should be success, error or rejected, got 1",
        },
    ),
    "a regressor predicts a number": (
        {"model_name": "price", "prediction": "much", "actual": True},
        {
            "prediction": 'should be a number, since the model is a regression, got "much"',
            "actual": "should be a number, since the model is a regression, got true",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "errors"), REFUSED.values(), ids=REFUSED)
def test_a_refused_event_changes_nothing_else(
    sidecar: Sidecar, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    event = {"model_name": "mail", "features": ALL_FEATURES, "prediction_id": "x", **fields}
    with sidecar.changes() as changed:
        response = sidecar.predict(event)
    assert response.status_code == 400
    assert response.json() == {
        "accepted": 0,
        "rejected": 1,
        "errors": [
            {"index": 0, "field": name, "message": message} for name, message in errors.items()
        ],
    }
    assert changed == {REJECTED: 1, 'ml_sidecar_rejected_total{reason="field"}': 1}


DEEP = '{"model_name": "mail", "metadata": ' + '{"a":' * 5000 + "1" + "}" * 5001
UNREADABLE: dict[str, tuple[bytes | str, str]] = {
    "text": ("hello", "the body is not JSON: "),
    "half an object": ('{"model_name": "mail"', "the body is not JSON: "),
    "half a list": ('[{"model_name": 5}, {', "the body is not JSON: "),
    "nothing": ("", "the body is empty"),
    "an empty list": ("[]", "the body holds no event"),
    "half a surrogate pair": ('{"model_name": "\\ud800"}', "the body is not JSON: "),
    "no UTF-8": (b'{"model_name": "\xff"}', "the body is not JSON: "),
    "nesting without end": ("[" * 100_000, "the body is nested too deeply"),
    "nesting inside an event": (
        DEEP,
        "the body is nested too deeply",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_cannot_be_read_is_refused(
    sidecar: Sidecar, body: bytes | str, message: str
) -> None:
    with sidecar.changes() as changed:
        response = sidecar.predict(body)
    assert response.status_code == 400
    answer = response.json()
    [error] = answer["errors"]
    assert (answer["accepted"], answer["rejected"]) == (0, None)
    assert (error["index"], error["field"]) == (None, "")
    assert error["message"].startswith(message)
    assert changed == {REJECTED: 1, 'ml_sidecar_rejected_total{reason="decode"}': 1}


LINES = {
    "half an object": ('{"model', "is not JSON: "),
    "two objects": ("{} {}", "is not JSON: "),
    "nesting without end": (DEEP, "is nested too deeply"),
}


def test_something_that_is_no_event_is_refused_alone(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        response = sidecar.predict([GOOD, 5, None, {}, {"model_name": "nobody"}, GOOD])
    assert response.status_code == 200
    assert response.json() == {
        "accepted": 2,
        "rejected": 4,
        "errors": [
            {"index": 1, "field": "", "message": "should be a JSON object, got 5"},
            {"index": 2, "field": "", "message": "should be a JSON object, got null"},
            {"index": 3, "field": "model_name", "message": "is missing; it should be text"},
            {
                "index": 4,
                "field": "model_name",
                "message": 'no model is called "nobody"; known: mail, price, plain, plain-number',
            },
        ],
    }
    assert changed == {
        ACCEPTED: 2,
        SUCCESS: 2,
        REJECTED: 4,
        'ml_sidecar_rejected_total{reason="field"}': 3,
        'ml_sidecar_rejected_total{reason="model"}': 1,
    }


@pytest.mark.parametrize(("line", "message"), LINES.values(), ids=LINES)
def test_a_line_that_is_no_json_is_refused_alone(sidecar: Sidecar, line: str, message: str) -> None:
    good = json.dumps(GOOD)
    response = sidecar.predict(f"{good}\n{line}\n{good}\n", "application/x-ndjson")
    assert response.status_code == 200
    assert response.json()["accepted"] == 2
    [error] = response.json()["errors"]
    assert (error["index"], error["field"]) == (1, "")
    assert error["message"].startswith(message)


UNKNOWN = {
    "a model": ({"model_name": "nobody"}, "model_name", "no model is called ", {}),
    "a version": (
        {"model_name": "mail", "model_version": "9"},
        "model_version",
        'no version "9" of mail; known: 1, 2',
        {'ml_unregistered_version_events_total{unregistered_version="9"}': 1},
    ),
}


@pytest.mark.parametrize(("event", "field", "message", "more"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_one_is_not_found(
    sidecar: Sidecar, event: dict[str, Any], field: str, message: str, more: dict[str, float]
) -> None:
    with sidecar.changes() as changed:
        response = sidecar.predict(event)
    [error] = response.json()["errors"]
    assert response.status_code == 404
    assert error["field"] == field
    assert error["message"].startswith(message)
    assert changed == {REJECTED: 1, 'ml_sidecar_rejected_total{reason="model"}': 1, **more}


def test_an_answer_names_a_hundred_errors_and_counts_all(sidecar: Sidecar) -> None:
    response = sidecar.predict([{}] * 250)
    assert response.status_code == 400
    assert response.json()["rejected"] == 250
    assert len(response.json()["errors"]) == 100


def test_a_body_that_says_it_is_too_large_is_not_read(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        response = sidecar.predict(b" " * (10 * 10**6 + 1))
    assert response.status_code == 413
    assert "larger than 10000000 bytes" in response.json()["errors"][0]["message"]
    assert changed == {REJECTED: 1, 'ml_sidecar_rejected_total{reason="size"}': 1}


def test_a_body_without_a_length_is_read_up_to_the_limit(sidecar: Sidecar) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 200 * 1024 * 1024:
            sent += 65536
            yield b" " * 65536

    try:
        status = sidecar.client.post(sidecar.url + "/v1/predictions", content=endless()).status_code
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        status = 413  # the sidecar hung up before the client looked at its answer
    assert status == 413
    assert sent < 100 * 1024 * 1024


def test_too_many_events_are_refused(sidecar: Sidecar) -> None:
    response = sidecar.predict(b'{"model_name":"mail"}\n' * 20_001, "application/x-ndjson")
    assert response.status_code == 413
    assert response.json()["errors"][0]["message"] == (
        "the body holds 20001 events; send at most 20000 at once"
    )
