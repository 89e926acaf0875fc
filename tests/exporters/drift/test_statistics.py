"""Statistics on counts: equal to their formulas, to scipy, and sound at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike

from contract.profile import NumericBins, build_profile, count_numeric
from exporters.drift.statistics import chi_square_quantile, noise_floor, occupied_bins, psi

stats = pytest.importorskip("scipy.stats", reason="scipy comes with the demo's scikit-learn")


def _psi(reference: ArrayLike, current: ArrayLike) -> float:
    return float(psi(np.array(reference, dtype=float), np.array(current, dtype=float)))


KNOWN = {
    "equal counts are no drift": ([10, 20, 30], [10, 20, 30], 0.0),
    "equal shares at another size are no drift": ([10, 20, 30], [1000, 2000, 3000], 0.0),
    "equal shares with bins empty on both sides are no drift": ([0, 5, 5, 0], [0, 50, 50, 0], 0.0),
    "half against three quarters": ([50, 50], [75, 25], 0.25 * math.log(1.5) + 0.25 * math.log(2)),
    "it is symmetric": ([75, 25], [50, 50], 0.25 * math.log(1.5) + 0.25 * math.log(2)),
    "an unseen bin counts half an observation in the reference": (
        [100, 0],
        [90, 10],
        0.1 * math.log(1 / 0.9) + (0.1 - 0.005) * math.log(0.1 / 0.005),
    ),
    "a bin that nothing falls into any more": (
        [90, 10],
        [100, 0],
        0.1 * math.log(1 / 0.9) + (0.1 - 0.005) * math.log(0.1 / 0.005),
    ),
    "what rounding leaves in an empty bin is nothing": ([10, 10, 0], [10, 10, 1e-12], 0.0),
    "one bin cannot drift": ([100], [7], 0.0),
}


@pytest.mark.parametrize(("reference", "current", "expected"), KNOWN.values(), ids=KNOWN.keys())
def test_psi_is_its_formula(reference: list[float], current: list[float], expected: float) -> None:
    assert _psi(reference, current) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("reference", "current"), [([0, 0], [5, 5]), ([5, 5], [0, 0])])
def test_psi_of_an_empty_side_is_not_a_number(reference: list[float], current: list[float]) -> None:
    assert math.isnan(_psi(reference, current))


def test_psi_of_many_columns_is_psi_of_each() -> None:
    random = np.random.default_rng(1)
    reference = random.integers(0, 50, (4, 7, 12)).astype(float)
    current = random.integers(0, 5, (4, 7, 12)).astype(float)
    together = psi(reference, current)
    assert together.shape == (4, 7)
    for place in np.ndindex(4, 7):
        assert together[place] == pytest.approx(_psi(reference[place], current[place]))


def test_padding_with_empty_bins_changes_nothing() -> None:
    reference, current = np.array([[30.0, 20, 10]]), np.array([[10.0, 20, 30]])
    pad = ((0, 0), (0, 5))
    assert psi(np.pad(reference, pad), np.pad(current, pad)) == pytest.approx(
        psi(reference, current)
    )
    assert occupied_bins(np.pad(reference, pad), np.pad(current, pad)) == [3]


def test_psi_is_scipys_jeffreys_divergence_where_no_bin_is_empty() -> None:
    random = np.random.default_rng(2)
    reference = random.integers(1, 500, (50, 15)).astype(float)
    current = random.integers(1, 500, (50, 15)).astype(float)
    forth = stats.entropy(reference, current, axis=1)
    back = stats.entropy(current, reference, axis=1)
    np.testing.assert_allclose(psi(reference, current), forth + back, rtol=1e-9)


@pytest.mark.parametrize("probability", [1e-6, 0.01, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999, 0.99999])
def test_chi_square_quantiles_are_scipys(probability: float) -> None:
    freedoms = [*range(1, 60), 99, 200, 500, 1000]
    ours = [chi_square_quantile(probability, freedom) for freedom in freedoms]
    np.testing.assert_allclose(ours, stats.chi2.ppf(probability, freedoms), rtol=1e-9)


@pytest.mark.parametrize(("probability", "freedom"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_a_quantile_that_does_not_exist_is_an_error(probability: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="no chi-square quantile"):
        chi_square_quantile(probability, freedom)


def test_the_noise_floor_is_its_formula() -> None:
    bins = np.array([[2, 12], [1, 30]])
    n, m = np.array([[500.0], [100.0]]), np.array([[5000.0, 340.0]])
    expected = np.where(bins > 1, stats.chi2.ppf(0.99, bins - 1), 0) * (1 / n + 1 / m)
    np.testing.assert_allclose(noise_floor(bins, n, m), expected, rtol=1e-9)


def test_the_noise_floor_of_no_samples_is_not_a_number() -> None:
    assert np.isnan(noise_floor(np.array([10]), np.array([0.0]), np.array([100.0]))).all()


@pytest.mark.parametrize("size", [500, 5000])
def test_without_drift_one_feature_in_a_hundred_passes_the_noise_floor(size: int) -> None:
    """300 windows of 8 columns of unlike shapes, against a reference of 5,000 rows."""
    flagged = _flagged(np.random.default_rng(7), size=size, windows=300, shift=0.0)
    assert 0.001 <= flagged <= 0.02


def test_a_shift_of_half_a_deviation_passes_the_noise_floor() -> None:
    assert _flagged(np.random.default_rng(7), size=500, windows=20, shift=0.5) > 0.95


def _flagged(random: np.random.Generator, *, size: int, windows: int, shift: float) -> float:
    """The share of columns whose score passes the floor alone, that is at threshold 0."""
    scores, floors = [], []
    reference_columns = _draw(random, 5000, 0.0)
    profile = build_profile(
        {name: values.tolist() for name, values in reference_columns.items()}, model_name="m"
    )
    for _ in range(windows):
        for name, values in _draw(random, size, shift).items():
            bins = profile.features[name]
            assert isinstance(bins, NumericBins)
            reference = np.array(bins.counts, dtype=float)
            current = count_numeric(bins.edges, values).astype(float)
            scores.append(psi(reference, current))
            floors.append(
                noise_floor(
                    occupied_bins(reference, current), np.array(float(size)), np.array(5000.0)
                )
            )
    return float((np.array(scores) > np.array(floors)).mean())


def _draw(random: np.random.Generator, size: int, shift: float) -> dict[str, np.ndarray]:
    columns = {
        "normal": random.normal(size=size),
        "exponential": random.exponential(size=size),
        "lognormal": random.lognormal(0, 1, size),
        "uniform": random.uniform(size=size) * math.sqrt(12),
        "poisson": random.poisson(2, size) / math.sqrt(2),
        "heavy": random.standard_t(3, size) / math.sqrt(3),
        "few values": random.integers(0, 4, size) / 1.1,
        "mostly zero": np.where(random.uniform(size=size) < 0.8, 0, random.normal(2, 1, size)),
    }
    return {name: values + shift for name, values in columns.items()}
