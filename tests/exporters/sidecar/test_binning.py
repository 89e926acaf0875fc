"""Binning by comparing counts what searching the edges for every value counts, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.profile import build_profile
from contract.spec import Model
from exporters.sidecar import binning
from exporters.sidecar.binning import count_upto
from exporters.sidecar.counts import Counts, Histogram, count_rows
from exporters.sidecar.event import MAX_MAGNITUDE, Event
from exporters.sidecar.layout import LATENCY_EDGES, Layout
from exporters.sidecar.rows import Rows
from tests.exporters.sidecar.test_counts import MAIL

TINY = 5e-324
CUTS = [-math.inf, -1e100, -1.0, -TINY, -0.0, 0.0, TINY, 2.2e-308, 0.1, 1.0, 1e16, 1e100, math.inf]
TWO = Layout.of(
    Model(name="two", version="1", task="regression"),
    build_profile({"one": [*range(100)], "two": [*range(100)]}, model_name="two"),
)
EDGES = TWO.numbers.feature_edges[0]

numbers = st.sampled_from([*CUTS, *EDGES, math.nan, -math.nan]) | st.floats()
cuts_of = st.lists(st.sampled_from(CUTS) | st.floats(allow_nan=False), min_size=1)


def searched(column: list[float], cuts: list[float]) -> list[int]:
    """By the definition, one value after the other; NaN has no place."""
    found = np.array([value for value in column if not math.isnan(value)])
    places = np.searchsorted(cuts, found, side="left")
    upto: list[int] = np.cumsum(np.bincount(places, minlength=len(cuts) + 1))[:-1].tolist()
    return upto


@pytest.fixture(params=[0, 1 << 30], ids=["compared", "sorted"], autouse=True)
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test counts few values in both ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binning, "FEW", request.param)
        yield


@settings(max_examples=200)
@given(st.lists(st.tuples(st.lists(numbers, min_size=70, max_size=70), cuts_of), min_size=1))
@example([([TINY, -TINY, 0.0, -0.0, math.nan] * 14, [-TINY, 0.0, TINY])])
def test_what_is_counted_is_what_a_search_finds(
    found: list[tuple[list[float], list[float]]],
) -> None:
    most = max(len(cuts) for _, cuts in found)
    cuts = [sorted(own) + [math.inf] * (most - len(own)) for _, own in found]
    columns = [column for column, _ in found]
    expected = [searched(*pair) for pair in zip(columns, cuts, strict=True)]
    for size in (70, 64, 8, 1):
        upto = count_upto(np.array(columns)[:, :size], np.array(cuts))
        if size == 70:
            assert upto.tolist() == expected
        own = [searched(column[:size], at) for column, at in zip(columns, cuts, strict=True)]
        assert upto.tolist() == own


@pytest.mark.parametrize("room", [1, 5_000, 1 << 30])
@pytest.mark.parametrize("most", [0, 1 << 30])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1023, 1024, 1025, 5000])
def test_neither_the_memory_nor_the_way_changes_a_count(
    monkeypatch: pytest.MonkeyPatch, room: int, most: int, size: int
) -> None:
    made = np.random.default_rng(1)
    cuts = np.sort(made.normal(size=(5, 20)), axis=1)
    columns = made.normal(size=(5, size))
    columns[made.random(columns.shape) < 0.1] = np.nan
    columns[:, ::7] = cuts[:, :1]
    monkeypatch.setattr(binning, "ROOM", room)
    monkeypatch.setattr(binning, "MOST", most)
    own = [searched(*pair) for pair in zip(columns.tolist(), cuts.tolist(), strict=True)]
    assert count_upto(columns, cuts).tolist() == own


def test_nothing_to_compare_with_counts_nothing() -> None:
    assert count_upto(np.ones((3, 4)), np.ones((3, 0))).shape == (3, 0)
    assert count_upto(np.ones((0, 4)), np.ones((0, 5))).shape == (0, 5)


def test_numpy_keeps_the_buffer_that_others_set() -> None:
    before = np.setbufsize(4096)
    try:
        count_upto(np.ones((2, 3)), np.ones((2, 2)))
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(before)


ODD = [math.nan, math.inf, -math.inf, 1e300, -1e300, MAX_MAGNITUDE, -MAX_MAGNITUDE, -0.0, TINY]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(*[st.sampled_from([*ODD, *EDGES]) | st.floats(-2000, 2000)] * 2), min_size=1)
)
def test_columns_count_and_sum_what_each_value_alone_does(found: list[tuple[float, float]]) -> None:
    """Of a feature whose values are all in its range, and beside it of one whose are not."""
    together = counted(np.array(found).T)
    ones = [counted(np.array([pair]).T) for pair in found]
    for name in ("numbers", "number_invalid", "number_beyond"):
        alone = np.sum([getattr(own, name) for own in ones], axis=0)
        assert getattr(together, name).tolist() == alone.tolist()
    for place, total in enumerate(together.number_totals.tolist()):
        valid = [pair[place] for pair in found if abs(pair[place]) <= MAX_MAGNITUDE]
        room = 1e-9 * max(map(abs, valid), default=0.0)
        assert math.isclose(total, math.fsum(valid), abs_tol=room)


def counted(columns: NDArray[np.float64]) -> Counts:
    rows = Rows(TWO, columns.shape[1], np.array([columns.shape[1], 0, 0]))
    rows.features, rows.numbers = columns.shape[1], [columns]
    return count_rows(rows)


@given(st.lists(st.sampled_from([*LATENCY_EDGES, 0.0, TINY, math.nan]) | st.floats(0, 1e6)))
def test_a_histogram_leaves_out_what_is_no_number(found: list[float]) -> None:
    histogram = Histogram.over(LATENCY_EDGES, np.array(found, np.float64))
    known = [value for value in found if not math.isnan(value)]
    upto = [*searched(found, list(LATENCY_EDGES)), len(known)]
    assert np.cumsum(histogram.counts).tolist() == upto
    assert math.isclose(histogram.total, math.fsum(known), rel_tol=1e-9, abs_tol=1e-9)


def test_events_fold_to_the_same_in_any_layout_of_memory() -> None:
    made = np.random.default_rng(2)
    values = made.normal(100, 80, size=(2, 4567))
    rows = [Event("mail", features={"length": one}) for one in values[0].tolist()]
    by_row = Rows.of(MAIL, rows)
    by_column = Rows(MAIL, len(rows), by_row.statuses)
    by_column.features, by_column.categories = len(rows), by_row.categories
    by_column.numbers = [np.asfortranarray(*by_row.tables())]
    left, right = count_rows(by_row), count_rows(by_column)
    assert left.numbers.tolist() == right.numbers.tolist()


def test_rows_that_waited_count_what_each_of_them_does() -> None:
    """Packed ones, small and large tables, one after the other."""
    made = np.random.default_rng(3)
    parts, expected = [], Counts.zero(MAIL)
    for size, packed in (
        (50, True),
        (50, True),
        (10, False),
        (20, False),
        (2500, False),
        (7, True),
    ):
        values = made.normal(100, 80, size=size).tolist()
        rows = Rows.of(MAIL, [Event("mail", features={"length": value}) for value in values])
        if not packed:
            [table] = rows.tables()
            rows.numbers = [np.ascontiguousarray(table)]
        parts.append(rows)
        expected.add(count_rows(rows))
    found = count_rows(Rows.chained(parts))
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert np.allclose(found.number_totals, expected.number_totals)
