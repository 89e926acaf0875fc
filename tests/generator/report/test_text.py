"""Reports as text: whole ones against reviewed files, and their parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import pytest

from generator.report.figures import Kind, Report
from generator.report.page import Cell, Chart, Column, Page, Section, Table
from generator.report.pages import page_of
from generator.report.text import render_text, sparkline
from generator.report.wording import date_range, duration, percent
from tests.generator.report.test_sla import day
from tests.golden_files import Golden

Tell = Callable[..., Report]

REPORTS: Final[dict[str, tuple[Kind, tuple[str, ...], dict[str, str], int]]] = {
    "sla": ("sla", (), {}, 100),
    "sla_narrow": ("sla", ("fraud",), {"since": "2026-10-15", "until": "2026-10-22"}, 80),
    "performance": (
        "performance",
        ("fraud",),
        {"since": "2026-10-24T10:00:00", "until": "2026-10-24T14:00:00", "step": "1h"},
        100,
    ),
    "drift": ("drift", ("fraud",), {"since": "2026-10-25", "until": "2026-10-25"}, 120),
    "drift_narrow": ("drift", (), {"since": "2026-10-25", "until": "2026-10-25"}, 80),
}


@pytest.mark.stack
@pytest.mark.parametrize(("kind", "names", "times", "width"), REPORTS.values(), ids=REPORTS)
def test_a_report_reads_as_reviewed(
    tell: Tell,
    golden: Golden,
    request: pytest.FixtureRequest,
    kind: Kind,
    names: tuple[str, ...],
    times: dict[str, str],
    width: int,
) -> None:
    report = tell(kind, *names, **times)
    text = render_text(page_of(report), width=width)
    assert "nan" not in text.lower()
    assert max(map(len, text.splitlines())) <= width
    address = report.prometheus
    name = request.node.callspec.id
    golden(f"report/{name}.txt", text.replace(address, "127.0.0.1:9090"))


TABLE: Final = Table(
    title="A table",
    columns=(
        Column("What", right=False),
        Column("How much"),
        Column("Why", right=False, optional=True),
    ),
    rows=[[Cell("one thing that has a long name", "bad"), Cell("1,234"), Cell("x" * 30)]],
)
PAGE: Final = Page(
    title="Title",
    period="a time",
    source="somewhere",
    summary=[Cell("all is well", "good")],
    notes=[],
    sections=[
        Section(
            title="m 1",
            badge=Cell("met", "good"),
            blocks=[TABLE, Chart(title="c", unit="s", values=[0.1, None, 0.2])],
        )
    ],
)


def test_without_colour_there_is_no_escape_and_with_it_the_same_words() -> None:
    text, coloured = render_text(PAGE), render_text(PAGE, colour=True)
    assert "\033" not in text
    assert "\033[1;31m" in coloured
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_tables_fit_by_what_is_optional_and_by_wrapping_words(width: int) -> None:
    text = render_text(PAGE, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert ("There is no room here for Why." in text) == (width == 40)
    assert "1,234" in text


def test_a_sparkline_begins_at_0_and_marks_gaps() -> None:
    assert sparkline([0, 1, None, 2, 4]) == "▁▂·▄█".replace("▂", "▃").replace("▄", "▅")
    assert sparkline([0.90, 0.95], from_zero=False) == "▁█"
    assert sparkline([0.9, 0.9], from_zero=False) == "▁▁"
    assert sparkline([None, None]) == "··"


PERCENTS: Final = {
    "two digits are enough": (0.9512, None, "95.12%"),
    "never rounded to all": (0.999996, None, "99.9996%"),
    "all": (1.0, None, "100%"),
    "never rounded to none": (0.0000041, None, "0.0004%"),
    "none": (0.0, None, "0%"),
    "never rounded to what was promised": (0.9989996, 0.999, "99.89996%"),
    "just what was promised": (0.999, 0.999, "99.9%"),
    "overspent": (-12.345, None, "-1,234.5%"),
    "nobody knows": (None, None, "–"),
}


@pytest.mark.parametrize(("ratio", "apart_from", "text"), PERCENTS.values(), ids=PERCENTS)
def test_percents(ratio: float | None, apart_from: float | None, text: str) -> None:
    assert percent(ratio, apart_from=apart_from) == text


def test_durations_have_two_units() -> None:
    assert [duration(each) for each in (0, 59, 3600, 3661, 90_000, None)] == [
        "0s",
        "59s",
        "1h",
        "1h 1m",
        "1d 1h",
        "–",
    ]


def test_a_time_says_its_date_once() -> None:
    assert date_range(day(1), day(2)) == "2026-10-01"
    assert date_range(day(1), day(4)) == "2026-10-01 to 2026-10-03"
    assert date_range(day(1, 10), day(1, 11)) == "2026-10-01 10:00–11:00"
    assert date_range(day(1, 23), day(2)) == "2026-10-01 23:00–24:00"
    assert date_range(day(1, 23), day(2), dated=False) == "23:00–24:00"
    assert date_range(day(1, 23), day(2, 1)) == "2026-10-01 23:00 to 2026-10-02 01:00"
