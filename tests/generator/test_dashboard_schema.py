"""Every dashboard against what Grafana itself publishes of its JSON, for Grafana 10, 11 and 12."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError

from tests.generator.rendered import DASHBOARDS, Json, each_dashboard

SCHEMAS = {
    path.stem: json.loads(path.read_text())["definitions"]["Published"]["properties"]
    for path in sorted((Path(__file__).parent / "grafana_schema").glob("*.json"))
}
each_grafana = pytest.mark.parametrize("grafana", SCHEMAS)

OF_THE_DATA_SOURCE = {"expr", "step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"}
"""What Prometheus as a data source adds to an annotation; the schema knows only what all share."""


def problems(schema: Json, value: Any, where: str) -> list[str]:
    found = Draft7Validator(schema).iter_errors(value)
    return [f"{where}: {text}" for error in found for text in leaves(error)]


def leaves(error: ValidationError) -> Iterator[str]:
    """What is wrong, of a union what is wrong with its likeliest member."""
    if error.context:
        deepest = max(len(one.absolute_path) for one in error.context)
        for one in error.context:
            if len(one.absolute_path) == deepest:
                yield from leaves(one)
        return
    yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"


def optional(schema: Json) -> Json:
    """Grafana fills what a panel leaves out from the defaults of its kind."""
    return {key: value for key, value in schema.items() if key != "required"}


def without_the_data_source(dashboard: Json) -> Json:
    annotations = [
        {key: value for key, value in one.items() if key not in OF_THE_DATA_SOURCE}
        for one in dashboard["annotations"]["list"]
    ]
    return dashboard | {"annotations": {"list": annotations}}


def test_there_is_a_schema_for_each_of_grafana_10_to_12() -> None:
    assert [version.split(".")[0] for version in SCHEMAS] == ["10", "11", "12"]


@each_grafana
@each_dashboard
def test_a_dashboard_is_what_grafana_publishes(dashboard: Json, grafana: str) -> None:
    schema = SCHEMAS[grafana]["dashboard"]
    assert not problems(schema, without_the_data_source(dashboard), dashboard["uid"])


@each_grafana
@each_dashboard
def test_the_options_of_a_panel_are_those_of_its_kind(dashboard: Json, grafana: str) -> None:
    found = []
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        kind = SCHEMAS[grafana][panel["type"]]["properties"]
        found += problems(optional(kind["options"]), panel["options"], panel["title"])
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if "custom" in kind:
            found += problems(optional(kind["custom"]), custom, panel["title"])
            found += list(wrong_overrides(kind["custom"], panel))
        else:
            assert not custom, f"{panel['title']}: {panel['type']} has no custom fields"
    assert not found


def wrong_overrides(custom: Json, panel: Json) -> Iterator[str]:
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            name = one["id"].removeprefix("custom.")
            if name != one["id"]:
                where = f"{panel['title']}, {override['matcher']['options']}"
                yield from problems(optional(custom), {name: one["value"]}, where)


def test_the_schema_refuses_what_grafana_does_not_know() -> None:
    dashboard = json.loads(json.dumps(next(iter(DASHBOARDS.values()))))
    dashboard["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] = "null"
    dashboard["panels"][1]["yaxes"] = []
    for schema in SCHEMAS.values():
        (first, *_) = problems(schema["dashboard"], without_the_data_source(dashboard), "it")
        assert "null" in first or "yaxes" in first
