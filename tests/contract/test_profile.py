"""The reference profile: bins of any column, kept in a file and read back."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract.profile import (
    CONFIDENCE_EDGES,
    MAX_CATEGORIES,
    CategoryBins,
    NumericBins,
    Profile,
    ProfileError,
    build_profile,
    category_of,
    count_numeric,
    read_profile,
    write_profile,
)


def numeric(values: list[Any], **options: Any) -> NumericBins:
    bins = build_profile({"x": values}, model_name="m", **options).features["x"]
    assert isinstance(bins, NumericBins)
    return bins


def category(values: list[Any], **options: Any) -> CategoryBins:
    bins = build_profile({"x": values}, model_name="m", **options).features["x"]
    assert isinstance(bins, CategoryBins)
    return bins


numbers = st.one_of(
    st.floats(min_value=-1e300, max_value=1e300),
    st.integers(min_value=-(10**20), max_value=10**20),
    st.sampled_from([0, 0.0, -0.0, 1, 0.1, 1e-300, 5e-324, 1e300, -1e300]),
)


@given(st.lists(st.one_of(numbers, st.none(), st.just(math.nan)), min_size=1, max_size=60))
@example([5.0] * 10)
@example([0] * 10)
@example([5e-324, 1e-323])
@example([1e300, -1e300])
@example([2**53, 2**53 + 1, 2**53 + 2])
@example([0.1 + 0.2, 0.3])
@example([-3.0, -2.0, -1.0])
@example([-39_062_499_999_999_996])
def test_counts_and_missing_sum_to_rows_and_no_row_is_outside_the_reference(
    values: list[float | None],
) -> None:
    # As floats, which is how they are counted: larger whole numbers are rounded.
    present = [float(value) for value in values if value is not None and not math.isnan(value)]
    if not present:
        return
    bins = numeric(values)
    assert sum(bins.counts) == len(present)
    assert sum(bins.counts) + bins.missing == len(values)
    assert all(low < high for low, high in itertools.pairwise(bins.edges))
    assert (bins.counts[0], bins.counts[-1]) == (0, 0)
    assert bins.edges[0] < min(present)
    assert max(present) <= bins.edges[-1]
    assert len(bins.counts) <= 12, "ten bins, underflow and overflow"
    assert math.isfinite(bins.mean)
    assert math.isfinite(bins.std)


@given(
    st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=40),
    st.lists(st.floats(allow_nan=False), max_size=40),
)
def test_live_values_fall_into_bins_closed_on_the_right(
    reference: list[float], live: list[float]
) -> None:
    edges = numeric(reference).edges
    counts = count_numeric(edges, np.asarray(live, dtype=np.float64))
    bounds = [-math.inf, *edges, math.inf]
    expected = [
        sum(low < value <= high or (value == low == -math.inf) for value in live)
        for low, high in itertools.pairwise(bounds)
    ]
    assert counts.tolist() == expected


def test_a_column_of_one_value_has_one_bin_that_holds_it_all() -> None:
    bins = numeric([5.0] * 10)
    assert bins.counts == (0, 10, 0)
    assert bins.edges[0] < 5.0 <= bins.edges[1]


def test_one_outlier_among_ten_thousand_does_not_swallow_the_rest() -> None:
    values = [1e6, *np.random.default_rng(1).normal(0, 1, 9_999).tolist()]
    counts = numeric(values).counts
    assert len(counts) == 12
    assert min(counts[1:-1]) > 900


def test_deciles_hold_a_tenth_each_and_bins_can_be_chosen() -> None:
    values = list(range(1_000))
    assert numeric(values).counts[1:-1] == pytest.approx([100] * 10, abs=2)
    assert numeric(values, bins=4).counts[1:-1] == pytest.approx([250] * 4, abs=2)


def test_edges_are_short_enough_to_be_labels() -> None:
    values = np.random.default_rng(1).normal(1_234.5678, 100, 5_000).tolist()
    assert all(len(repr(edge)) <= 8 for edge in numeric(values).edges)


@pytest.mark.parametrize("scale", [1e-250, 1e-9, 1.0, 1e9, 1e250])
def test_the_bins_do_not_depend_on_the_scale_of_the_column(scale: float) -> None:
    values = np.random.default_rng(1).normal(3, 1, 1_000)
    counts = numeric((values * scale).tolist()).counts
    assert counts == pytest.approx(numeric(values.tolist()).counts, abs=5)


def test_mean_and_deviation_are_kept() -> None:
    bins = numeric([1.0, 2.0, 3.0, 4.0, None])
    assert bins.mean == 2.5
    assert bins.std == pytest.approx(math.sqrt(1.25))


def test_numpy_columns_count_as_what_they_hold() -> None:
    assert numeric(list(np.array([1, 2]))).counts == (0, 1, 1, 0)
    assert category(list(np.array([True, False]))).categories == ("false", "true")


CATEGORIES: dict[str, tuple[list[Any], dict[str, int]]] = {
    "texts": (["b", "a", "b", None], {"a": 1, "b": 2, "other": 0}),
    "truth values": ([True, False, True], {"false": 1, "true": 2, "other": 0}),
    "numbers and texts mixed": (["1", 1, 1.0, 2.5], {"1": 3, "2.5": 1, "other": 0}),
    "numbers and truth values mixed": ([True, 1], {"1": 1, "true": 1, "other": 0}),
    "other itself": (["other", "a"], {"a": 1, "other": 1}),
    "empty texts, which no label can hold": (["", "a"], {"a": 1, "other": 1}),
    "quotes and line breaks": (['a"\n', "☃"], {'a"\n': 1, "☃": 1, "other": 0}),
}


@pytest.mark.parametrize(("values", "expected"), CATEGORIES.values(), ids=CATEGORIES)
def test_what_is_not_a_number_is_counted_by_category(
    values: list[Any], expected: dict[str, int]
) -> None:
    bins = category(values)
    assert dict(zip([*bins.categories, "other"], bins.counts, strict=True)) == expected
    assert bins.missing == values.count(None)


def test_numbers_can_be_categories_where_they_are_codes() -> None:
    assert category([404, 200, 200.0], categories=["x"]).categories == ("200", "404")


def test_rare_categories_fold_into_other() -> None:
    values = [f"c{number:03}" for number in range(200) for _ in range(number + 1)]
    bins = category(values)
    assert len(bins.categories) == MAX_CATEGORIES
    assert bins.categories[0] == "c150"
    assert sum(bins.counts) == len(values)
    assert bins.counts[-1] == sum(range(1, 151))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, "true"), (1.0, "1"), (1, "1"), (1.5, "1.5"), ("x", "x"), (-0.0, "0"), (1e6, "1000000")],
)
def test_a_value_has_one_category_whatever_it_was_sent_as(value: Any, expected: str) -> None:
    assert category_of(value) == expected


def test_outputs_stand_apart_from_features() -> None:
    profile = build_profile(
        {"x": [1.0, 2.0], "y": ["a", "b"], "p": [0.5, 1.0], "id": [1, 2]},
        model_name="m",
        model_version="1",
        prediction="y",
        confidence="p",
        exclude=["id"],
    )
    assert list(profile.features) == ["x"]
    assert isinstance(profile.prediction, CategoryBins)
    assert profile.confidence is not None
    assert profile.confidence.edges == CONFIDENCE_EDGES
    assert sum(profile.confidence.counts) == profile.rows == 2


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no rows": ({"x": []}, {}, "at least one row"),
    "no columns": ({}, {}, "at least one row"),
    "columns of two lengths": ({"x": [1], "y": [1, 2]}, {}, "columns of one length"),
    "a column without a value": ({"x": [None, math.nan]}, {}, "'x' has no value in any row"),
    "an infinite value": ({"x": [1.0, math.inf]}, {}, "'x' has an infinite value"),
    "a value too large for an edge above it": ({"x": [1.7e308]}, {}, "one beyond 1e+300"),
    "a whole number too large": ({"x": [10**400]}, {}, "one beyond 1e+300"),
    "an output that is no column": (
        {"x": [1]},
        {"prediction": "y"},
        "no column 'y'; there are x",
    ),
    "a confidence above 1": ({"p": [99.0]}, {"confidence": "p"}, "'p' leaves 0 to 1"),
    "a confidence in words": ({"p": ["high"]}, {"confidence": "p"}, "'p' is not numeric"),
    "a confidence without a value": ({"p": [None]}, {"confidence": "p"}, "'p' has no value"),
    "one bin": ({"x": [1]}, {"bins": 1}, "at least 2 bins, got 1"),
}


@pytest.mark.parametrize(("columns", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_a_column_that_cannot_be_binned_is_refused_by_name(
    columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProfileError) as raised:
        build_profile(columns, model_name="m", **options)
    assert message in str(raised.value)


# The file

columns_of_any_kind = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.one_of(
        st.lists(numbers, min_size=3, max_size=3),
        st.lists(st.text(max_size=5), min_size=3, max_size=3),
        st.lists(st.booleans(), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


@given(columns=columns_of_any_kind)
def test_a_profile_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, list[Any]]
) -> None:
    path = tmp_path_factory.mktemp("profiles") / "deep" / "m.json"
    profile = build_profile(columns, model_name="m", model_version="1.10")
    write_profile(profile, path)
    assert read_profile(path) == profile
    assert list(path.parent.iterdir()) == [path], "nothing else is left behind"


def test_the_same_data_give_the_same_file(tmp_path: Path) -> None:
    for name, rows in (("a", ["x", "y", "z"]), ("b", ["z", "y", "x"])):
        write_profile(build_profile({"c": rows}, model_name="m"), tmp_path / name)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_a_profile_holds_counts_and_no_rows(tmp_path: Path) -> None:
    secret = "born 1971-03-02 in Aachen"
    rows = [secret, *[f"c{number:02}" for number in range(60) for _ in range(2)]]
    write_profile(build_profile({"note": rows}, model_name="m"), tmp_path / "m.json")
    assert secret not in (tmp_path / "m.json").read_text()


GOOD: dict[str, Any] = {
    "profile_version": 1,
    "model_name": "m",
    "rows": 3,
    "features": {"x": {"kind": "numeric", "edges": [0.0, 1.0], "counts": [0, 3, 0]}},
}

BROKEN: dict[str, tuple[str, str]] = {
    "no JSON": ("half", "m.json: the file: Invalid JSON"),
    "an empty file": ("", "m.json: the file: Invalid JSON"),
    "a list": ("[]", "m.json: the file: "),
    "a newer version": (json.dumps({**GOOD, "profile_version": 3}), "m.json: profile_version: "),
    "an unknown key": (json.dumps({**GOOD, "rwos": 1}), "m.json: rwos: Extra inputs"),
    "no rows": (json.dumps({**GOOD, "rows": 0}), "m.json: rows: "),
    "an unknown kind": (
        json.dumps({**GOOD, "features": {"x": {"kind": "text"}}}),
        "m.json: features.x: ",
    ),
    "edges that fall": (
        json.dumps(GOOD).replace("[0.0, 1.0]", "[1.0, 0.0]"),
        "m.json: features.x.numeric: Value error, edges must ascend",
    ),
    "an endless edge": (
        json.dumps(GOOD).replace("[0.0, 1.0]", "[0.0, Infinity]"),
        "m.json: features.x.numeric: Value error, edges must be finite",
    ),
    "counts of another length": (
        json.dumps(GOOD).replace("[0, 3, 0]", "[3]"),
        "m.json: features.x.numeric: Value error, needs 3 counts of 0 or more, got 1",
    ),
    "a negative count": (
        json.dumps(GOOD).replace("[0, 3, 0]", "[0, -3, 0]"),
        "m.json: features.x.numeric: Value error, needs 3 counts of 0 or more",
    ),
    "a reserved category": (
        json.dumps(
            {
                **GOOD,
                "features": {"x": {"kind": "category", "categories": ["other"], "counts": [1, 2]}},
            }
        ),
        "m.json: features.x.category: Value error, categories must differ",
    ),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_profile_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ProfileError) as raised:
        read_profile(tmp_path / "m.json")
    assert str(raised.value).startswith(message)


def test_the_smallest_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(GOOD))
    assert read_profile(tmp_path / "m.json") == Profile.model_validate(GOOD)


def test_a_profile_that_is_not_there_or_not_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="No such file"):
        read_profile(tmp_path / "none.json")
    (tmp_path / "m.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match=r"m\.json: the file: "):
        read_profile(tmp_path / "m.json")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_profile(build_profile({"x": [1]}, model_name="m"), path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.json"]
