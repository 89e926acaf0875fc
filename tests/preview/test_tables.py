"""Grafana's transformations, as the dashboards use them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from preview.answer import Answer, Line
from preview.board import Panel, Target
from preview.prometheus import Series
from preview.tables import TableError, build_grid


def panel(*transformations: Mapping[str, object], queries: str = "AB") -> Panel:
    targets = tuple(
        Target(letter=letter, expression="up", legend="", instant=True, form="table")
        for letter in queries
    )
    return Panel(
        id=1,
        x=0,
        y=0,
        width=12,
        height=8,
        kind="table",
        title="",
        description="",
        targets=targets,
        transformations=transformations,
        options={"sortBy": [{"displayName": "Errors", "desc": True}]},
    )


def line(letter: str, value: float, **labels: str) -> Line:
    return Line("", letter, Series(labels, (100.0,), (value,)))


ORGANIZE: dict[str, object] = {
    "id": "organize",
    "options": {
        "excludeByName": {"Time": True},
        "indexByName": {"model": 0, "Value #B": 1, "Value #A": 2},
        "renameByName": {"Value #A": "Errors", "Value #B": "Requests"},
    },
}


def test_rows_that_agree_in_their_labels_are_merged_ordered_renamed_and_sorted() -> None:
    answer = Answer(
        lines=(line("A", 1, model="a"), line("A", 2, model="b"), line("B", 9, model="a"))
    )
    grid = build_grid(panel({"id": "merge"}, ORGANIZE), answer)
    assert grid.columns == ("model", "Requests", "Errors")
    assert grid.rows == (("b", None, 2.0), ("a", 9.0, 1.0))


def test_a_matrix_has_a_row_and_a_column_for_each_value_and_zeros_between() -> None:
    matrix = {
        "id": "groupingToMatrix",
        "options": {
            "columnField": "is",
            "rowField": "said",
            "valueField": "Value",
            "emptyValue": "zero",
        },
    }
    counted = ((5, "yes", "yes"), (1, "no", "yes"), (7, "no", "no"))
    lines = tuple(line("A", value, said=said, **{"is": truth}) for value, said, truth in counted)
    answer = Answer(lines=lines)
    grid = build_grid(panel(matrix, queries="A"), answer)
    assert grid.columns == ("said\\is", "yes", "no")
    assert grid.rows == (("yes", 5.0, 0.0), ("no", 1.0, 7.0))


def test_a_transformation_unknown_here_is_named() -> None:
    with pytest.raises(TableError, match="the transformation calculateField is not drawn here"):
        build_grid(panel({"id": "calculateField"}), Answer())
