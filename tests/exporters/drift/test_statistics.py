"""Statistics on counts: equal to their formulas, to scipy, and sound at the edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
import pytest
from numpy.typing import ArrayLike

from contract.profile import NumericBins, build_profile, count_numeric
from exporters.drift.chi_square import chi_square_quantile, chi_square_tail
from exporters.drift.statistics import (
    STATISTICS,
    Sides,
    measure,
    noise_floor,
    occupied_bins,
    positions,
    psi,
    rate,
)

stats = import_module("scipy.stats")
distance = import_module("scipy.spatial.distance")


def _psi(reference: ArrayLike, current: ArrayLike) -> float:
    return float(psi(Sides(np.array(reference, dtype=float), np.array(current, dtype=float))))


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
    "an unseen bin of which less than half an observation was due": (
        [99_990, 10],
        [1000, 0],
        (1 - 0.9999) * math.log(1 / 0.9999),
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
    together = psi(Sides(reference, current))
    assert together.shape == (4, 7)
    for place in np.ndindex(4, 7):
        assert together[place] == pytest.approx(_psi(reference[place], current[place]))


def test_padding_with_empty_bins_changes_nothing() -> None:
    reference, current = np.array([[30.0, 20, 10]]), np.array([[10.0, 20, 30]])
    pad = ((0, 0), (0, 5))
    assert psi(Sides(np.pad(reference, pad), np.pad(current, pad))) == pytest.approx(
        psi(Sides(reference, current))
    )
    assert occupied_bins(np.pad(reference, pad), np.pad(current, pad)) == [3]


def test_psi_is_scipys_jeffreys_divergence_where_no_bin_is_empty() -> None:
    random = np.random.default_rng(2)
    reference = random.integers(1, 500, (50, 15)).astype(float)
    current = random.integers(1, 500, (50, 15)).astype(float)
    forth = stats.entropy(reference, current, axis=1)
    back = stats.entropy(current, reference, axis=1)
    np.testing.assert_allclose(psi(Sides(reference, current)), forth + back, rtol=1e-9)


# The other statistics, beside scipy on the same counts


def _dense(random: np.random.Generator, least: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (50, 15)
    return (
        random.integers(least, 500, shape).astype(float),
        random.integers(least, 90, shape).astype(float),
    )


def _rows(
    one: Callable[[np.ndarray, np.ndarray], float], left: np.ndarray, right: np.ndarray
) -> list[float]:
    return [one(*pair) for pair in zip(left, right, strict=True)]


def _table(one: Callable[[np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], float]:
    def of_rows(reference: np.ndarray, current: np.ndarray) -> float:
        table = np.array([reference, current])
        return one(table[:, table.sum(axis=0) > 0])

    return of_rows


def _ks(reference: np.ndarray, current: np.ndarray) -> float:
    raw = [np.repeat(np.arange(15), side.astype(int)) for side in (reference, current)]
    return float(stats.ks_2samp(*raw).statistic)


def _shifted(what: Callable[..., float], reference: np.ndarray, current: np.ndarray) -> float:
    at = np.arange(14.0)
    raw = [np.repeat(at, side[1:].astype(int)) for side in (reference, current)]
    return what(raw[1]) - what(raw[0])


PEERS: dict[str, tuple[str, int, Callable[[np.ndarray, np.ndarray], float]]] = {
    "KL is scipy's entropy where the reference fills every bin": (
        "kl",
        1,
        lambda p, q: stats.entropy(q, p),
    ),
    "the Jensen–Shannon distance is scipy's in bits, empty bins or not": (
        "jensen_shannon_distance",
        0,
        lambda p, q: distance.jensenshannon(p, q, base=2),
    ),
    "the Jensen–Shannon divergence is its square": (
        "jensen_shannon_divergence",
        0,
        lambda p, q: distance.jensenshannon(p, q, base=2) ** 2,
    ),
    "Hellinger is the Euclidean distance of the roots": (
        "hellinger",
        0,
        lambda p, q: distance.euclidean(np.sqrt(p / p.sum()), np.sqrt(q / q.sum())) / math.sqrt(2),
    ),
    "total variation is half the city-block distance": (
        "total_variation",
        0,
        lambda p, q: distance.cityblock(p / p.sum(), q / q.sum()) / 2,
    ),
    "KS on bins is scipy's on values that are bins": ("ks", 0, _ks),
    "Wasserstein is scipy's, without what is missing": (
        "wasserstein",
        0,
        lambda p, q: stats.wasserstein_distance(np.arange(14), np.arange(14), p[1:], q[1:]),
    ),
    "chi-square is scipy's of the table": (
        "chi_square",
        0,
        _table(lambda table: stats.chi2_contingency(table, correction=False).statistic),
    ),
    "its p-value too": (
        "chi_square_p_value",
        0,
        _table(lambda table: stats.chi2_contingency(table, correction=False).pvalue),
    ),
    "Cramér's V is scipy's": (
        "cramers_v",
        0,
        _table(lambda table: stats.contingency.association(table.astype(int), method="cramer")),
    ),
    "the mean's shift is that of the values": (
        "mean_shift",
        0,
        lambda p, q: _shifted(np.mean, p, q),
    ),
    "the deviation's shift is that of the values": (
        "std_shift",
        0,
        lambda p, q: _shifted(np.std, p, q),
    ),
}


@pytest.mark.parametrize(("name", "least", "peer"), PEERS.values(), ids=PEERS.keys())
def test_a_statistic_equals_its_peer_on_the_same_counts(
    name: str, least: int, peer: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    reference, current = _dense(np.random.default_rng(3), least)
    if least == 0:
        reference[::2, 3] = 0
        current[::3, 7] = 0
        reference[5, 9] = current[5, 9] = 0
    places = np.tile(np.arange(-1.0, 14.0), (50, 1))
    ours = measure([name], reference, current, places)[name]
    np.testing.assert_allclose(ours, _rows(peer, reference, current), rtol=1e-9, atol=1e-12)


AT_THE_EDGE = {
    "equal shares at different sizes": ([0, 10, 20, 30, 0], [0, 1000, 2000, 3000, 0], 0.0),
    "equal shares that no binary fraction holds": ([0, 1, 2, 4, 0], [0, 3, 6, 12, 0], 0.0),
    "one bin": ([0, 0, 100, 0, 0], [0, 0, 7, 0, 0], 0.0),
    "an empty window": ([0, 10, 20, 30, 0], [0, 0, 0, 0, 0], math.nan),
    "an empty reference": ([0, 0, 0, 0, 0], [0, 10, 20, 30, 0], math.nan),
}

DISTANCES = [name for name in STATISTICS if name != "chi_square_p_value"]


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(
    ("reference", "current", "expected"), AT_THE_EDGE.values(), ids=AT_THE_EDGE.keys()
)
def test_at_the_edges_a_statistic_is_exact(
    name: str, reference: list[float], current: list[float], expected: float
) -> None:
    assert _one(name, reference, current) == pytest.approx(expected, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(
    ("reference", "current"),
    [([0, 50, 50, 0, 0], [0, 0, 0, 50, 50]), ([0, 0, 100, 0, 0], [0, 0, 0, 0, 9])],
    ids=["nothing in common", "a constant that became another"],
)
def test_what_shares_no_bin_is_far_and_finite(
    name: str, reference: list[float], current: list[float]
) -> None:
    score = _one(name, reference, current)
    assert math.isfinite(score)
    # Where nothing is shared, bounded distances are at their bound, 1; two constants do not vary.
    assert (score >= 0.25 and score > 0) or name == "std_shift"


def test_a_category_never_seen_moves_every_distance() -> None:
    for name in DISTANCES:
        assert 0 < _one(name, [0, 600, 400, 0, 0], [0, 50, 40, 10, 0]) < math.inf, name


def _one(name: str, reference: Sequence[float], current: Sequence[float]) -> float:
    left, right = (np.array([side], dtype=float) for side in (reference, current))
    places = np.array([positions(EDGES, reference[1:])])
    return float(measure([name], left, right, places)[name][0])


EDGES = [0.0, 1.0, 2.0]


def test_many_rows_are_measured_as_each() -> None:
    random = np.random.default_rng(8)
    reference = random.integers(0, 9, (5000, 6)).astype(float)
    current = random.integers(0, 9, (5000, 6)).astype(float)
    places = np.cumsum(random.uniform(0, 1, (5000, 6)), axis=1)
    together = measure(list(STATISTICS), reference, current, places)
    for row in (0, 2047, 2048, 4999):
        one = slice(row, row + 1)
        alone = measure(list(STATISTICS), reference[one], current[one], places[one])
        for name, value in alone.items():
            assert together[name][row] == pytest.approx(value[0], nan_ok=True), name


# Places of bins


def _measured(reference: np.ndarray, current: np.ndarray) -> dict[str, float]:
    """Distances of raw values by the bins of a profile of the first."""
    bins = build_profile({"x": reference.tolist()}, model_name="m").features["x"]
    assert isinstance(bins, NumericBins)
    left = np.array([[0.0, *bins.counts]])
    right = np.array([[0.0, *count_numeric(bins.edges, current)]])
    places = np.array([positions(bins.edges, bins.counts)])
    found = measure(list(STATISTICS), left, right, places)
    return {name: float(values[0]) for name, values in found.items()}


@pytest.mark.parametrize("shift", [0.25, 0.5, 1.0])
def test_a_shift_of_deviations_is_about_as_many_deviations_on_bins(shift: float) -> None:
    random = np.random.default_rng(4)
    values = random.normal(3, 7, 20_000)
    found = _measured(values, random.normal(3, 7, 20_000) + 7 * shift)
    assert found["mean_shift"] == pytest.approx(shift, rel=0.15)
    assert found["wasserstein"] == pytest.approx(shift, rel=0.15)


def test_one_value_of_a_million_among_ten_thousand_hides_nothing() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=10_000)
    plain = _measured(values, random.normal(size=10_000) + 0.5)
    values[17] = 1e6
    for name, value in _measured(values, random.normal(size=10_000) + 0.5).items():
        if name not in ("chi_square", "chi_square_p_value"):
            assert value == pytest.approx(plain[name], rel=0.25, abs=0.05), name
    current = random.normal(size=10_000)
    current[3] = 1e6
    still = _measured(random.normal(size=10_000), current)
    assert still["psi"] < 0.02
    assert still["wasserstein"] < 0.05


def test_constant_columns_count_what_left_the_constant() -> None:
    assert positions([4.0, 5.0], [0, 10, 0]).tolist() == [0, -1, 0, 1]
    found = _measured(np.full(100, 5.0), np.array([5.0] * 80 + [9.0] * 20))
    assert found["wasserstein"] == pytest.approx(0.2)
    assert found["mean_shift"] == pytest.approx(0.2)


def test_places_far_apart_stay_finite() -> None:
    assert np.isfinite(positions([-1e300, 0.0, 1e300], [0, 10, 10, 0])).all()


def test_rates_are_shares_of_columns() -> None:
    counts = np.array([[5.0, 10, 85, 0], [0, 0, 0, 0]])
    columns = np.array([[True, False, False, True]] * 2)
    assert rate(counts, columns)[0] == pytest.approx(0.05)
    assert np.isnan(rate(counts, columns)[1])


# Chi-square


def test_chi_square_tails_are_scipys() -> None:
    random = np.random.default_rng(6)
    freedom = random.choice([0.3, 1, 2, 3, 7.5, 14, 51, 200, 3000], 4000)
    statistic = freedom * random.lognormal(0, 1, 4000)
    ours = chi_square_tail(statistic, freedom)
    np.testing.assert_allclose(ours, stats.chi2.sf(statistic, freedom), rtol=1e-8, atol=1e-12)


def test_chi_square_tails_end_where_they_should() -> None:
    assert chi_square_tail([0, np.inf, np.nan, 5], [3, 3, 3, 0]).tolist()[:2] == [1, 0]
    assert np.isnan(chi_square_tail(np.nan, 3))
    assert chi_square_tail(5, 0) == 1


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
            scores.append(psi(Sides(reference, current)))
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
