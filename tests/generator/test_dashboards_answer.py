"""Every panel asks a real Prometheus, which scrapes real exporters; the GPUs are simulated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from contract.read import read_spec
from generator.dashboards import render_dashboards
from tests.generator.panels import Asked, answer, read_asked
from tests.live_models import live_models
from tests.processes import eventually

pytestmark = pytest.mark.stack

ALONE: Final = (
    "How do they compare?",
    "Which version is right, and sure?",
    "Which version does its business?",
)
"""Panels about versions that serve at once."""

EMPTY: Final = {
    "churn": {"Which values does it predict?", "How far off is it?"},
    "price": {
        "Which classes does it predict?",
        "Does it predict something else?",
        "How sure is it?",
        "How often is it right?",
        "Which classes does it confuse?",
        "Do its scores mean what they say?",
        *ALONE,
    },
    "chat": {"Trainings"},
}
"""Panels about predictions of the other kind; they say so themselves."""

NEVER: Final = {
    "Alerts firing": "nothing fires for long enough here to be marked",
    "Deployments": "nothing is known here for longer than the five minutes it looks back",
    "Deployed at": "no version says when",
    "Which XID errors came?": "the GPUs are whole",
    "What could not be read?": "they make no errors",
    "How full are MIG instances?": "none of them is split",
    "What does Alertmanager send?": "none runs here",
    "What arrives at the responder?": "none runs here",
    "Which alerts on budgets fire, and since when?": "they need longer",
    "Which alerts about the stack fire?": "they need longer",
}
"""Panels that may have no answer here, and why."""

NO_LIMIT: Final = {"How have the ratios gone? / B"}
"""Of price's ratio nothing is expected."""

ESTIMATES: Final = {
    "Worse than promised / B",
    "$metric: do estimates agree? / A",
    "$metric: do estimates agree? / B",
    "$metric: do estimates agree? / C",
    "Every metric: click on one to see its history / G",
    "Every metric: click on one to see its history / H",
}
"""Only a classifier's confidences give estimates."""

MODELS: Final = {
    "churn": ("1", "accuracy"),
    "price": ("2", "mae"),
    "chat": ("3", "none"),
}
"""The version of each model, and a metric of it."""


def choices_of(model: str) -> dict[str, str]:
    version, metric = MODELS[model]
    return {
        "$__rate_interval": "15s",
        "$__range": "5m",
        "$team": ".*",
        "$model": model,
        "$version": version,
        "$machine": ".*",
        "$gpu": ".*",
        "$metric": metric,
        "$window": "1h",
        "$feature": "age",
        "$objective": "availability",
    }


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with live_models(tmp_path_factory.mktemp("answers")) as client:
        yield client


def asked(model: str) -> list[Asked]:
    """What is asked of a model: an LLM has a dashboard of its own, and the others do not use it."""
    # The dashboards do not depend on models.yaml, but for the address of the runbooks.
    spec = read_spec(Path(__file__).parents[2] / "models.yaml")
    texts = render_dashboards(spec)
    every = [
        one for path, text in texts.items() if path.endswith(".json") for one in read_asked(text)
    ]
    return [one for one in every if (one.dashboard == "ml-llm") is (model == "chat")]


def silent(model: str, one: Asked) -> bool:
    """Whether an expression may have no answer."""
    name = f"{one.panel} / {one.letter}"
    if one.panel in EMPTY[model] or one.panel in NEVER:
        return True
    return model == "price" and name in ESTIMATES | NO_LIMIT


@pytest.mark.timeout(300)
@pytest.mark.parametrize("model", MODELS)
def test_every_panel_has_an_answer_and_the_others_say_why_not(
    prometheus: httpx.Client, model: str
) -> None:
    choices = choices_of(model)

    def answers() -> dict[Asked, list[dict[str, Any]]]:
        end = time.time()
        found = {one: answer(prometheus, one, choices, end=end) for one in asked(model)}
        missing = [str(one) for one, series in found.items() if not series]
        quiet = {str(one) for one in found if silent(model, one)}
        assert not set(missing) - quiet, sorted(set(missing) - quiet)
        return found

    found = eventually(answers, seconds=200)
    for one, series in found.items():
        if one.panel in EMPTY[model]:
            assert not series, f"{one} has an answer for {model}"
        if one.kind == "stat" and series:
            assert len(series) == 1, f"{one} has {len(series)} values"
        if one.kind == "timeseries":
            assert len(series) <= 7, f"{one} has {len(series)} lines"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("model", MODELS)
def test_the_columns_of_a_table_are_about_the_same_rows(
    prometheus: httpx.Client, model: str
) -> None:
    choices = choices_of(model)

    def labels() -> dict[str, set[frozenset[str]]]:
        tables: dict[str, set[frozenset[str]]] = {}
        for one in asked(model):
            if one.kind == "table" and "alerts" not in one.panel.lower():
                series = answer(prometheus, one, choices, end=time.time())
                assert series or silent(model, one), one
                keys = tables.setdefault(f"{one.dashboard} / {one.panel}", set())
                keys.update(frozenset(each["metric"]) for each in series)
        return tables

    for table, found in eventually(labels, seconds=90).items():
        assert len(found) <= 1, f"{table}: rows can't be merged: {sorted(map(sorted, found))}"
