from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from grafanalib import core as grafana

from contract.catalog import METRICS, Type
from contract.read import read_spec
from generator.dashboards import render_dashboards
from generator.dashboards.layout import Row, place
from generator.dashboards.panel import Tile
from generator.queries.recorded_serving import LLM_RECORDED
from generator.queries.stack import FOREIGN, STARTING, alerting_works
from generator.rules.recording import RULES
from tests.generator.panels import with_choices
from tests.generator.rendered import ASKED, DASHBOARDS, Json, each_dashboard, each_panel, rendered
from tests.processes import ROOT

RECORDED = (*RULES, *LLM_RECORDED)
"""What runtimes of LLMs fill has no rule while no model runs on one."""

MADE_BY_PROMETHEUS = {"ALERTS", "ALERTS_FOR_STATE", "up", *FOREIGN}
GROUPING = re.compile(
    r"\b(by|without|on|ignoring|group_left|group_right)\s*(\([^)]*\))", re.IGNORECASE
)
OPERATORS = {"and", "or", "unless", "bool", "group_left", "group_right"}


WITHOUT_LINKS = {
    "Which classes does it confuse?": "a class is nowhere looked at alone",
    "Which predictions come now, and which came in training?": "the same",
    "$feature: which values come now, and which came in training?": "a bin is no thing of its own",
}


