"""The table of scenarios is whole: every alert is in it or has a reason, and names what exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.alerts import ALERTS
from contract.read import read_spec
from contract.spec import Spec
from gameday.environment import GPUS, MODELS, SITES, Environment
from gameday.rendered import Rendered
from gameday.scenario import Expected, Scenario, receiver_of
from gameday.scenarios import SCENARIOS, UNCOVERED
from generator.outputs import render
from generator.write import replace, stage

TIME_SCALE = 30.0

EVERY = [(scenario, expected) for scenario in SCENARIOS for expected in scenario.expects]
IDS = [f"{scenario.name}: {expected.alert} of {expected.model}" for scenario, expected in EVERY]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return read_spec(MODELS, time_scale=TIME_SCALE)


@pytest.fixture(scope="module")
def rendered(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    tree = tmp_path_factory.mktemp("tree")
    files = render(spec, ("prometheus", "alertmanager"), out=tree)
    with stage(tree, files) as staged:
        replace(tree, staged, files)
    return Rendered(tree, spec)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    made = Environment(tmp_path_factory.mktemp("data"), time_scale=TIME_SCALE, say=lambda _: None)
    made.started = -1000.0  # it has run for long
    yield made
    made.close()


def test_every_alert_is_covered_or_has_a_reason_why_not() -> None:
    covered = {expected.alert for _, expected in EVERY}
    assert covered | UNCOVERED.keys() == ALERTS.keys()
    assert covered & UNCOVERED.keys() == set()
    assert all(len(reason) > 20 for reason in UNCOVERED.values())


def test_every_scenario_has_a_name_of_its_own_and_something_to_expect() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    assert all(scenario.expects for scenario in SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_a_scenario_expects_and_implies_are_alerts_that_there_are(
    scenario: Scenario,
) -> None:
    for expected in scenario.expects:
        assert expected.severity in ALERTS[expected.alert].severities
        assert expected.model in {*GPUS, "none"}
    for implied in scenario.implied:
        assert implied.alert in ALERTS
        assert implied.why


@pytest.mark.parametrize(("scenario", "expected"), EVERY, ids=IDS)
def test_an_expected_alert_reads_what_the_failure_shows_in_and_takes_a_time_that_is_known(
    scenario: Scenario, expected: Expected, rendered: Rendered, environment: Environment
) -> None:
    chain = rendered.chain(expected.alert, expected.severity, expected.seen_in)
    possible = chain.seen + chain.evaluated + chain.hold + expected.reach(environment)
    assert 1.0 <= possible <= 300.0
    assert receiver_of(expected, environment.spec) in {*environment.spec.teams, "log"}


def test_the_sites_serve_the_models_of_models_yaml(spec: Spec) -> None:
    assert [model.name for model in spec.models] == list(GPUS)
    for site in SITES:
        for name in site.models:
            model = spec.model(name)
            assert model is not None
            assert model.serving.targets == (site.sidecar,)
            assert model.profile == f"../profiles/{site.models[name]}.json"


def test_the_models_are_of_different_teams_and_tasks_and_one_has_categories(spec: Spec) -> None:
    assert len({model.team for model in spec.models}) == 2
    assert {model.task for model in spec.models} == {"binary_classification", "regression"}
    assert "diabetes-risk" in {data for site in SITES for data in site.models.values()}


def test_an_alert_that_a_scenario_names_is_explained_and_no_other() -> None:
    burst = next(scenario for scenario in SCENARIOS if scenario.name == "error burst")
    fires = {
        "alertname": "HighErrorRatio",
        "severity": "critical",
        "model_name": "screening",
        "model_version": "1.0.0",
    }
    assert burst.explains(fires)
    assert not burst.explains({**fires, "model_name": "risk"})
    assert not burst.explains({**fires, "alertname": "FeatureDrift"})


def test_what_is_implied_is_explained_for_the_models_that_are_touched() -> None:
    spike = next(scenario for scenario in SCENARIOS if scenario.name == "latency spike")
    near = {"alertname": "PredictedSloBreach", "severity": "warning", "model_name": "progression"}
    assert spike.explains(near)
    assert not spike.explains({**near, "model_name": "risk"})


def test_the_committed_table_of_a_run_is_of_these_scenarios() -> None:
    text = (Path(__file__).parents[2] / "docs/gameday.md").read_text(encoding="utf-8")
    assert [s.name for s in SCENARIOS if f"| {s.name} |" not in text] == []
