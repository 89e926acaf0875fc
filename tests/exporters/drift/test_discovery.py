"""Discoveries among many tests: Benjamini and Hochberg's procedure, group by group."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from exporters.drift.discovery import discoveries

stats = import_module("scipy.stats")

NAN = float("nan")

CASES: dict[str, tuple[list[float], list[int], list[int]]] = {
    "one test needs the rate itself": ([0.009, 0.011], [0, 1], [1, 0]),
    "two tests need half of it, or both": ([0.006, 0.5, 0.006, 0.009], [0, 0, 1, 1], [0, 0, 1, 1]),
    "a value beyond its own rank counts where a later one passes": (
        [0.0049, 0.0074, 0.0075, 0.5],
        [0, 0, 0, 0],
        [1, 1, 1, 0],
    ),
    "what was not tested is no discovery and makes none harder": (
        [NAN, 0.009, NAN],
        [0, 0, 0],
        [0, 1, 0],
    ),
    "nothing tested": ([NAN, NAN], [0, 1], [0, 0]),
    "no rows": ([], [], []),
}


@pytest.mark.parametrize(("p_values", "groups", "expected"), CASES.values(), ids=CASES.keys())
def test_discoveries(p_values: list[float], groups: list[int], expected: list[int]) -> None:
    found = discoveries(np.array(p_values), np.array(groups, dtype=np.int64), 0.01)
    assert found.astype(int).tolist() == expected


def test_discoveries_are_scipys_in_every_group() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(200), 20)
    p_values = random.uniform(size=4000) ** random.choice([1, 3, 8], 4000)
    shuffled = random.permutation(4000)
    found = discoveries(p_values[shuffled], groups[shuffled], 0.01)
    expected = np.concatenate(
        [stats.false_discovery_control(p_values[groups == group]) <= 0.01 for group in range(200)]
    )
    assert found.tolist() == expected[shuffled].tolist()
