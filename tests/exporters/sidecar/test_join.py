"""Labels over real HTTP, and how they find their predictions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from exporters.sidecar.labels import Labels
from tests.exporters.sidecar.serving import Sidecar

ids = (f"join-{number}" for number in itertools.count())
MATCHED = 'ml_labels_total{result="matched"}'
UNMATCHED = 'ml_labels_total{result="unmatched"}'
DUPLICATE = 'ml_labels_total{result="duplicate"}'
ACCEPTED = 'ml_sidecar_events_total{result="accepted"}'
SUCCESS = 'ml_inference_requests_total{status="success"}'


def outcome(predicted: str, actual: str) -> str:
    return f'ml_outcomes_total{{predicted_class="{predicted}",actual_class="{actual}"}}'


def test_a_label_finds_its_prediction_once(sidecar: Sidecar) -> None:
    identity = next(ids)
    label = {"model_name": "mail", "prediction_id": identity, "actual": "spam"}
    sidecar.predict({"model_name": "mail", "prediction_id": identity, "prediction": "ham"})
    with sidecar.changes() as changed:
        assert sidecar.label([label, label]).json()["accepted"] == 2
    assert changed == {MATCHED: 1, DUPLICATE: 1, outcome("ham", "spam"): 1, ACCEPTED: 2}


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
    assert changed == {UNMATCHED: 1, ACCEPTED: 1}


def test_a_label_with_its_prediction_needs_no_join(sidecar: Sidecar) -> None:
    identity = next(ids)
    label = {"model_name": "price", "actual": 10, "prediction": 13, "score": 0.5}
    with sidecar.changes() as changed:
        sidecar.label([label, {**label, "prediction_id": identity}])
        sidecar.label({**label, "prediction_id": identity})
    assert changed == {
        MATCHED: 2,
        DUPLICATE: 1,
        "ml_absolute_error_total": 6,
        "ml_squared_error_total": 18,
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
    assert changed == {
        MATCHED: 2,
        outcome("spam", "ham"): 1,
        outcome("ham", "other"): 1,
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


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(labels: Labels, names: str) -> str:
    return "".join(name for name in names if labels.find(name))


def test_a_prediction_is_forgotten_at_the_end_of_its_time() -> None:
    clock = Clock()
    labels = Labels(time_to_live=10, clock=clock)
    labels.keep([("a", 0)], "1")
    clock.now = 6
    labels.keep([("b", 0)], "1")
    clock.now = 10
    assert (kept(labels, "ab"), labels.waiting, labels.forgotten) == ("b", 1, 1)


def test_the_oldest_predictions_go_when_there_are_too_many() -> None:
    labels = Labels(limit=3)
    labels.keep([(name, 0) for name in "abcde"], "1")
    assert (kept(labels, "abcde"), labels.waiting, labels.forgotten) == ("cde", 3, 2)


def test_labelled_predictions_are_remembered_and_do_not_count_as_forgotten() -> None:
    labels = Labels(limit=2)
    labels.keep([("a", 0)], "1")
    labels.mark("a", "1")
    labels.keep([("b", 0)], "1")
    assert (kept(labels, "ab"), labels.waiting) == ("ab", 1)
    labels.keep([("c", 0)], "1")
    assert (kept(labels, "abc"), labels.waiting, labels.forgotten) == ("bc", 2, 0)


def test_the_same_id_again_replaces_what_waits_but_not_what_is_labelled() -> None:
    labels = Labels()
    labels.keep([("a", 0), ("b", 0)], "1")
    labels.mark("b", "1")
    labels.keep([("a", 1), ("b", 1)], "2")
    a, b = labels.find("a"), labels.find("b")
    assert a is not None
    assert b is not None
    assert (a.version, a.prediction, b.version, b.labelled) == ("2", 1, "1", True)
    assert labels.waiting == 1
