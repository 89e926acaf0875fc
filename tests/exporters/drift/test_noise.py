"""Noise floors and p-values against windows drawn from the reference's own distribution."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from contract.spec import Drift
from exporters.drift import noise
from exporters.drift.chi_square import chi_square_quantile
from exporters.drift.statistics import STATISTICS, Sides

METHODS = list(get_args(Drift.model_fields["method"].annotation))
GAUSSIAN = ("total_variation", "wasserstein")
PLACES = np.concatenate([[0.0], np.linspace(-2, 2, 11)])
SHARES = {
    "ten bins alike": [0.0, 0.0, *[0.1] * 10],
    "few values": [0.0, 0.5, 0.3, 0.2],
    "rare categories": [0.0, 0.6, 0.3, 0.05, 0.02, 0.01, 0.01, 0.004, 0.003, 0.002, 0.001],
    "some missing": [0.1, 0.45, 0.45],
}


def _windows(shares: list[float], n: int, count: int) -> tuple[Sides, np.ndarray]:
    random = np.random.default_rng(3)
    padded = np.array(shares + [0.0] * (12 - len(shares)))
    sides = Sides(
        random.multinomial(5000, padded, count).astype(float),
        random.multinomial(n, padded, count).astype(float),
    )
    return sides, np.tile(PLACES, (count, 1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES.keys())
@pytest.mark.parametrize("n", [100, 1000])
def test_without_drift_few_windows_pass_the_floor(method: str, shares: list[float], n: int) -> None:
    count = 4000
    sides, places = _windows(shares, n, count)
    score = STATISTICS[method](sides, places)
    floor = noise.raised_floor(noise.floor(method, sides, places), score, noise.p_values(sides))
    # Three standard errors above the 1% it is made for.
    assert (score > floor).mean() <= 0.01 + 3 * (0.01 / count) ** 0.5


BEYOND = np.array([0.0, 0.0, *[0.1] * 10, 0.0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [100, 300, 1000])
def test_a_value_beyond_the_reference_alone_is_no_drift(method: str, n: int) -> None:
    """The largest of m values is passed by one of n in n/m windows: no bin of zero chance."""
    random = np.random.default_rng(5)
    count = 2000
    reference, current = np.zeros((2, count, len(BEYOND)))
    for row in range(count):
        values = np.sort(random.uniform(size=2000))
        edges = [values[0] - 1e-9, *values[199:-1:200], values[-1]]
        window = np.searchsorted(edges, random.uniform(size=n), side="left")
        reference[row, 1:] = np.bincount(np.searchsorted(edges, values), minlength=12)
        current[row, 1:] = np.bincount(window, minlength=12)
    sides, places = Sides(reference, current), np.tile(np.linspace(-2, 2, 13), (count, 1))
    score = STATISTICS[method](sides, places)
    floor = noise.raised_floor(noise.floor(method, sides, places), score, noise.p_values(sides))
    assert (score > floor).mean() <= 0.01 + 3 * (0.01 / count) ** 0.5


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES.keys())
@pytest.mark.parametrize("n", [100, 300, 1000, 10_000])
@pytest.mark.parametrize(("level", "most"), [(0.01, 0.016), (0.0005, 0.0017)])
def test_p_values_are_not_too_small(shares: list[float], n: int, level: float, most: float) -> None:
    sides, _ = _windows(shares, n, 10_000)
    assert (noise.p_values(sides) < level).mean() <= most


def test_a_shift_is_far_beyond_the_noise() -> None:
    reference = np.array([[0.0, *[500.0] * 10, 0.0]])
    current = np.array([[0.0, *np.linspace(10, 190, 10), 0.0]])
    sides, places = Sides(reference, current), PLACES[np.newaxis]
    assert noise.p_values(sides)[0] < 1e-20
    for method in METHODS:
        assert STATISTICS[method](sides, places) > noise.floor(method, sides, places), method


def test_the_floor_of_psi_is_its_chi_square_where_every_bin_is_full() -> None:
    sides = Sides(np.full((1, 10), 50_000.0), np.full((1, 10), 5_000.0))
    expected = chi_square_quantile(0.99, 9) * (1 / 500_000 + 1 / 50_000)
    assert noise.floor("psi", sides, PLACES[:10]) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("method", METHODS)
def test_floors_end_where_nothing_is_to_compare(method: str) -> None:
    reference = np.array([[0.0, 10, 0], [0, 10, 10], [0, 0, 0]])
    current = np.array([[0.0, 7, 0], [0, 0, 0], [0, 5, 5]])
    floors = noise.floor(method, Sides(reference, current), np.array([[0.0, 1, 2]] * 3))
    assert np.isfinite(floors[0])
    assert np.isnan(floors[1:]).all()
    if method != "ks":
        assert floors[0] == 0


def test_one_bin_has_no_drift_to_find() -> None:
    assert noise.p_values(Sides(np.array([[0.0, 10]]), np.array([[0.0, 7]]))) == 1


def _drawn_floor(method: str, shares: np.ndarray, places: np.ndarray) -> float:
    """The 0.99 quantile of many draws of the limit that `noise.floor` takes moments of."""
    shares, weights = shares[1:], np.diff(places[1:])
    step = np.sqrt(shares) * np.random.default_rng(1).standard_normal((40_000, len(shares)))
    step -= step.sum(axis=1, keepdims=True) * shares
    if method == "wasserstein":
        summed = (np.abs(np.cumsum(step, axis=1)[:, :-1]) * weights).sum(axis=1)
    else:
        summed = np.abs(step).sum(axis=1) / 2
    return float(np.quantile(summed, 0.99))


UNLIKE = {
    "two alike": [0.0, 0.5, 0.5],
    "one rare": [0.0, 0.999, 0.001],
    "three": [0.0, 0.6, 0.3, 0.1],
    "ten": [0.0, *[0.1] * 10],
    "forty": [0.0, *(np.arange(1, 41) ** -1.2 / (np.arange(1, 41) ** -1.2).sum())],
}


@pytest.mark.parametrize("method", GAUSSIAN)
@pytest.mark.parametrize("shares", UNLIKE.values(), ids=UNLIKE.keys())
@pytest.mark.parametrize("gap", [1.0, 0.1], ids=["places alike", "one place far off"])
def test_gaussian_floors_are_those_of_draws(method: str, shares: list[float], gap: float) -> None:
    p = np.array(shares)
    places = np.concatenate([[0.0], np.arange(len(p) - 2) * gap, [(len(p) - 3) * gap + 1]])
    sides = Sides(p[np.newaxis] * 1e6, p[np.newaxis] * 1e4)
    floor = noise.floor(method, sides, places[np.newaxis])[0] / np.sqrt(1e-4 + 1e-6)
    assert 0.98 <= floor / _drawn_floor(method, p, places) <= 1.06
