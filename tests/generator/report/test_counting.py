"""From counts to figures, by hand."""

from __future__ import annotations

import math
from typing import Final

import pytest

from generator.report.counting import Quantile, added, budget_spent, quantile, ratio

INF: Final = math.inf

QUANTILES: Final = {
    "in the middle of a bucket": (0.5, {1.0: 0, 2.0: 100, INF: 100}, Quantile(1.5)),
    "the first bucket begins at 0": (0.5, {1.0: 100, INF: 100}, Quantile(0.5)),
    "beyond the last edge": (0.99, {1.0: 50, INF: 100}, Quantile(1.0, beyond=True)),
    "a bucket that nothing falls into": (0.75, {1.0: 50, 2.0: 50, 4.0: 100, INF: 100}, Quantile(3)),
    "at the very edge": (0.5, {1.0: 50, 2.0: 100, INF: 100}, Quantile(1.0)),
    "counts of rates that do not quite grow": (0.9, {1.0: 50.1, 2.0: 50, 4.0: 100, INF: 100}, None),
    "nothing counted": (0.5, {1.0: 0, INF: 0}, None),
    "no buckets": (0.5, {}, None),
    "no edges but inf": (0.5, {INF: 10}, None),
    "without inf nobody knows how many": (0.5, {1.0: 10, 2.0: 20}, None),
}  # fmt: skip


@pytest.mark.parametrize(("share", "buckets", "expected"), QUANTILES.values(), ids=QUANTILES)
def test_quantiles(share: float, buckets: dict[float, float], expected: Quantile | None) -> None:
    found = quantile(share, buckets)
    if buckets.get(1.0) == 50.1:
        assert found
        assert found.value == pytest.approx(2 + 2 * (90 - 50.1) / (100 - 50.1))
    else:
        assert found == expected


def test_nothing_added_up_is_nothing_and_not_0() -> None:
    assert added([None, None]) is None
    assert added([None, 0.0]) == 0
    assert added([0.1] * 10) == 1


def test_a_ratio_to_nothing_is_nothing() -> None:
    assert ratio(0, 0) is None
    assert ratio(None, 5) is None
    assert ratio(0, 5) == 0


def test_a_budget_is_spent_exactly_at_its_target() -> None:
    assert budget_spent(1, 1_000, 0.999) == 1
    assert budget_spent(0, 1_000, 0.999) == 0
    assert budget_spent(3, 0, 0.999) is None
