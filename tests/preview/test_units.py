"""Numbers read as Grafana writes them."""

from __future__ import annotations

import math

import pytest

from preview.units import axis_ticks, render_ago, render_value

SHOWN = {
    "a small time is in milliseconds": (0.0213, "s", None, "21.3 ms"),
    "a long time is in hours": (5400, "s", None, "1.5 hours"),
    "one of something has no plural": (3600, "s", None, "1 hour"),
    "a ratio is in percent": (0.1919, "percentunit", 2, "19.19%"),
    "many requests are shortened": (12_340, "reqps", None, "12.3 K req/s"),
    "bytes go by 1024": (1536, "bytes", None, "1.5 KiB"),
    "watts go by 1000": (1500, "watt", None, "1.5 kW"),
    "a rounded value takes the next prefix": (999.9, "short", None, "1 K"),
    "nothing is zero": (0, "s", None, "0 s"),
    "what is not a number is a dash": (math.nan, "s", None, "–"),
    "a unit unknown here is kept": (3, "furlongs", None, "3 furlongs"),
    "a negative value keeps its sign": (-0.002, "s", None, "-2 ms"),
}


@pytest.mark.parametrize(("value", "unit", "decimals", "text"), SHOWN.values(), ids=SHOWN)
def test_a_value_reads(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert render_value(value, unit, decimals) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (10, "a few seconds ago"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (-300, "in 5 minutes"),
    ],
)
def test_a_moment_reads_as_a_distance(seconds: float, text: str) -> None:
    assert render_ago(1000 - seconds, now=1000) == text


def test_ticks_are_round_in_the_unit_they_are_labelled_with() -> None:
    texts = [render_value(tick, "s") for tick in axis_ticks(0, 0.25, "s")]
    assert texts == ["0 s", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms"]
