"""What the sidecar does with versions that are not live: it counts whatever comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contract.read import read_spec
from exporters.sidecar.families import Exposition
from exporters.sidecar.intake import Intake
from exporters.sidecar.status import read_status
from exporters.sidecar.web import Web
from exporters.sidecar.wire import Answer
from tests.exporters.sidecar.serving import MODELS, write_spec
from tests.exporters.sidecar.test_rendered import exposed, layouts

EVENT: dict[str, Any] = {"model_name": "mail", "prediction": "ham"}
SECOND = 'version: "2"\n    task: binary_classification'


def of_state(state: str) -> str:
    """The models of tests, the second version of mail in another state."""
    return MODELS.replace(SECOND, f"{SECOND}\n    state: {state}")


def intake(folder: Path, state: str) -> Intake:
    own = layouts(folder, of_state(state))
    return Intake(own)


def post(intake: Intake, *events: dict[str, Any], path: str = "/v1/predictions") -> Answer:
    answer = Web(intake).directs()[path].answer(json.dumps(events).encode(), {})
    assert isinstance(answer, Answer)
    return answer


def counted(exposition: Exposition) -> dict[str, int]:
    """Successful requests of mail, by version."""
    head = 'ml_inference_requests_total{model_name="mail",model_version="'
    lines = exposed(exposition).decode().splitlines()
    return {
        line.removeprefix(head)[0]: int(float(line.rpartition(" ")[2]))
        for line in lines
        if line.startswith(head) and 'status="success"' in line
    }


def test_events_without_a_version_are_of_the_live_one(tmp_path: Path) -> None:
    for state, of in (("live", "2"), ("registered", "1"), ("retired", "1")):
        own = intake(tmp_path, state)
        assert post(own, EVENT).status == 200
        assert counted(Exposition(own))[of] == 1, state


def test_a_registered_version_is_exposed_from_the_start(tmp_path: Path) -> None:
    assert counted(Exposition(intake(tmp_path, "registered"))) == {"1": 0, "2": 0}


def test_a_retired_version_costs_no_series_until_something_comes_for_it(tmp_path: Path) -> None:
    own = intake(tmp_path, "retired")
    exposition = Exposition(own)
    assert b'model_version="2"' not in exposed(exposition)
    assert post(own, {**EVENT, "model_version": "2"}).status == 200
    assert counted(exposition) == {"1": 0, "2": 1}


def test_labels_that_come_after_a_version_was_retired_are_counted(tmp_path: Path) -> None:
    own = intake(tmp_path, "live")
    post(own, {**EVENT, "model_version": "2", "prediction_id": "a"})
    spec = read_spec(write_spec(tmp_path, of_state("retired")))
    own.follow(layouts(tmp_path, of_state("retired")), spec.sidecar.limits)
    label = {"model_name": "mail", "model_version": "2", "prediction_id": "a", "actual": "spam"}
    assert post(own, label, path="/v1/labels").status == 200
    wanted = (
        'ml_outcomes_total{model_name="mail",model_version="2",'
        'predicted_class="ham",actual_class="spam"} 1'
    )
    assert wanted in exposed(Exposition(own)).decode()


def test_business_events_wake_a_retired_version(tmp_path: Path) -> None:
    ratio = "\n    business: [{name: ctr, numerator: click, denominator: impression}]"
    models = of_state("retired").replace("state: retired", "state: retired" + ratio)
    own = Intake(layouts(tmp_path, models))
    event = {"model_name": "mail", "model_version": "2", "event": "click"}
    exposition = Exposition(own)
    series = b'ml_business_events_total{model_name="mail",model_version="2",event="click"}'
    assert series not in exposed(exposition)
    assert post(own, event, path="/v1/business").status == 200
    assert series + b" 1" in exposed(exposition)


def test_the_status_says_the_state(tmp_path: Path) -> None:
    states = {
        (model["model_name"], model["model_version"]): model["state"]
        for model in read_status(intake(tmp_path, "retired"))["models"]
    }
    assert (states["mail", "1"], states["mail", "2"]) == ("live", "retired")
