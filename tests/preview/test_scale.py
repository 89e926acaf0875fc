"""Where an axis starts and ends."""

from __future__ import annotations

import math

import pytest

from preview.draw.scale import limits

VALUES = {
    "values that differ": (0.1, 0.4),
    "values that are the same": (0.3, 0.3),
    "nothing but zeros": (0.0, 0.0),
    "values that differ by how they were rounded": (0.3, math.nextafter(0.3, 1)),
    "the same below zero": (math.nextafter(-0.3, -1), -0.3),
    "the same of large ones": (1e18, math.nextafter(1e18, math.inf)),
}


@pytest.mark.parametrize(("low", "high"), VALUES.values(), ids=VALUES)
def test_an_axis_is_around_the_values_and_has_ticks(low: float, high: float) -> None:
    bottom, top, ticks = limits(low, high, "none", fixed_low=None, fixed_high=None)
    assert bottom <= low <= high <= top
    assert len(ticks) > 1
    assert ticks == sorted(set(ticks))
