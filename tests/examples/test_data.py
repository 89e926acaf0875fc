from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.profile import CategoryBins, NumericBins, count_numeric, read_profile
from examples.demo import train
from examples.demo.data import DATASETS, Rows, read_dataset
from examples.demo.model import Model, artifact_path, fit_model, read_model, write_model
from exporters.drift.statistics import Sides, psi

PROFILES = Path(__file__).parents[2] / "profiles"


def replayed_psi(name: str, rows: NDArray[np.float64]) -> dict[str, float]:
    """Each feature's PSI against the committed profile, for a long replay of the rows."""
    dataset = read_dataset(name)
    profile = read_profile(PROFILES / f"{name}.json")
    scores = {}
    for feature, values in zip(dataset.feature_names, rows.T, strict=True):
        replayed = 100.0 * counted(name, feature, profile.features[feature], values)
        reference = np.array(profile.features[feature].counts, dtype=np.float64)
        scores[feature] = float(psi(Sides(reference, replayed)))
    return scores


def counted(
    name: str, feature: str, bins: NumericBins | CategoryBins, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How many of the values are in each bin; a category stands as its place among its names."""
    if isinstance(bins, NumericBins):
        return count_numeric(bins.edges, values).astype(np.float64)
    names = read_dataset(name).categories[feature]
    own = [names[int(value)] for value in values]
    counts = [float(own.count(category)) for category in bins.categories]
    return np.array([*counts, len(own) - sum(counts)])


def as_set(rows: Rows) -> set[tuple[float, ...]]:
    return set(map(tuple, rows.features.tolist()))


@pytest.mark.parametrize("name", DATASETS)
def test_no_row_is_both_trained_on_and_held_out(name: str) -> None:
    dataset = read_dataset(name)
    assert not as_set(dataset.training) & as_set(dataset.held_out)
    assert len(dataset.held_out.labels) == len(dataset.held_out.features) > 150
    assert len(dataset.training.labels) == len(dataset.training.features) > 250


@pytest.mark.parametrize("name", DATASETS)
def test_the_committed_profile_is_of_the_training_rows(name: str) -> None:
    dataset = read_dataset(name)
    profile = read_profile(PROFILES / f"{name}.json")
    assert (profile.model_name, profile.model_version) == (dataset.name, dataset.version)
    assert profile.rows == len(dataset.training.labels)
    assert tuple(profile.features) == dataset.feature_names
    columns = zip(profile.features.items(), dataset.training.features.T, strict=True)
    for (feature, bins), values in columns:
        assert bins.counts == tuple(counted(name, feature, bins, values))


@pytest.mark.parametrize("name", DATASETS)
def test_undisturbed_traffic_does_not_drift(name: str) -> None:
    scores = replayed_psi(name, read_dataset(name).held_out.features)
    assert max(scores.values()) < 0.06
    assert np.median(list(scores.values())) < 0.02


@pytest.mark.parametrize("name", DATASETS)
def test_the_shift_switch_is_drift_of_one_feature(name: str) -> None:
    dataset = read_dataset(name)
    rows = dataset.held_out.features.copy()
    column = dataset.feature_names.index(dataset.shifted_feature)
    rows[:, column] += 2.0 * dataset.standard_deviations[dataset.shifted_feature]
    drifted = {feature for feature, score in replayed_psi(name, rows).items() if score > 0.25}
    assert drifted == {dataset.shifted_feature}


@pytest.mark.parametrize("name", DATASETS)
def test_a_model_comes_back_from_its_artifact_as_it_was(name: str, tmp_path: Path) -> None:
    dataset = read_dataset(name)
    model = fit_model(dataset)
    path = artifact_path(tmp_path, dataset)
    write_model(model, path)
    again = read_model(path)
    rows = dataset.held_out.features
    assert np.array_equal(again.infer(rows), model.infer(rows))
    assert again.interpret(again.infer(rows)) == model.interpret(model.infer(rows))
    assert (again.name, again.version) == (name, "1.0.0")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}'])
def test_a_broken_artifact_is_an_error_that_names_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.json: no artifact .* delete it"):
        read_model(path)


def test_the_models_are_good_on_rows_they_never_saw(models: dict[str, Model]) -> None:
    quality = {name: train.score_held_out(models[name], read_dataset(name)) for name in DATASETS}
    assert quality["breast-cancer"]["accuracy"] > 0.95
    assert quality["breast-cancer"]["auc"] > 0.99
    assert quality["diabetes"]["r2"] > 0.4


def test_training_writes_what_profiles_are_made_from(tmp_path: Path) -> None:
    assert train.main(["--out", str(tmp_path)]) == 0
    for name in DATASETS:
        dataset = read_dataset(name)
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(dataset.training.labels)
        classifier = dataset.task != "regression"
        outcome = ["prediction", *(["confidence"] if classifier else []), "label"]
        assert list(rows[0]) == [*dataset.feature_names, *outcome]
        features = {tuple(row[name] for name in dataset.feature_names) for row in rows}
        named = (dataset.named(row).values() for row in dataset.training.features.tolist())
        assert features == {tuple(map(str, values)) for values in named}
        assert artifact_path(tmp_path, dataset).exists()
        if classifier:
            assert {row["prediction"] for row in rows} == set(dataset.training.labels)
            assert all(0.5 <= float(row["confidence"]) <= 1.0 for row in rows)
