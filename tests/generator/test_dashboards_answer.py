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

EMPTY: Final = {
    "churn": {"Which values does it predict?", "How far off is it?"},
    "price": {
        "Which classes does it predict?",
        "How sure is it?",
        "How often is it right?",
        "Which classes does it confuse?",
    },
}
"""Panels about predictions of the other kind; they say so themselves."""

NEVER: Final = {
    "Alerts firing",
    "Which XID errors came?",
    "What could not be read?",
    "How full are MIG instances?",
}
"""Nothing fires for long enough here to be marked; the GPUs are whole and make no errors."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with live_models(tmp_path_factory.mktemp("answers")) as client:
        yield client


def asked() -> list[Asked]:
    # The dashboards do not depend on models.yaml, but for the address of the runbooks.
    spec = read_spec(Path(__file__).parents[2] / "models.yaml")
    texts = render_dashboards(spec)
    return [
        one for path, text in texts.items() if path.endswith(".json") for one in read_asked(text)
    ]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("model", "version"), [("churn", "1"), ("price", "2")])
def test_every_panel_has_an_answer_and_the_others_say_why_not(
    prometheus: httpx.Client, model: str, version: str
) -> None:
    choices = {
        "$__rate_interval": "15s",
        "$__range": "5m",
        "$team": ".*",
        "$model": model,
        "$version": version,
        "$machine": ".*",
        "$gpu": ".*",
    }

    def answers() -> dict[Asked, list[dict[str, Any]]]:
        end = time.time()
        found = {one: answer(prometheus, one, choices, end=end) for one in asked()}
        missing = [
            str(one) for one, series in found.items() if not series and one.panel not in silent
        ]
        assert not missing, missing
        return found

    silent = EMPTY[model] | NEVER
    found = eventually(answers, seconds=90)
    for one, series in found.items():
        if one.panel in EMPTY[model]:
            assert not series, f"{one} has an answer for {model}"
        if one.kind == "stat":
            assert len(series) == 1, f"{one} has {len(series)} values"
        if one.kind == "timeseries":
            assert len(series) <= 6, f"{one} has {len(series)} lines"


@pytest.mark.timeout(180)
def test_the_columns_of_a_table_are_about_the_same_rows(prometheus: httpx.Client) -> None:
    choices = {
        "$__rate_interval": "15s",
        "$__range": "5m",
        "$team": ".*",
        "$model": "churn",
        "$version": "1",
        "$machine": ".*",
        "$gpu": ".*",
    }

    def labels() -> dict[str, set[frozenset[str]]]:
        tables: dict[str, set[frozenset[str]]] = {}
        for one in asked():
            if one.kind == "table" and "alerts" not in one.panel.lower():
                series = answer(prometheus, one, choices, end=time.time())
                assert series, one
                keys = tables.setdefault(f"{one.dashboard} / {one.panel}", set())
                keys.update(frozenset(each["metric"]) for each in series)
        return tables

    for table, found in eventually(labels, seconds=90).items():
        assert len(found) == 1, f"{table}: rows can't be merged: {sorted(map(sorted, found))}"
