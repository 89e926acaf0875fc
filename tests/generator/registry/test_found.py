"""What another registry says of versions, in the words of models.yaml."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contract.read import read_spec
from generator.registry.file import RegistryError, opened
from generator.registry.found import Found, add_found, known_metrics, model_name, task_of

AT = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)

METRICS: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "names of scikit-learn": (
        {"roc_auc_score": 0.9, "f1_score": 0.8, "mean_absolute_error": 3},
        {"auc": 0.9, "f1": 0.8, "mae": 3},
    ),
    "held out before validated": ({"val_auc": 0.8, "test_auc": 0.7}, {"auc": 0.7}),
    "the name itself before all": ({"test_accuracy": 0.8, "accuracy": 0.9}, {"accuracy": 0.9}),
    "never what was measured in training": ({"training_accuracy_score": 1.0}, {}),
    "nothing that is no metric of performance": ({"loss": 3.0, "system/cpu": 1.0}, {}),
    "nothing that is no number": ({"auc": float("nan"), "mae": float("inf")}, {}),
    "spaces and capitals": ({"Test ROC-AUC": 0.9}, {"auc": 0.9}),
}


@pytest.mark.parametrize(("measured", "expected"), METRICS.values(), ids=METRICS)
def test_metrics_get_the_names_of_performance(
    measured: dict[str, float], expected: dict[str, float]
) -> None:
    assert known_metrics(measured) == expected


def test_metrics_tell_what_is_predicted() -> None:
    assert task_of(["mae"]) == "regression"
    assert task_of(["auc", "accuracy"]) == "binary_classification"
    assert task_of(["f1_macro"]) == "multiclass_classification"
    assert task_of(["accuracy"]) is None
    assert task_of(["mae"], [None, "cats", "multiclass_classification"]) == (
        "multiclass_classification"
    )


def test_a_name_becomes_one_that_models_yaml_can_have() -> None:
    assert model_name("house prices (EU)/v2") == "house-prices-EU-v2"
    assert model_name("ml.prod.fraud") == "ml.prod.fraud"
    assert model_name("☃") == "model"


def add(folder: Path, text: str, *found: Found) -> tuple[dict[str, str], list[str]]:
    """The states of the model a afterwards, and what was said."""
    path = folder / "models.yaml"
    path.write_text(text)
    with opened(path) as file:
        change, _, notes = add_found(file, found, at=AT)
        change.write()
    return {m.version: m.state for m in read_spec(path).versions if m.name == "a"}, notes


def version(number: str, state: str = "") -> Found:
    return Found(name="a", version=number, state=state, task="regression", metrics={})  # type: ignore[arg-type]


OTHER = 'models:\n  - {name: b, version: "1", task: regression}\n'


def test_without_a_live_one_the_newest_is_registered(tmp_path: Path) -> None:
    found = [version(number) for number in ("9", "10", "1")]
    assert add(tmp_path, OTHER, *found)[0] == {"1": "retired", "9": "retired", "10": "registered"}


def test_what_is_older_than_what_serves_is_retired(tmp_path: Path) -> None:
    found = [version("8"), version("9", "live"), version("10"), version("11", "retired")]
    states, _ = add(tmp_path, OTHER, *found)
    assert states == {"8": "retired", "9": "live", "10": "registered", "11": "retired"}


def test_what_serves_here_stays_live_where_nobody_says_otherwise(tmp_path: Path) -> None:
    own = OTHER + '  - {name: a, version: "5", task: regression}\n'
    states, notes = add(tmp_path, own, version("4"), version("5"), version("6"))
    assert (states, notes) == ({"4": "retired", "5": "live", "6": "registered"}, [])


def test_what_serves_there_replaces_what_served(tmp_path: Path) -> None:
    own = OTHER + '  - {name: a, version: "5", task: regression} # mine\n'
    own += '  - {name: a, version: "7", task: regression, state: registered}\n'
    states, notes = add(tmp_path, own, version("5"), version("6"), version("7", "live"))
    assert states == {"5": "retired", "6": "retired", "7": "live"}
    assert notes == ["a 5 is retired now", "a 7 is live now"]
    text = (tmp_path / "models.yaml").read_text()
    assert "state: retired, task: regression} # mine" in text
    assert "deployed_at: 2026-11-28T00:00:00Z" in text


def test_what_nobody_says_the_task_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="nothing says what a predicts"):
        add(tmp_path, OTHER, Found(name="a", version="1", metrics={}))
    assert (tmp_path / "models.yaml").read_text() == OTHER
