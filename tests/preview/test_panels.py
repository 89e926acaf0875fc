"""Each kind of panel, from a few lines of dashboard JSON, on a real Prometheus with data."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from preview.board import read_board
from preview.colours import DARK
from preview.page import render_page
from preview.picture import render_picture
from preview.prometheus import Prometheus
from preview.view import View, look_at

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

OF_CHURN = '{model_name="churn"}'
STEPS = {
    "mode": "absolute",
    "steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}],
}


def look(folder: Path, prometheus: Prometheus, *panels: dict[str, Any]) -> View:
    placed = [
        {"id": index, "title": "It", "gridPos": {"x": 0, "y": 8 * index, "w": 12, "h": 8}, **panel}
        for index, panel in enumerate(panels, start=1)
    ]
    path = folder / "board.json"
    board = {"uid": "b", "title": "Board", "panels": placed}
    path.write_text(json.dumps(board))
    return look_at(
        read_board(path),
        prometheus,
        wanted={},
        since="now-5m",
        until="now",
        theme=DARK,
        scrape_interval=1,
    )


def target(expression: str, legend: str = "it", *, instant: bool = False) -> dict[str, Any]:
    return {"refId": "A", "expr": expression, "legendFormat": legend, "instant": instant}


def texts(page: str) -> list[str]:
    """All that a person can read on the page, outside of scripts and styles."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return [html.unescape(one).strip() for one in re.findall(r">([^<]+)<", page) if one.strip()]


UP = {"type": "value", "options": {"1": {"text": "works", "color": "green"}}}
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a time series has axes in its unit and a legend with values": (
        {
            "type": "timeseries",
            "targets": [target("vector(0.25)")],
            "fieldConfig": {"defaults": {"unit": "percentunit", "min": 0}},
            "options": {"legend": {"displayMode": "table", "calcs": ["lastNotNull", "max"]}},
        },
        ["it", "Last", "Max", "25%", "0%"],
    ),
    "a stat maps its value to a text": (
        {
            "type": "stat",
            "targets": [target("vector(1)", instant=True)],
            "fieldConfig": {"defaults": {"mappings": [UP], "thresholds": STEPS}},
        },
        ["works"],
    ),
    "a gauge writes its value": (
        {
            "type": "gauge",
            "targets": [target("vector(40)", instant=True)],
            "fieldConfig": {"defaults": {"unit": "celsius", "max": 100, "thresholds": STEPS}},
        },
        ["40 °C"],
    ),
    "a bar gauge has a name and a value for each bar": (
        {
            "type": "bargauge",
            "targets": [
                target(
                    f"max by (feature_name) (model:ml_feature_drift_score{OF_CHURN})",
                    "{{feature_name}}",
                    instant=True,
                )
            ],
            "fieldConfig": {"defaults": {"max": 2, "thresholds": STEPS}},
        },
        ["age", "plan"],
    ),
    "a heatmap labels its rows with the edges of the buckets": (
        {
            "type": "heatmap",
            "targets": [
                target(
                    f"sum by (le) (rate(ml_inference_latency_seconds_bucket{OF_CHURN}[15s]))",
                    "{{le}}",
                )
            ],
            "options": {"yAxis": {"unit": "s"}},
        },
        ["50 ms"],
    ),
    "a state timeline names its bands": (
        {
            "type": "state-timeline",
            "targets": [target("min by (job) (up)", "{{job}}")],
            "fieldConfig": {"defaults": {"mappings": [UP]}},
        },
        ["ml-sidecar", "ml-drift"],
    ),
    "a state timeline shows what is there beside what is not": (
        {
            "type": "state-timeline",
            "targets": [
                target("vector(NaN)", "nobody knows"),
                {**target("vector(1)", "known"), "refId": "B"},
            ],
            "fieldConfig": {"defaults": {"mappings": [UP]}},
        },
        ["known"],
    ),
    "a table has its columns' titles and a link in a cell": (
        {
            "type": "table",
            "targets": [target('ml_model_target_info{model_name="churn"}', instant=True)],
            "transformations": [
                {"id": "filterFieldsByName", "options": {"include": {"names": ["model_name"]}}},
                {"id": "organize", "options": {"renameByName": {"model_name": "Model"}}},
            ],
        },
        ["Model", "churn"],
    ),
    "a pie chart gives shares": (
        {
            "type": "piechart",
            "targets": [target("vector(3)", "three"), {**target("vector(1)", "one"), "refId": "B"}],
        },
        ["three", "75%", "one", "25%"],
    ),
    "a bar chart names its bars": (
        {"type": "barchart", "targets": [target("vector(3)", "three", instant=True)]},
        ["three", "3"],
    ),
    "text is Markdown": (
        {"type": "text", "options": {"content": "## Head\n\nRead [this](https://example.com) <b>"}},
        ["Head", "this", "<b>"],
    ),
    "an alert list says that nothing fires": (
        {
            "type": "alertlist",
            "fieldConfig": {"defaults": {"noValue": "Quiet"}},
            "options": {"alertName": "Nothing"},
        },
        ["Quiet"],
    ),
    "a panel without data says why": (
        {
            "type": "timeseries",
            "targets": [target("absent_metric")],
            "fieldConfig": {"defaults": {"noValue": "No data: nobody counts"}},
        },
        ["No data: nobody counts"],
    ),
    "a kind that is not drawn is named": (
        {"type": "geomap", "targets": [target("vector(1)")]},
        ["Panels of the kind geomap are not drawn here; Grafana shows them"],
    ),
    "a table that can't be transformed says which step it can't": (
        {
            "type": "table",
            "targets": [target("vector(1)")],
            "transformations": [{"id": "calculateField"}],
        },
        ["the transformation calculateField is not drawn here"],
    ),
}


