"""The tests that versions are held against each other with: against figures from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exporters.drift.versions.significance import (
    Means,
    Shares,
    compare_distributions,
    compare_means,
    compare_shares,
)


def shares(*pairs: tuple[float, float]) -> Shares:
    hits, n = np.array(pairs, dtype=np.float64).T
    return Shares(hits, n)


def means(*values: list[float]) -> Means:
    rows = [(len(own), sum(own), sum(value**2 for value in own)) for own in values]
    return Means(*np.array(rows, dtype=np.float64).T)


def test_one_stratum_is_the_z_test_of_two_proportions_with_yates_correction() -> None:
    # (|n11 n22 - n12 n21| - n/2)^2 (n - 1) / (r1 r2 c1 c2), its root, and the upper tail.
    found = compare_shares(shares((60, 1000)), shares((30, 1000)))
    chi_square = (abs(60 * 970 - 940 * 30) - 1000) ** 2 * 1999 / (1000 * 1000 * 90 * 1910)
    assert (found.newer, found.older) == (0.06, 0.03)
    assert found.p_value == pytest.approx(0.5 * math.erfc(math.sqrt(chi_square / 2)), rel=1e-12)


def test_strata_add_up_as_mantel_and_haenszel_have_it() -> None:
    """A worked example in two strata; by hand from the sums in the docstring."""
    found = compare_shares(shares((30, 100), (80, 200)), shares((20, 150), (60, 250)))
    expected = 100 * 50 / 250 + 200 * 140 / 450
    variance = 100 * 150 * 50 * 200 / (250**2 * 249) + 200 * 250 * 140 * 310 / (450**2 * 449)
    z = (110 - expected - 0.5) / math.sqrt(variance)
    assert found.p_value == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)
    weights = np.array([100 * 150 / 250, 200 * 250 / 450])
    assert found.newer == pytest.approx((weights * [0.3, 0.4]).sum() / weights.sum())
    assert found.older == pytest.approx((weights * [20 / 150, 0.24]).sum() / weights.sum())


def test_few_hits_are_judged_exactly() -> None:
    """Fisher's lady: 4 of 4 cups, against 0 of 4; one of 70 ways."""
    assert compare_shares(shares((4, 4)), shares((0, 4))).p_value == pytest.approx(1 / 70)
    assert compare_shares(shares((3, 4)), shares((1, 4))).p_value == pytest.approx(17 / 70)
    assert compare_shares(shares((0, 4)), shares((0, 4))).p_value == 1
    # A small canary that fails where the old version never does.
    assert compare_shares(shares((20, 300)), shares((0, 10_000))).p_value < 1e-25
    assert compare_shares(shares((0, 300)), shares((5, 10_000))).p_value == 1


def test_an_incident_while_a_canary_grows_does_not_make_it_worse() -> None:
    """Both fail alike at all times; taken together, the newer one would look three times as bad."""
    newer, older = shares((1, 100), (450, 4500)), shares((99, 9900), (50, 500))
    assert 451 / 4600 > 3 * 149 / 10_400, "so it would"
    found = compare_shares(newer, older)
    assert found.newer == pytest.approx(found.older)
    assert found.p_value > 0.3


def test_stretches_in_which_only_one_served_say_nothing() -> None:
    alone = compare_shares(shares((60, 1000)), shares((30, 1000)))
    assert compare_shares(shares((60, 1000), (9, 9)), shares((30, 1000), (0, 0))) == alone
    nothing = compare_shares(shares((1, 5), (0, 0)), shares((0, 0), (1, 5)))
    assert all(map(math.isnan, (nothing.newer, nothing.older, nothing.p_value)))


def test_means_are_welchs() -> None:
    newer, older = [5.0, 6.0, 7.0, 9.0] * 10, [4.0, 4.5, 5.0] * 20
    found = compare_means(means(newer), means(older))
    spread = np.var(newer, ddof=1) / 40 + np.var(older, ddof=1) / 60
    z = (np.mean(newer) - np.mean(older)) / math.sqrt(spread)
    assert (found.newer, found.older) == pytest.approx((6.75, 4.5))
    assert found.p_value == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-9)
    assert compare_means(means(older), means(newer)).p_value == pytest.approx(1 - found.p_value)
    assert math.isnan(compare_means(means([1.0] * 9), means([1.0] * 9)).p_value), "no spread at all"


def test_means_that_change_with_time_are_compared_at_the_same_times() -> None:
    rng = np.random.default_rng(7)
    low, high = rng.normal(1, 1, 4000), rng.normal(9, 1, 4000)
    newer = means([*low[:200]], [*high[:3000]])
    older = means([*low[200:]], [*high[3000:]])
    assert compare_means(newer, older).p_value > 0.05


def test_two_classes_are_the_test_of_shares_without_its_correction() -> None:
    found = compare_distributions(np.array([[60.0, 940.0]]), np.array([[30.0, 970.0]]))
    chi_square = (60 * 970 - 940 * 30) ** 2 * 1999 / (1000 * 1000 * 90 * 1910)
    assert found.newer == pytest.approx(0.03)
    assert found.p_value == pytest.approx(math.erfc(math.sqrt(chi_square / 2)), rel=1e-9)


def test_several_classes_are_pearsons_chi_square_but_for_one_event() -> None:
    counts = np.array([[50.0, 30.0, 20.0], [30.0, 40.0, 30.0]])
    found = compare_distributions(counts[:1], counts[1:])
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    pearson = float(((counts - expected) ** 2 / expected).sum())
    assert found.p_value == pytest.approx(math.exp(-pearson * 199 / 200 / 2), rel=1e-9)
    assert found.newer == pytest.approx(0.2)


def test_classes_that_hardly_occur_do_not_decide() -> None:
    same = np.array([[500.0, 500.0, 0.0]])
    rare = np.array([[499.0, 500.0, 1.0]])
    assert compare_distributions(rare, same).p_value > 0.9
    assert math.isnan(compare_distributions(np.array([[9.0, 0.0]]), np.array([[9.0, 0.0]])).p_value)


def test_equal_sides_have_evenly_spread_p_values() -> None:
    """Of 4,000 comparisons of equals, few are below each level, about as many as it says."""
    rng = np.random.default_rng(11)
    p_values = []
    for _ in range(4000):
        n1, n0 = rng.integers(20, 200, 12), rng.integers(200, 2000, 12)
        share = rng.uniform(0.01, 0.2, 12)
        newer, older = rng.binomial(n1, share), rng.binomial(n0, share)
        found = compare_shares(
            shares(*zip(newer.tolist(), n1.tolist(), strict=True)),
            shares(*zip(older.tolist(), n0.tolist(), strict=True)),
        )
        p_values.append(found.p_value)
    below = [float((np.array(p_values) < level).mean()) for level in (0.1, 0.01)]
    assert 0.05 < below[0] <= 0.11
    assert 0.002 < below[1] <= 0.014
