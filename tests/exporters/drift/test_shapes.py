"""What is shown of the references by bin, and how much of it at most."""

from __future__ import annotations

import pytest

from contract.profile import Profile
from contract.quantity import Duration
from contract.spec import Model
from exporters.drift import shapes
from exporters.drift.evaluate import evaluate
from exporters.drift.layout import Layout, layout
from exporters.drift.window import Counts
from tests.exporters.drift.counting import Bins, numeric


def _layout(*columns: int) -> Layout:
    """Models of so many columns of five bins."""
    models = [Model(name=f"m{n}", version="1", task="regression") for n in range(len(columns))]
    profiles = []
    for own in columns:
        features: dict[str, Bins] = {f"f{n}": numeric(0, 40, 30, 30, 0) for n in range(own)}
        profiles.append(Profile(model_name="m", rows=100, features=features))
    return layout(models, profiles, [Duration.parse("1h")] * len(columns))


def _shown(own: Layout) -> dict[str, int]:
    """How many series each model has."""
    found = evaluate(own, Counts(own.reference), time=0)
    counts: dict[str, int] = {}
    for line, _ in shapes.Shapes(own).family(found).samples:
        counts[line.labels[0]] = counts.get(line.labels[0], 0) + 1
    return counts


def test_every_bin_of_a_model_is_shown() -> None:
    assert _shown(_layout(2, 1)) == {"m0": 10, "m1": 5}


def test_a_model_of_very_many_columns_is_not_shown() -> None:
    assert _shown(_layout(shapes.LARGEST + 1, 1)) == {"m1": 5}


def test_of_very_many_models_the_first_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MOST", 12)
    assert _shown(_layout(1, 1, 1, 1)) == {"m0": 5, "m1": 5}