@pytest.mark.parametrize(("panel", "expected"), KINDS.values(), ids=KINDS)
def test_a_panel_shows(
    tmp_path: Path, prometheus: Prometheus, panel: dict[str, Any], expected: list[str]
) -> None:
    view = look(tmp_path, prometheus, panel)
    page = render_page(view, {view.board.uid: view.board}, live=False)
    shown = texts(page)
    missing = [text for text in expected if text not in shown]
    assert not missing, f"{missing} not in {shown}"
    picture = tmp_path / "board.png"
    picture.write_bytes(render_picture(view))
    with Image.open(picture) as image:
        assert image.width == 1440
        assert len(np.unique(np.asarray(image.convert("L")))) > 4, "an empty picture"


def test_a_query_that_prometheus_refuses_shows_its_words(
    tmp_path: Path, prometheus: Prometheus
) -> None:
    broken = {"type": "timeseries", "targets": [target("sum(")]}
    view = look(tmp_path, prometheus, broken, {"type": "stat", "targets": [target("vector(7)")]})
    shown = " ".join(texts(render_page(view, {}, live=False)))
    assert "Prometheus refuses the query: " in shown
    assert "unclosed left parenthesis" in shown
    assert "7" in shown.split()


def test_text_of_a_label_cannot_become_markup(tmp_path: Path, prometheus: Prometheus) -> None:
    bad = "</script><img src=x onerror=alert(1)>"
    expression = f'label_replace(vector(1), "x", "{bad}", "", "")'
    kinds = ("timeseries", "stat", "state-timeline", "bargauge", "table")
    panels = [
        {"type": kind, "title": bad, "description": bad, "targets": [target(expression, "{{x}}")]}
        for kind in kinds
    ]
    view = look(tmp_path, prometheus, *panels)
    page = render_page(view, {}, live=False)
    assert "<img" not in page
    assert page.count("</script>") == 2


def styled(page: str, text: str) -> str:
    """The style attribute of the cell that shows a text."""
    found = re.search(rf'style="([^"]*)">{re.escape(text)}</span>', page)
    return found[1] if found else ""


