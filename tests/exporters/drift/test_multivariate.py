"""Drift of all features together: equal to scikit-learn, right by chance, and sharper than one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from exporters.drift.multivariate import (
    NEIGHBOURS,
    compare_rows,
    domain_auc,
    encode,
    nearest,
    reconstruction_errors,
)


def _points(rows: int, seed: int, features: int = 4, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, features)) + shift


def test_the_auc_is_that_of_scikit_learns_neighbours_without_the_row_itself() -> None:
    before, now = _points(200, 1), _points(150, 2, shift=0.3)
    points = np.vstack([before, now])
    sides = np.array([0.0] * 200 + [1.0] * 150)
    # The nearest of 16 is the row itself.
    judge = KNeighborsClassifier(n_neighbors=NEIGHBOURS + 1).fit(points, sides)
    scores = judge.predict_proba(points)[:, 1] * (NEIGHBOURS + 1) - sides
    auc, p_value = domain_auc(before, now, np.random.default_rng(0))
    assert auc == pytest.approx(roc_auc_score(sides, scores), abs=1e-12)
    assert p_value < 0.05


def test_neighbours_are_those_of_all_distances() -> None:
    points = _points(700, 3)
    apart = ((points[:, np.newaxis] - points) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(np.argsort(apart, axis=1)[:, :NEIGHBOURS], axis=1)
    assert (np.sort(nearest(points), axis=1) == expected).all()


def test_reconstruction_errors_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(4)
    fitted = random.normal(size=(300, 5)) @ random.normal(size=(5, 5))
    other = _points(100, 5, features=5)
    pca = PCA(n_components=0.65, svd_solver="full").fit(fitted)
    expected = np.linalg.norm(other - pca.inverse_transform(pca.transform(other)), axis=1)
    _, errors = reconstruction_errors(fitted, fitted, other)
    assert errors == pytest.approx(expected, rel=1e-9)


def _columns(points: np.ndarray) -> dict[str, Any]:
    return {f"f{place}": column.tolist() for place, column in enumerate(points.T)}


def test_without_drift_p_values_are_even() -> None:
    found = [
        compare_rows(_columns(_points(400, 2 * n)), _columns(_points(150, 2 * n + 1)))
        for n in range(30)
    ]
    for p_values in ([own.auc_p_value for own in found], [own.error_p_value for own in found]):
        # 30 of an even distribution; 1 in 1,000 has more below these.
        assert sum(p <= 0.01 for p in p_values) <= 3
        assert sum(p <= 0.5 for p in p_values) <= 23
    assert np.mean([own.auc for own in found]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([own.error for own in found]) == pytest.approx(1, abs=0.02)


def _bound(rows: int, seed: int, correlation: float) -> dict[str, Any]:
    """Two features, each standard normal, that hang together."""
    covariance = [[1, correlation], [correlation, 1]]
    points = np.random.default_rng(seed).multivariate_normal([0, 0], covariance, rows)
    return _columns(points)


def test_what_no_feature_shows_alone_is_found() -> None:
    found = compare_rows(_bound(2000, 1, 0.9), _bound(500, 2, -0.9))
    assert found.auc > 0.75
    assert found.auc_p_value == 0.002
    assert found.error > 2
    assert found.error_p_value == 0.002
    assert found.rows == 500


def test_categories_and_missing_values_take_part() -> None:
    random = np.random.default_rng(7)
    before = {"city": random.choice(["Oslo", "Rome"], 1000).tolist(), "age": [1.0, 2.0] * 500}
    same = {"city": random.choice(["Oslo", "Rome"], 400).tolist(), "age": [1.0, 2.0] * 200}
    other = {"city": ["Bonn"] * 200 + same["city"][200:], "age": [None, 2.0] * 200}
    assert compare_rows(before, same).auc_p_value > 0.01
    assert compare_rows(before, other).auc_p_value == 0.002


def test_points_are_deviations_and_places() -> None:
    before: dict[str, list[Any]] = {"age": [1.0, 3.0, None], "city": ["a", "b", "a"]}
    now: dict[str, list[Any]] = {"age": [1e9, None, 2.0], "city": [None, "c", "b"]}
    reference, current = encode(before, now)
    half = 0.5**0.5
    assert reference == pytest.approx(
        np.array([[-1, 0, half, 0, 0], [1, 0, 0, half, 0], [0, 1, half, 0, 0]])
    )
    assert current == pytest.approx(
        np.array([[5, 0, 0, 0, half], [0, 1, 0, 0, half], [0, 0, 0, half, 0]])
    )


def test_the_same_rows_are_judged_the_same_again() -> None:
    before, now = _columns(_points(300, 1)), _columns(_points(100, 2))
    assert compare_rows(before, now) == compare_rows(before, now)


def test_constant_columns_are_no_drift() -> None:
    found = compare_rows({"a": [1.0] * 400}, {"a": [1.0] * 200})
    assert found.auc == pytest.approx(0.5, abs=0.05)
    assert found.auc_p_value > 0.01
    assert (found.error, found.error_p_value) == (1, 1)


def test_few_different_values_are_no_drift_either() -> None:
    random = np.random.default_rng(9)
    found = [
        compare_rows(
            {"a": random.integers(0, 3, 400).tolist(), "b": ["x", "y"] * 200},
            {"a": random.integers(0, 3, 150).tolist(), "b": ["x", "y"] * 75},
        ).auc_p_value
        for _ in range(20)
    ]
    assert sum(p <= 0.01 for p in found) <= 2
    assert sum(p <= 0.5 for p in found) <= 17


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no column in common": ({"b": [1.0] * 100}, "no column in common"),
    "few rows": ({"a": [1.0] * 29}, "has 29 rows, fewer than 30"),
}


@pytest.mark.parametrize(("current", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_compared_is_said(current: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_rows({"a": [1.0] * 200}, current)
