"""The sample of rows that a sidecar keeps where models.yaml asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from contract.profile import Profile, build_profile
from contract.spec import Drift, Model
from contract.spec.promises import Multivariate
from exporters.sidecar.event import Event
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.reservoir import SLICES, Reservoir, follow
from exporters.sidecar.rows import Rows


def _profile() -> Profile:
    columns: dict[str, Sequence[Any]] = {"age": [1.0, 2.0, 3.0], "city": ["Oslo", "Rome", "Oslo"]}
    return build_profile(columns, model_name="m")


def _layout(rows: int | None = 100) -> Layout:
    kept = None if rows is None else Multivariate.model_construct(data="x.csv", rows=rows)
    drift = (
        Drift(multivariate=kept)
        if kept is None
        else Drift().model_copy(update={"multivariate": kept})
    )
    return Layout.of(Model(name="m", version="1", task="regression", drift=drift), _profile())


def _events(*ages: float, **fields: Any) -> list[Event]:
    return [
        Event(model_name="m", features={"age": age, "city": "Oslo", "x": 1}, **fields)
        for age in ages
    ]


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_few_rows_are_all_kept_with_the_features_of_the_profile() -> None:
    kept = Reservoir(_layout(), 100, 3600)
    kept.take(_events(1, 2, 3))
    assert kept.columns() == {"age": [1, 2, 3], "city": ["Oslo"] * 3}


def test_no_more_rows_are_kept_than_asked_for() -> None:
    clock = _Clock()
    kept = Reservoir(_layout(), 100, 3600, clock=clock)
    for _ in range(3 * SLICES):
        kept.take(_events(*range(500)))
        assert len(kept.columns()["age"]) <= 100
        clock.now += 3600 / SLICES
    assert len(kept.columns()["age"]) >= 100 - 100 / SLICES


def test_every_row_is_as_likely_to_be_kept() -> None:
    found = np.zeros(1000)
    for _ in range(400):
        kept = Reservoir(_layout(), 1000, 3600)
        for start in range(0, 1000, 50):
            kept.take(_events(*range(start, start + 50)))
        found[np.array(kept.columns()["age"], dtype=int)] += 1
    # 40 of each on the average, as a binomial has it.
    assert found.sum() == 400 * 100
    assert abs(found[:500].sum() - found[500:].sum()) < 4 * (400 * 100) ** 0.5
    assert found.max() < 80


def test_old_rows_go() -> None:
    clock = _Clock()
    kept = Reservoir(_layout(), 100, 3600, clock=clock)
    kept.take(_events(1))
    clock.now = 3600 * 1.05
    kept.take(_events(2))
    assert kept.columns()["age"] == [1, 2]
    clock.now = 3600 * 1.2
    assert kept.columns()["age"] == [2]


def test_failed_events_and_those_without_features_are_no_rows() -> None:
    kept = Reservoir(_layout(), 100, 3600)
    kept.take([*_events(1, status="error"), Event(model_name="m")])
    assert kept.columns()["age"] == []


def test_rows_by_column_are_sampled_too() -> None:
    layout = _layout()
    kept = Reservoir(layout, 100, 3600)
    kept.take_batch(Rows.of(layout, _events(1, 2)))
    missing = [Event(model_name="m", features={"age": None, "city": None})]
    kept.take_batch(Rows.of(layout, missing))
    assert kept.columns() == {"age": [1, 2, None], "city": ["Oslo", "Oslo", None]}


def test_nothing_is_kept_unless_models_yaml_says_so() -> None:
    assert Intake([_layout(None)]).reservoirs == {}
    assert list(Intake([_layout()]).reservoirs) == [("m", "1")]


def test_a_models_yaml_that_wants_the_same_keeps_the_rows() -> None:
    kept = follow(_layout(), None)
    assert kept is not None
    assert follow(_layout(), kept) is kept
    assert follow(_layout(200), kept) is not kept
    assert follow(_layout(None), kept) is None


@pytest.mark.parametrize("value", [True, "x", 1.5])
def test_rows_are_json(value: object) -> None:
    kept = Reservoir(_layout(), 100, 3600)
    kept.take([Event(model_name="m", features={"city": value})])  # type: ignore[dict-item]
    assert msgspec.json.decode(msgspec.json.encode(kept.columns()))["city"] == [value]
