"""Versions sort as people read them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.version import version_key

ASCENDING = {
    "numbers are no text": ["1.2", "1.9", "1.10", "2", "10"],
    "what comes before a release": [
        "2.0.0.dev3", "2.0.0-alpha.1", "2.0.0-beta", "2.0.0-rc1", "2.0.0-rc2", "2.0.0-rc10",
        "2.0.0", "2.0.0-1", "2.0.1-rc1", "2.0.1",
    ],
    "Python's way of writing it": ["1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1.dev0"],
    "zeros at the end do not matter": ["2.0-rc1", "2.0.0-rc2", "2", "2.0.0+gpu", "2.0.1"],
    "a v in front": ["v1.9", "1.10", "v1.11", "V2"],
    "dates": ["2026-09-30", "2026-10-1", "2026-10-02", "20261003", "2026.11.01", "2027-01-01"],
    "dates with times": ["2026-10-01T09:00", "2026-10-01T10:30:00Z", "202610011145", "2026-10-02"],
    "a day and its second try": ["2026-10-01", "2026-10-01.2", "2026-10-01.10"],
    "words behind a version": ["1.4", "1.4-large", "1.4-small", "1.5"],
    "MLflow's numbers": ["1", "2", "9", "10", "100"],
    "names only": ["blue", "green"],
    "an awkward one": ['2 "beta" \\o/', "2", "3"],
}  # fmt: skip


@pytest.mark.parametrize("ascending", ASCENDING.values(), ids=ASCENDING)
def test_versions_sort_as_people_read_them(ascending: list[str]) -> None:
    assert sorted([*reversed(ascending)], key=version_key) == ascending
    for before, after in itertools.combinations(ascending, 2):
        assert version_key(before) < version_key(after), (before, after)


def test_a_commit_is_one_word() -> None:
    assert sorted(["b7c9d2e", "1a2b3c4d", "a3f9c2e11"], key=version_key) == [
        "1a2b3c4d", "a3f9c2e11", "b7c9d2e",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=12), max_size=8))
def test_whatever_a_version_is_it_has_one_place(versions: list[str]) -> None:
    ordered = sorted(set(versions), key=version_key)
    assert sorted([*reversed(ordered)], key=version_key) == ordered
    assert len({version_key(version) for version in ordered}) == len(ordered)