def test_a_matrix_is_darker_where_there_is_more(tmp_path: Path, prometheus: Prometheus) -> None:
    cells = " or ".join(
        f'label_replace(label_replace(vector({value}), "p", "{p}", "", ""), "a", "{a}", "", "")'
        for value, p, a in ((40, "yes", "yes"), (10, "yes", "no"), (20, "no", "no"))
    )
    panel = {
        "type": "table",
        "targets": [target(cells, instant=True)],
        "fieldConfig": {
            "defaults": {
                "min": 0,
                "color": {"mode": "continuous-blues"},
                "custom": {"cellOptions": {"type": "color-background"}},
            }
        },
        "transformations": [
            {
                "id": "groupingToMatrix",
                "options": {"columnField": "a", "rowField": "p", "valueField": "Value"},
            }
        ],
    }
    page = render_page(look(tmp_path, prometheus, panel), {}, live=False)
    assert "background: #1f60c4" in styled(page, "40"), "the most is the scheme's last colour"
    shades = [re.search(r"#(..)(..)(..)", styled(page, text)) for text in ("10", "20", "40")]
    blues = [int(shade[3], 16) for shade in shades if shade]
    assert blues == sorted(blues)
    assert len(blues) == 3


def test_bars_in_cells_are_long_as_their_values(tmp_path: Path, prometheus: Prometheus) -> None:
    rows = " or ".join(
        f'label_replace(vector({value}), "x", "{name}", "", "")'
        for value, name in ((0.5, "half"), (0.25, "quarter"))
    )
    panel = {
        "type": "table",
        "targets": [target(rows, instant=True)],
        "fieldConfig": {
            "defaults": {
                "unit": "percentunit",
                "min": 0,
                "color": {"mode": "fixed", "fixedColor": "blue"},
                "custom": {"cellOptions": {"type": "gauge"}},
            }
        },
        "transformations": [
            {"id": "filterFieldsByName", "options": {"include": {"names": ["x", "Value"]}}}
        ],
    }
    view = look(tmp_path, prometheus, panel)
    page = render_page(view, {}, live=False)
    bars = re.findall(r'<b style="width: ([\d.]+)%; background: #5794F2">', page)
    assert bars == ["100.0", "50.0"]
    assert render_picture(view).startswith(b"\x89PNG")


def test_a_title_names_what_is_chosen(tmp_path: Path, prometheus: Prometheus) -> None:
    variable = {"name": "feature", "type": "custom", "query": "age,plan", "current": {}}
    panel = {
        "id": 1,
        "type": "stat",
        "title": "How has $feature changed?",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [target("vector(1)")],
    }
    path = tmp_path / "board.json"
    board = {"uid": "b", "title": "B", "panels": [panel], "templating": {"list": [variable]}}
    path.write_text(json.dumps(board))
    view = look_at(
        read_board(path),
        prometheus,
        wanted={"feature": ["plan"]},
        since="now-5m",
        until="now",
        theme=DARK,
        scrape_interval=1,
    )
    assert "How has plan changed?" in texts(render_page(view, {}, live=False))


def test_an_annotation_can_say_its_time_itself(tmp_path: Path, prometheus: Prometheus) -> None:
    annotations = [
        {
            "enable": True,
            "expr": f"vector({moment})",
            "name": "Trainings",
            "titleFormat": "trained",
            "useValueForTime": "on",
        }
        for moment in (1_000_000, round((time.time() - 100) * 1000))
    ]
    path = tmp_path / "board.json"
    board = {"uid": "b", "title": "B", "panels": [], "annotations": {"list": annotations}}
    path.write_text(json.dumps(board))
    view = look_at(
        read_board(path),
        prometheus,
        wanted={},
        since="now-5m",
        until="now",
        theme=DARK,
        scrape_interval=1,
    )
    (mark,) = view.marks
    assert (mark.title, mark.kind) == ("trained", "Trainings")
    assert mark.start == pytest.approx(time.time() - 100, abs=30)


def test_two_units_have_an_axis_each(tmp_path: Path, prometheus: Prometheus) -> None:
    watts = {
        "matcher": {"id": "byName", "options": "power"},
        "properties": [{"id": "unit", "value": "watt"}],
    }
    panel = {
        "type": "timeseries",
        "targets": [target("vector(60)", "heat"), {**target("vector(300)", "power"), "refId": "B"}],
        "fieldConfig": {"defaults": {"unit": "celsius", "min": 0}, "overrides": [watts]},
    }
    shown = texts(render_page(look(tmp_path, prometheus, panel), {}, live=False))
    assert "60 °C" in shown
    assert "300 W" in shown
