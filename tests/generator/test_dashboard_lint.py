"""The rules of Grafana's dashboard-linter, by its own names, over every dashboard.

It is a Go program, which the tests do without: each rule is a few lines here. What a rule asks for
and we do not do is in EXCEPTIONS, with the reason, as its `.lint` file would have it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from contract.catalog import METRICS, Type
from generator.dashboards.field import Unit
from tests.generator.panels import with_choices
from tests.generator.rendered import DASHBOARDS, Json

SOURCE = "${datasource}"
COUNTED = ("rate", "irate", "increase")

VALID_UNITS = {
    "none", "short", "percentunit", "s", "dateTimeFromNow", "bytes", "Bps", "celsius", "watt",
    "joule", "rothz", "hertz", "reqps", "cps", "suffix:×", "percent", "dateTimeAsIso", "ops", "wps",
}  # fmt: skip
"""Of the linter's long list, those that we use."""

EXCEPTIONS = {
    "template-job-rule": "a model is chosen by team, name and version, whoever is scraped for it",
    "template-instance-rule": "the same; replicas add up",
    "target-job-rule": "queries read recorded series, which have no job",
    "target-instance-rule": "the same",
    "target-logql-rule": "nothing asks Loki",
    "target-logql-auto-rule": "nothing asks Loki",
}

ENTRIES = {
    ("target-counter-agg-rule", "Every GPU H"): "errors since the exporter started are the figure",
    ("target-counter-agg-rule", "Every GPU I"): "errors since the driver was loaded are the figure",
}
"""The same for single queries."""


def panels(dashboard: Json) -> Iterator[Json]:
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def targets(dashboard: Json) -> Iterator[tuple[str, str]]:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def parse(expressions: list[str], folder: Path) -> str:
    """What promtool says against them, if anything."""
    rules = [
        {"record": f"test:expression:{index}", "expr": with_choices(one)}
        for index, one in enumerate(expressions)
    ]
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


Rule = Callable[[Json, Path], Iterator[str]]


def template_datasource(dashboard: Json, _: Path) -> Iterator[str]:
    found = [one for one in dashboard["templating"]["list"] if one["type"] == "datasource"]
    if [(one["name"], one["label"], one["query"]) for one in found] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield f"{found}"


def template_label_promql(dashboard: Json, folder: Path) -> Iterator[str]:
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
            if found is None or parse([found[1]], folder):
                yield f"{one['name']}: {one['query']['query']}"


def template_on_time_change_reload(dashboard: Json, _: Path) -> Iterator[str]:
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query" and one["refresh"] != 2:
            yield one["name"]


def uneditable_dashboard(dashboard: Json, _: Path) -> Iterator[str]:
    if dashboard["editable"]:
        yield "editable"


def panel_datasource(dashboard: Json, _: Path) -> Iterator[str]:
    for panel in panels(dashboard):
        if panel["datasource"] != {"type": "prometheus", "uid": SOURCE}:
            yield panel["title"]


def panel_title_description(dashboard: Json, _: Path) -> Iterator[str]:
    for panel in panels(dashboard):
        if not panel["title"] or not panel["description"]:
            yield panel["title"]


def panel_units(dashboard: Json, _: Path) -> Iterator[str]:
    for panel in panels(dashboard):
        if panel["type"] in ("stat", "table", "timeseries", "gauge"):
            config = panel["fieldConfig"]
            units = {
                one["value"]
                for override in config["overrides"]
                for one in override["properties"]
                if one["id"] == "unit"
            } | {config["defaults"].get("unit")}
            if not units <= VALID_UNITS:
                yield f"{panel['title']}: {units - VALID_UNITS}"


def panel_no_targets(dashboard: Json, _: Path) -> Iterator[str]:
    for panel in panels(dashboard):
        if not panel["targets"]:
            yield panel["title"]


def target_promql(dashboard: Json, folder: Path) -> Iterator[str]:
    if wrong := parse([expression for _, expression in targets(dashboard)], folder):
        yield wrong


def target_rate_interval(dashboard: Json, _: Path) -> Iterator[str]:
    for where, expression in targets(dashboard):
        for window in re.findall(r"\bi?rate\([^\[\]]+\[([^\]]+)\]", expression):
            if window != "$__rate_interval":
                yield f"{where}: {window}"


def target_counter_agg(dashboard: Json, _: Path) -> Iterator[str]:
    counters = "|".join(metric.name for metric in METRICS if metric.type is Type.COUNTER)
    for where, expression in targets(dashboard):
        for found in re.finditer(rf"([\w(]*)\b({counters})\b(?:{{[^}}]*}})?(\[?)", expression):
            before = expression[: found.start(2)]
            if not found[3] or not before.endswith(tuple(f"{one}(" for one in COUNTED)):
                yield f"{where}: {found[2]}"


def target_histogram(dashboard: Json, _: Path) -> Iterator[str]:
    """A quantile is taken of rates that keep `le`."""
    for where, expression in targets(dashboard):
        for found in re.finditer(r"histogram_quantile\([^,]+, (sum by \(([^)]*)\))?", expression):
            if found[1] is None or "le" not in found[2].split(", "):
                yield where


RULES: dict[str, Rule] = {
    "template-datasource-rule": template_datasource,
    "template-label-promql-rule": template_label_promql,
    "template-on-time-change-reload-rule": template_on_time_change_reload,
    "uneditable-dashboard": uneditable_dashboard,
    "panel-datasource-rule": panel_datasource,
    "panel-title-description-rule": panel_title_description,
    "panel-units-rule": panel_units,
    "panel-no-targets-rule": panel_no_targets,
    "target-promql-rule": target_promql,
    "target-rate-interval-rule": target_rate_interval,
    "target-counter-agg-rule": target_counter_agg,
    "target-histogram-rule": target_histogram,
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_a_dashboard_keeps_the_rule(dashboard: Json, rule: str, tmp_path: Path) -> None:
    broken = list(RULES[rule](dashboard, tmp_path))
    excused = tuple(entry for name, entry in ENTRIES if name == rule)
    assert not [one for one in broken if not one.startswith(excused)]


def test_an_exception_has_a_reason_and_is_none_of_the_rules_that_are_kept() -> None:
    assert not EXCEPTIONS.keys() & RULES.keys()
    assert all(EXCEPTIONS.values())


def test_every_unit_that_a_panel_can_have_is_one_of_grafanas() -> None:
    assert {unit.value for unit in Unit} <= VALID_UNITS
