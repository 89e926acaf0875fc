"""Variables: the values they offer, what is chosen, and how they are put into texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from preview.board import Board, Variable
from preview.prometheus import Asked, Prometheus, PrometheusError
from preview.span import Span

__all__ = [
    "ALL",
    "Choice",
    "Problem",
    "in_url",
    "put_in",
    "put_in_link",
    "put_in_title",
    "resolve_choices",
]

ALL: Final = "$__all"

_LABEL_VALUES: Final = re.compile(r"label_values\(\s*(?:(.+),\s*)?([a-zA-Z_]\w*)\s*\)", re.DOTALL)
_QUERY_RESULT: Final = re.compile(r"query_result\((.+)\)", re.DOTALL)
_NAME: Final = re.compile(
    r"\$\{(?P<braced>\w+)(?:\.[\w.]+)?(?::(?P<form>\w+))?\}|\$(?P<plain>\w+)|\[\[(?P<old>\w+)\]\]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A variable, the values it offers, and those that are chosen (ALL alone for all of them)."""

    variable: Variable
    offered: tuple[str, ...]
    chosen: tuple[str, ...]

    @property
    def is_all(self) -> bool:
        """Whether everything is chosen."""
        return self.chosen == (ALL,)

    @property
    def text(self) -> str:
        """For people."""
        return "All" if self.is_all else ", ".join(self.chosen) or "none"

    def in_query(self, form: str = "") -> str:
        """The value inside PromQL: several as a regular expression, as Grafana writes them."""
        if self.is_all and self.variable.all_value:
            return self.variable.all_value
        values = self.offered if self.is_all else self.chosen
        if form in ("raw", "csv", "text"):
            return ",".join(values)
        if form == "pipe":
            return "|".join(values)
        if not self.variable.many and not self.variable.has_all and form != "regex":
            return "".join(_in_string(value) for value in values[:1])
        escaped = [_in_string(re.sub(r"([\\^$.*+?()\[\]{}|/])", r"\\\1", each)) for each in values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _in_string(value: str) -> str:
    """Inside the double quotes of PromQL."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be done for a variable."""

    variable: str
    reason: str


def resolve_choices(
    board: Board, wanted: Mapping[str, Sequence[str]], prometheus: Prometheus, span: Span
) -> tuple[dict[str, Choice], list[Problem]]:
    """Each variable's choice by name; later variables may ask with the choices of earlier ones.

    `wanted` are the values of the URL. A value that Prometheus does not know is kept: its panels
    say themselves that there is nothing.
    """
    choices: dict[str, Choice] = {}
    problems: list[Problem] = []
    for variable in board.variables:
        try:
            offered = _offered(variable, choices, prometheus, span)
        except PrometheusError as error:
            problems.append(Problem(variable.name, str(error)))
            offered = []
        asked = [value for value in wanted.get(variable.name, ()) if value]
        chosen = _chosen(variable, offered, asked)
        missing = [value for value in chosen if value != ALL and value not in offered]
        if missing and offered:
            problems.append(
                Problem(variable.name, f"{variable.label}: {', '.join(missing)} is not among them")
            )
        choices[variable.name] = Choice(
            variable=variable, offered=tuple(offered), chosen=tuple(chosen)
        )
    return choices, problems


def _offered(
    variable: Variable, choices: Mapping[str, Choice], prometheus: Prometheus, span: Span
) -> list[str]:
    if variable.kind == "datasource":
        return ["prometheus"]
    if variable.kind in ("custom", "interval", "constant", "textbox"):
        return [value.strip() for value in variable.query.split(",") if value.strip()]
    if variable.kind != "query":
        raise PrometheusError(f"variables of the type {variable.kind} are not drawn here")
    query = put_in(variable.query, choices, {})
    if found := _LABEL_VALUES.fullmatch(query.strip()):
        values = prometheus.label_values(
            found[2], (found[1] or "").strip(), start=span.start, end=span.end
        )
    elif found := _QUERY_RESULT.fullmatch(query.strip()):
        series = prometheus.query(Asked(found[1], span.end))
        values = [str(dict(one.labels)) for one in series]
    else:
        raise PrometheusError(f"{variable.name}: can't read {variable.query!r}")
    return sorted(set(values), key=_natural, reverse=variable.descending)


def _natural(text: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
        for part in re.split(r"(\d+)", text)
        if part
    ]


def _chosen(variable: Variable, offered: Sequence[str], asked: Sequence[str]) -> list[str]:
    if variable.has_all and any(value in (ALL, "All") for value in asked):
        return [ALL]
    if asked:
        return list(asked if variable.many else asked[:1])
    current = [value for value in variable.current if value == ALL or value in offered]
    if current:
        return current
    if variable.has_all:
        return [ALL]
    return list(offered[:1])


def put_in(text: str, choices: Mapping[str, Choice], built_in: Mapping[str, str]) -> str:
    """The text with the variables' values in it, as PromQL wants them; unknown ones stay."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"] or found["old"]
        if name in built_in:
            return built_in[name]
        if name in choices:
            return choices[name].in_query(found["form"] or "")
        return found[0]

    return _NAME.sub(value, text)


def put_in_title(text: str, choices: Mapping[str, Choice]) -> str:
    """The text with the variables' values as people read them; unknown ones stay."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"] or found["old"]
        return choices[name].text if name in choices else found[0]

    return _NAME.sub(value, text)


def in_url(choices: Mapping[str, Choice], span: Span) -> str:
    """The page as a query string: var-model=fraud&from=now-1h&to=now."""
    pairs = [(f"var-{name}", value) for name, one in choices.items() for value in one.chosen]
    return urlencode([*pairs, ("from", span.since), ("to", span.until)])


def put_in_link(
    url: str, choices: Mapping[str, Choice], span: Span, *, row: Mapping[str, str], value: str
) -> str:
    """A data link's URL: ${__data.fields["Model"]}, ${__value.raw}, ${team:queryparam}, times."""

    def field(found: re.Match[str]) -> str:
        return quote(row.get(found[1] or found[2] or "", ""), safe="")

    url = re.sub(r"\$\{__data\.fields(?:\[\"([^\"]+)\"\]|\.(\w+))(?:\.\w+)?\}", field, url)
    url = re.sub(r"\$\{__value\.\w+\}", lambda _: quote(value, safe=""), url)
    url = url.replace("${__url_time_range}", urlencode({"from": span.since, "to": span.until}))

    def variable(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"] or found["old"]
        if name == "__all_variables":
            return urlencode([(f"var-{n}", v) for n, c in choices.items() for v in c.chosen])
        if name not in choices:
            return found[0]
        if found["form"] == "queryparam":
            return urlencode([(f"var-{name}", each) for each in choices[name].chosen])
        return quote(",".join(choices[name].chosen), safe="")

    return _NAME.sub(variable, url)