def metric_names(expression: str) -> set[str]:
    """The names an expression selects series by: what is left when all else is taken away."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = GROUPING.sub(" ", re.sub(r"\boffset \w+", "", bare))
    return {
        word
        for word in re.findall(r"(?<![\w.:$])[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare)
        if word not in OPERATORS
    }


def test_the_dashboards_and_their_provisioning_are_rendered() -> None:
    assert sorted(rendered()) == [
        "grafana/generated/dashboards/business.json",
        "grafana/generated/dashboards/data_quality.json",
        "grafana/generated/dashboards/fleet.json",
        "grafana/generated/dashboards/gpu.json",
        "grafana/generated/dashboards/llm.json",
        "grafana/generated/dashboards/model.json",
        "grafana/generated/dashboards/quality.json",
        "grafana/generated/dashboards/slo.json",
        "grafana/generated/dashboards/stack.json",
        "grafana/generated/provisioning/dashboards/ml.yml",
        "grafana/generated/provisioning/datasources/prometheus.yml",
    ]


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert rendered.__wrapped__() == rendered()


def test_the_number_of_models_changes_no_dashboard() -> None:
    spec = read_spec(ROOT / "models.yaml")
    many = spec.model_copy(
        update={
            "models": tuple(
                spec.models[0].model_copy(update={"name": f"m{number}"}) for number in range(1000)
            )
        }
    )
    assert render_dashboards(many) == render_dashboards(spec)


def test_another_address_of_runbooks_changes_their_links_and_nothing_else() -> None:
    spec = read_spec(ROOT / "models.yaml", addresses={"responder": "127.0.0.1:19104"})
    for path, text in render_dashboards(spec).items():
        before, after = rendered()[path].splitlines(), text.splitlines()
        assert len(before) == len(after)
        changed = [new for old, new in zip(before, after, strict=True) if old != new]
        assert all("127.0.0.1:19104/runbooks/" in line for line in changed), path


@each_dashboard
def test_a_dashboard_is_found_by_uid_and_tag_and_is_not_edited_by_hand(dashboard: Json) -> None:
    assert re.fullmatch(r"ml-[a-z-]+", dashboard["uid"])
    assert dashboard["id"] is None
    assert dashboard["editable"] is False
    assert dashboard["tags"] == ["ml-observability"]
    assert 36 <= dashboard["schemaVersion"] <= 42
    assert dashboard["title"]
    assert dashboard["description"]


@each_dashboard
def test_dashboards_link_to_each_other_and_keep_time_and_variables(dashboard: Json) -> None:
    (link,) = dashboard["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == dashboard["tags"]
    assert link["includeVars"] is True
    assert link["keepTime"] is True


@each_dashboard
def test_alerts_deployments_and_trainings_are_marked(dashboard: Json) -> None:
    _, *marks = dashboard["annotations"]["list"]
    assert [mark["name"] for mark in marks] == [
        "Alerts firing",
        "Deployments",
        "Deployed at",
        "Trainings",
    ]
    assert all(mark["enable"] and mark["datasource"]["uid"] == "${datasource}" for mark in marks)


@each_dashboard
def test_every_row_of_a_table_leads_on(dashboard: Json) -> None:
    for panel in dashboard["panels"]:
        if panel["type"] == "table" and panel["title"] not in WITHOUT_LINKS:
            properties = [
                one["id"]
                for override in panel["fieldConfig"]["overrides"]
                for one in override["properties"]
            ]
            assert "links" in properties, panel["title"]


@each_dashboard
def test_a_link_within_the_dashboards_exists_and_keeps_source_and_time(dashboard: Json) -> None:
    uids = {one["uid"] for one in DASHBOARDS.values()}
    for url in re.findall(r'"url": "(/d/[^"]+)"', json.dumps(dashboard["panels"])):
        assert url.removeprefix("/d/").partition("?")[0] in uids
        assert "${datasource:queryparam}" in url
        assert "${__url_time_range}" in url


@each_dashboard
def test_the_data_source_is_a_variable_and_the_others_reload_with_the_time(
    dashboard: Json,
) -> None:
    source, *others = dashboard["templating"]["list"]
    assert (source["name"], source["label"]) == ("datasource", "Data source")
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    for variable in others:
        assert variable["refresh"] == 2, variable["name"]
        assert variable["label"]
        assert variable["datasource"]["uid"] == "${datasource}"


@each_dashboard
def test_a_link_carries_only_what_can_be_chosen_here(dashboard: Json) -> None:
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{(?!__)(\w+)", json.dumps(dashboard["panels"])))
    assert used <= names


@each_dashboard
def test_panel_ids_are_unique(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(one, int) and one > 0 for one in ids)


@each_dashboard
def test_panels_stay_within_the_grid_and_none_overlaps_another(dashboard: Json) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        cells = itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
        for cell in cells:
            assert cell not in taken, f"{panel['title']} overlaps {taken[cell]} at {cell}"
            taken[cell] = panel["title"]


@each_dashboard
def test_no_two_panels_have_the_same_title(dashboard: Json) -> None:
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(titles)) == len(titles)


@each_panel
def test_a_panel_says_what_it_shows_and_what_no_data_means(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["title"]
    assert len(panel["description"].split()) >= 5
    assert defaults["noValue"]
    # The value axis of a heatmap has a unit of its own.
    assert defaults.get("unit") or panel["type"] == "state-timeline"


@each_panel
def test_a_panel_asks_the_chosen_data_source(panel: Json) -> None:
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    for letter, target in zip("ABCDEFGHIJ", panel["targets"], strict=False):
        assert target["refId"] == letter
        assert target["datasource"] == panel["datasource"]
        assert target["expr"].strip()
        assert target["range"] is not target["instant"]


def test_exemplars_are_asked_of_the_raw_histogram_of_latency() -> None:
    asked = [
        target["expr"]
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        if target.get("exemplar")
    ]
    assert asked
    assert all("ml_inference_latency_seconds_bucket{" in one for one in asked)


@each_panel
def test_a_line_has_a_legend_that_reads(panel: Json) -> None:
    if panel["type"] in ("timeseries", "state-timeline", "bargauge", "heatmap"):
        for target in panel["targets"]:
            assert target["legendFormat"] not in ("", "__auto")


@each_panel
def test_nothing_of_older_grafanas_is_left(panel: Json) -> None:
    text = json.dumps(panel)
    for relic in ('"null"', "fieldOptions", "intervalFactor", "yaxes", "dataFormat", '"steps": ""'):
        assert relic not in text
    thresholds = panel["fieldConfig"]["defaults"]["thresholds"]
    assert thresholds["steps"][0]["value"] is None
    assert all(step["value"] is not None for step in thresholds["steps"][1:])


@each_panel
def test_a_table_names_the_values_of_its_queries_as_grafana_does(panel: Json) -> None:
    changes = {change["id"]: change["options"] for change in panel.get("transformations", ())}
    if "merge" not in changes:
        return
    letters = [target["refId"] for target in panel["targets"]]
    values = {f"Value #{letter}" for letter in letters} if len(letters) > 1 else {"Value"}
    names = changes["filterFieldsByName"]["include"]["names"]
    assert {name for name in names if name.startswith("Value")} == values
    assert set(changes["organize"]["renameByName"]) == set(names)
    # What is said of a column is said of its new name.
    titles = set(changes["organize"]["renameByName"].values())
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["options"] in titles
    assert panel["options"]["sortBy"][0]["displayName"] in titles


def test_every_expression_parses(tmp_path: Path) -> None:
    rules = [
        {"record": f"test:expression:{index}", "expr": with_choices(asked.expression)}
        for index, asked in enumerate(ASKED)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


FIRES: Final = 'ALERTS{alertname="Watchdog", alertstate="firing"}'
SCRAPED: Final = 'up{job="prometheus"}'
STARTED: Final = 'process_start_time_seconds{job="prometheus"}'


@pytest.mark.parametrize(
    ("series", "at", "said"),
    [
        pytest.param({STARTED: "0x20"}, "1m", STARTING, id="starting"),
        pytest.param({STARTED: "0x20"}, "4m", 0, id="broken"),
        pytest.param({STARTED: "0x20", FIRES: "1x20"}, "1m", 1, id="works at once"),
        pytest.param({STARTED: "0x20", FIRES: "1x20"}, "4m", 1, id="works"),
        pytest.param({}, "1m", STARTING, id="nothing was scraped yet"),
        pytest.param({SCRAPED: "1x20"}, "4m", 0, id="nobody knows since when"),
    ],
)
def test_alerting_is_called_broken_only_after_it_had_time_to_start(
    series: dict[str, str], at: str, said: int, tmp_path: Path
) -> None:
    asked = {"expr": alerting_works(), "eval_time": at, "exp_samples": [{"value": said}]}
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "15s", "input_series": given, "promql_expr_test": [asked]}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_is_recorded_or_in_the_catalog() -> None:
    known = MADE_BY_PROMETHEUS | {rule.name for rule in RECORDED}
    for metric in METRICS:
        known |= {metric.name} if metric.type is not Type.HISTOGRAM else set()
        if metric.type is Type.HISTOGRAM:
            known |= {metric.bucket, metric.count, metric.sum}
    for asked in ASKED:
        names = metric_names(with_choices(asked.expression))
        assert names or "__name__=~" in asked.expression, asked
        assert names <= known, f"{asked}: {names - known}"


def test_a_rate_follows_the_zoom_of_the_graph() -> None:
    for asked in ASKED:
        windows = re.findall(r"\brate\([^\[]+\[([^\]]+)\]", asked.expression)
        assert set(windows) <= {"$__rate_interval"}, asked


def test_the_lines_of_many_series_are_chosen_once_for_the_whole_range() -> None:
    # topk at every step would draw each series that was ever among the first.
    for asked in ASKED:
        if "topk(" in asked.expression and not asked.instant:
            assert "[$__range] @ end()" in asked.expression, asked


def test_dashboards_hold_no_promql() -> None:
    for file in (ROOT / "generator" / "dashboards").glob("*.py"):
        text = file.read_text()
        for sign in (*(rule.name for rule in RECORDED), "(rate(", "sum(", '=~"', " by ("):
            assert sign not in text, f"{file.name}: {sign}"


def test_grafana_finds_prometheus_and_the_dashboards_where_the_environment_says() -> None:
    texts = rendered()
    (source,) = yaml.safe_load(texts["grafana/generated/provisioning/datasources/prometheus.yml"])[
        "datasources"
    ]
    assert (source["uid"], source["url"]) == ("prometheus", "${PROMETHEUS_URL}")
    assert source["jsonData"]["timeInterval"] == "15s"
    (provider,) = yaml.safe_load(texts["grafana/generated/provisioning/dashboards/ml.yml"])[
        "providers"
    ]
    assert provider["allowUiUpdates"] is False
    assert provider["options"] == {
        "path": "${DASHBOARDS_PATH}",
        "foldersFromFilesStructure": False,
    }


def test_a_row_number_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unique.*\[1, 1\]"):
        place([Row(1, "One", ()), Row(1, "Another", ())])


def test_tiles_that_do_not_fit_beside_each_other_start_a_new_line() -> None:
    tile = Tile(grafana.Text(), 16, 4)
    panels = place([Row(1, "Row", (tile, tile))])
    assert [(panel.gridPos.x, panel.gridPos.y) for panel in panels] == [(0, 0), (0, 1), (0, 5)]


ONE_OR_ZERO = {
    ("ml-gpu", "Every GPU", "Answers"): {"0": ("lost", "red"), "1": ("yes", "transparent")},
    ("ml-gpu", "Which GPUs are these?", "Answers"): {
        "0": ("lost", "red"),
        "1": ("yes", "transparent"),
    },
    ("ml-model", "How do they compare?", "Worse"): {
        "0": ("no", "transparent"),
        "1": ("worse", "red"),
    },
    ("ml-quality", "Every metric: click on one to see its history", "Worse"): {
        "0": ("no", "transparent"),
        "1": ("worse", "red"),
    },
    ("ml-stack", "Every exporter", "Collects"): {
        "0": ("fails", "red"),
        "1": ("yes", "transparent"),
    },
}
"""Columns of tables whose queries give 1 or 0, and what is shown for it."""


@pytest.mark.parametrize("place", ONE_OR_ZERO, ids=" / ".join)
def test_a_column_of_ones_and_zeros_says_what_they_mean(place: tuple[str, str, str]) -> None:
    uid, title, column = place
    (config,) = (
        panel["fieldConfig"]
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
        if (dashboard["uid"], panel["title"]) == (uid, title)
    )
    (properties,) = (
        {one["id"]: one["value"] for one in override["properties"]}
        for override in config["overrides"]
        if override["matcher"]["options"] == column
    )
    (mapping,) = properties["mappings"]
    shown = {value: (one["text"], one["color"]) for value, one in mapping["options"].items()}
    assert shown == ONE_OR_ZERO[place]
    assert properties["custom.cellOptions"]["type"] == "color-background"
