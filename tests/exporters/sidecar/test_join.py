"""Labels over real HTTP, and how they find their predictions."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.exporters.sidecar.serving import MODELS, Sidecar, running_sidecar, write_spec
from tests.processes import eventually

ids = (f"join-{number}" for number in itertools.count())
MATCHED = 'ml_labels_total{result="matched"}'
DELAY = "ml_label_delay_seconds_sum"
UNMATCHED = 'ml_labels_total{result="unmatched"}'
DUPLICATE = 'ml_labels_total{result="duplicate"}'
ACCEPTED = 'ml_sidecar_events_total{result="accepted"}'
SUCCESS = 'ml_inference_requests_total{status="success"}'


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar whose labels wait for no more than a moment."""
    models = f"sidecar: {{log: {{label_wait: 100ms}}}}\n{MODELS}"
    with running_sidecar(write_spec(tmp_path_factory.mktemp("join"), models)) as started:
        yield started


def outcome(predicted: str, actual: str) -> str:
    return f'ml_outcomes_total{{predicted_class="{predicted}",actual_class="{actual}"}}'


def losses(wrong: float) -> dict[str, Any]:
    """What one score adds, off the truth by `wrong`."""
    terms = {"log": -math.log(1 - wrong), "squared": wrong**2}
    terms |= {"log_squared": terms["log"] ** 2, "quartic": wrong**4}
    return {
        f'ml_outcome_score_loss_total{{loss="{loss}"}}': pytest.approx(value)
        for loss, value in terms.items()
    }


def waits_no_more(sidecar: Sidecar) -> None:
    """Wait until no label waits for its prediction."""
    time.sleep(0.3)  # labels that have just come are noted every quarter of a second
    eventually(lambda: sidecar.status()["log"]["labels_waiting"] == 0)


def test_a_label_finds_its_prediction_once(sidecar: Sidecar) -> None:
    identity = next(ids)
    label = {"model_name": "mail", "prediction_id": identity, "actual": "spam"}
    sidecar.predict({"model_name": "mail", "prediction_id": identity, "prediction": "ham"})
    with sidecar.changes() as changed:
        assert sidecar.label([label, label]).json()["accepted"] == 2
    delay = changed.pop(DELAY)
    assert 0 < delay < 10
    assert changed == {
        MATCHED: 1,
        DUPLICATE: 1,
        outcome("ham", "spam"): 1,
        "ml_label_delay_seconds_count": 1,
        ACCEPTED: 2,
    }


def test_a_label_counts_for_the_version_that_predicted(sidecar: Sidecar) -> None:
    identity = next(ids)
    sidecar.predict(
        {"model_name": "mail", "model_version": "1", "prediction_id": identity, "prediction": "ham"}
    )
    sidecar.label({"model_name": "mail", "prediction_id": identity, "actual": "ham"})
    by_version = {
        model["model_version"]: model["labels"]["matched"]
        for model in sidecar.status()["models"]
        if model["model_name"] == "mail"
    }
    assert by_version["1"] == 1


def test_a_label_of_nothing_known_is_unmatched(sidecar: Sidecar) -> None:
    with sidecar.changes() as changed:
        sidecar.label({"model_name": "mail", "prediction_id": next(ids), "actual": "spam"})
        waits_no_more(sidecar)
    assert changed == {UNMATCHED: 1, ACCEPTED: 1}


def test_a_label_may_come_before_its_prediction(sidecar: Sidecar) -> None:
    identity = next(ids)
    with sidecar.changes() as changed:
        sidecar.label({"model_name": "mail", "prediction_id": identity, "actual": "spam"})
        sidecar.predict({"model_name": "mail", "prediction_id": identity, "prediction": "ham"})
    assert changed[MATCHED] == changed[outcome("ham", "spam")] == 1


def test_the_same_event_again_counts_nothing(sidecar: Sidecar) -> None:
    event = {"model_name": "mail", "prediction_id": next(ids), "prediction": "ham"}
    sidecar.predict([event, event])
    with sidecar.changes() as changed:
        assert sidecar.predict([event]).json()["accepted"] == 1
    assert changed == {"ml_sidecar_duplicates_total": 1, ACCEPTED: 1}


def test_scores_count_by_what_was_true(sidecar: Sidecar) -> None:
    identities = [next(ids), next(ids)]
    events = [
        {"model_name": "mail", "prediction_id": identities[0], "prediction": [0.2, 0.8]},
        {"model_name": "mail", "prediction_id": identities[1], "prediction": "ham",
         "confidence": 0.7},
    ]  # fmt: skip
    sidecar.predict(events)
    labels = [
        {"model_name": "mail", "prediction_id": identity, "actual": "spam"}
        for identity in identities
    ]
    with sidecar.changes() as changed:
        sidecar.label([*labels, {"model_name": "mail", "prediction": "ham", "score": 0.5,
                                 "actual": "ham"}])  # fmt: skip
    assert changed['ml_outcome_score_count{actual_class="spam"}'] == 2
    assert changed['ml_outcome_score_sum{actual_class="spam"}'] == pytest.approx(0.8 + 0.3)
    assert changed['ml_outcome_score_sum{actual_class="ham"}'] == 0.5


