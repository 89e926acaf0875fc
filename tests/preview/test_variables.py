"""What is put into queries and links."""

from __future__ import annotations

import pytest

from preview.board import Variable
from preview.span import Span, SpanError, resolve_span
from preview.variables import ALL, Choice, put_in, put_in_link

SPAN = Span(since="now-1h", until="now", start=0, end=3600)


def choice(name: str, *chosen: str, many: bool = False, all_value: str | None = None) -> Choice:
    variable = Variable(
        name=name, label=name, kind="query", query="", many=many, all_value=all_value,
        has_all=many, descending=False, current=(), hidden=False,
    )  # fmt: skip
    return Choice(variable=variable, offered=("a", "b.c"), chosen=chosen)


CASES = {
    "one value stands as it is": ({"m": choice("m", "a.b")}, 'x{m="$m"}', 'x{m="a.b"}'),
    "quotes are escaped": ({"m": choice("m", 'a"b')}, '"$m"', '"a\\"b"'),
    "several are a regular expression": (
        {"m": choice("m", "a", "b.c", many=True)},
        "$m",
        "(a|b\\\\.c)",
    ),
    "all is what the dashboard says": (
        {"m": choice("m", ALL, many=True, all_value=".*")},
        "${m}",
        ".*",
    ),
    "all without that is every value": ({"m": choice("m", ALL, many=True)}, "$m", "(a|b\\\\.c)"),
    "an unknown name stays": ({}, "$m [[m]] ${m:raw}", "$m [[m]] ${m:raw}"),
}


@pytest.mark.parametrize(("choices", "text", "filled"), CASES.values(), ids=CASES)
def test_a_query_is_filled(choices: dict[str, Choice], text: str, filled: str) -> None:
    assert put_in(text, choices, {}) == filled


def test_intervals_are_longest_name_first() -> None:
    built_in = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
    text = put_in("[$__rate_interval] [$__interval] [${__range}]", {}, built_in)
    assert text == "[1m] [15s] [1h]"


def test_a_row_of_a_table_leads_to_its_model_with_time_and_variables_kept() -> None:
    url = (
        "/d/ml-model?${team:queryparam}&${__url_time_range}"
        '&var-model=${__data.fields["Model"]}&x=${__value.raw}'
    )
    choices = {"team": choice("team", "a b", "c", many=True)}
    filled = put_in_link(url, choices, SPAN, row={"Model": "fraud & co"}, value="é")
    assert filled == (
        "/d/ml-model?var-team=a+b&var-team=c&from=now-1h&to=now&var-model=fraud%20%26%20co&x=%C3%A9"
    )


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("now-1h", "now", 6400, 10_000),
        ("now-7d", "now-6d", 10_000 - 604_800, 10_000 - 518_400),
        ("1700000000000", "1700000060000", 1_700_000_000, 1_700_000_060),
    ],
)
def test_a_time_range_is_read(since: str, until: str, start: float, end: float) -> None:
    span = resolve_span(since, until, now=10_000)
    assert (span.start, span.end) == (start, end)


@pytest.mark.parametrize(("since", "until"), [("yesterday", "now"), ("now", "now-1h"), ("", "now")])
def test_a_time_range_that_cannot_be_read_is_refused(since: str, until: str) -> None:
    with pytest.raises(SpanError):
        resolve_span(since, until, now=10_000)
