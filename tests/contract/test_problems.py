"""How a problem in a file is printed."""

from __future__ import annotations

from contract.problems import Problem, ProblemsError, render_problems

AGE = Problem("models.yaml", 4, 20, "models[0].slo", "needs a unit, got 250", "write 250ms",
              "      threshold:    250", 3)  # fmt: skip


def test_a_problem_shows_its_line_a_caret_and_what_to_write() -> None:
    assert str(AGE) == (
        "models.yaml:4:20: models[0].slo: needs a unit, got 250\n"
        "  4 |       threshold:    250\n"
        "    |                    ^^^\n"
        "  write 250ms"
    )


def test_a_problem_of_the_whole_file_is_one_line() -> None:
    assert str(Problem("models.yaml", 1, 1, "", "is empty")) == "models.yaml:1:1: is empty"


def test_the_caret_stays_under_tabs_and_within_the_line() -> None:
    assert str(Problem("f", 10, 3, "a", "is wrong", source="\t b", width=99)) == (
        "f:10:3: a: is wrong\n  10 | \t b\n     | \t ^"
    )


def test_problems_come_in_the_order_of_their_places_and_are_counted() -> None:
    later, earlier = Problem("f", 10, 1, "b", "two"), Problem("f", 9, 5, "a", "one")
    assert render_problems([later, earlier]) == "f:9:5: a: one\nf:10:1: b: two\n2 problems in f."
    assert render_problems([later]) == "f:10:1: b: two\n1 problem in f."
    assert ProblemsError([later, earlier]).problems == (earlier, later)