def test_a_label_that_comes_too_late_is_late(sidecar: Sidecar) -> None:
    identity = next(ids)
    event = {"model_name": "mail", "prediction_id": identity, "prediction": "ham"}
    sidecar.predict({**event, "timestamp": "2026-01-01T00:00:00Z"})
    label = {"model_name": "mail", "prediction_id": identity, "actual": "ham"}
    with sidecar.changes() as changed:
        sidecar.label({**label, "timestamp": "2026-01-08T00:00:01Z"})
    assert changed == {'ml_labels_total{result="late"}': 1, ACCEPTED: 1}


def test_a_label_with_its_prediction_needs_no_join(sidecar: Sidecar) -> None:
    identity = next(ids)
    label = {"model_name": "price", "actual": 10, "prediction": 13, "score": 0.5}
    with sidecar.changes() as changed:
        sidecar.label([label, {**label, "prediction_id": identity}])
        sidecar.label({**label, "prediction_id": identity})
    assert changed == {
        MATCHED: 2,
        DUPLICATE: 1,
        'ml_actual_total{sign="positive"}': 20,
        "ml_squared_actual_total": 200,
        "ml_absolute_error_total": 6,
        "ml_squared_error_total": 18,
        "ml_quartic_error_total": 162,
        'ml_signed_error_total{sign="positive"}': 6,
        "ml_error_samples_total": 2,
        ACCEPTED: 3,
    }


def test_probabilities_are_joined_as_their_class(sidecar: Sidecar) -> None:
    identity = next(ids)
    sidecar.predict({"model_name": "mail", "prediction_id": identity, "prediction": [0.2, 0.8]})
    with sidecar.changes() as changed:
        sidecar.label(
            [
                {"model_name": "mail", "prediction_id": identity, "actual": "ham"},
                {"model_name": "mail", "prediction": [0.9, 0.1], "actual": "eggs"},
            ]
        )
    assert changed.pop(DELAY) > 0
    assert changed == {
        MATCHED: 2,
        outcome("spam", "ham"): 1,
        outcome("ham", "other"): 1,
        "ml_label_delay_seconds_count": 1,
        'ml_outcome_score_count{actual_class="ham"}': 1,
        'ml_outcome_score_sum{actual_class="ham"}': 0.8,
        **losses(0.8),
        ACCEPTED: 2,
    }


def test_an_event_with_its_label_makes_another_one_a_duplicate(sidecar: Sidecar) -> None:
    identity = next(ids)
    event = {"model_name": "mail", "prediction_id": identity, "prediction": "ham", "actual": "ham"}
    label = {"model_name": "mail", "prediction_id": identity, "actual": "ham"}
    with sidecar.changes() as changed:
        sidecar.predict(event)
        sidecar.label(label)
    assert changed == {
        MATCHED: 1,
        DUPLICATE: 1,
        outcome("ham", "ham"): 1,
        'ml_prediction_class_total{predicted_class="ham"}': 1,
        "ml_label_delay_seconds_count": 1,
        SUCCESS: 1,
        ACCEPTED: 2,
    }


def test_an_event_without_a_prediction_waits_for_no_label(sidecar: Sidecar) -> None:
    identity = next(ids)
    sidecar.predict({"model_name": "mail", "prediction_id": identity, "status": "error"})
    with sidecar.changes() as changed:
        sidecar.label({"model_name": "mail", "prediction_id": identity, "actual": "ham"})
    assert changed == {UNMATCHED: 1, ACCEPTED: 1}


REFUSED: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "what is true is needed": (
        {"prediction_id": "x"}, 400,
        "actual", "is missing; it should be a number, text, true or false",
    ),
    "null is not true": (
        {"prediction_id": "x", "actual": None}, 400,
        "actual", "should be a number, text, true or false, got null",
    ),
    "a label belongs to something": (
        {"actual": "ham"}, 400,
        "prediction_id",
        "is missing; it should be text of 1 to 200 characters, or give prediction",
    ),
    "a regressor's label is a number": (
        {"model_name": "price", "prediction_id": "x", "actual": "much"}, 400,
        "actual", 'should be a number, since the model is a regression, got "much"',
    ),
    "its model is known": (
        {"model_name": "nobody", "prediction_id": "x", "actual": 1}, 404,
        "model_name", 'no model is called "nobody"; known: mail, price, plain, plain-number',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "field", "message"), REFUSED.values(), ids=REFUSED)
def test_a_refused_label_changes_nothing_else(
    sidecar: Sidecar, fields: dict[str, Any], status: int, field: str, message: str
) -> None:
    with sidecar.changes() as changed:
        response = sidecar.label({"model_name": "mail", **fields})
    assert response.status_code == status
    assert response.json()["errors"] == [{"index": 0, "field": field, "message": message}]
    reason = "model" if status == 404 else "field"
    assert changed == {
        'ml_sidecar_events_total{result="rejected"}': 1,
        f'ml_sidecar_rejected_total{{reason="{reason}"}}': 1,
    }
