"""What all dashboards share: variables, links to each other, annotations, time range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from grafanalib import core as grafana

from generator.dashboards.finish import finish
from generator.dashboards.layout import Row, place
from generator.dashboards.tables import Link
from generator.queries import selection
from generator.queries.marks import Marks

__all__ = [
    "TAG",
    "link_here",
    "link_to_feature",
    "link_to_model",
    "model_variables",
    "render",
    "variable",
]

TAG: Final = "ml-observability"
"""Dashboards with this tag are linked to each other."""

RELOAD_ON_TIME_CHANGE: Final = 2
SHARED_CROSSHAIR: Final = 1
NATURAL_DESCENDING: Final = 8
NATURAL_ASCENDING: Final = 7

BUILT_IN_ANNOTATION: Final = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def link_to_model(name: str, version: str, *, keep_team: bool = True) -> Link:
    """The model dashboard for the row of a table; `name` and `version` are its columns' titles.

    `keep_team` carries the chosen teams along, from a dashboard that lets one choose them.
    """
    team = "&${team:queryparam}" if keep_team else ""
    return Link(
        "Open this model",
        f"/d/ml-model?${{datasource:queryparam}}{team}&${{__url_time_range}}"
        f'&var-model=${{__data.fields["{name}"]}}&var-version=${{__data.fields["{version}"]}}',
    )


def link_to_feature(column: str) -> Link:
    """Quality and drift for a feature of the chosen model; `column` is the title of its column."""
    return link_here("ml-quality", "Compare its values with the reference", "feature", column)


def link_here(uid: str, title: str, name: str, column: str) -> Link:
    """A dashboard of one model, the chosen one, with the variable `name` as the row has it."""
    kept = "&".join(f"${{{one}:queryparam}}" for one in ("datasource", "team", "model", "version"))
    return Link(
        title, f'/d/{uid}?{kept}&${{__url_time_range}}&var-{name}=${{__data.fields["{column}"]}}'
    )


def model_variables() -> list[Any]:
    """What chooses one version of one model, the same on every dashboard of one."""
    return [
        variable("team", "Team", selection.teams_variable(), many=True),
        variable("model", "Model", selection.models_variable()),
        variable("version", "Version", selection.versions_variable(), newest_first=True),
    ]


def variable(
    name: str, label: str, query: str, *, many: bool = False, newest_first: bool = False
) -> Any:
    """A variable whose values come from Prometheus; `many` offers several, and All."""
    return grafana.Template(
        name=name,
        label=label,
        query=query,
        includeAll=many,
        multi=many,
        allValue=".*" if many else None,
        refresh=RELOAD_ON_TIME_CHANGE,
        sort=NATURAL_DESCENDING if newest_first else NATURAL_ASCENDING,
    )


def render(
    *,
    uid: str,
    title: str,
    description: str,
    variables: Sequence[Any],
    rows: Sequence[Row],
    marks: Marks,
    time: str = "now-1h",
) -> str:
    """The text of a dashboard's file; `time` is how far it looks back at first."""
    dashboard = grafana.Dashboard(
        uid=uid,
        title=title,
        description=description,
        tags=[TAG],
        editable=False,
        graphTooltip=SHARED_CROSSHAIR,
        refresh="30s",
        time=grafana.Time(time, "now"),
        timezone="browser",
        templating=grafana.Templating([_datasource(), *variables]),
        annotations=grafana.Annotations([BUILT_IN_ANNOTATION, *_annotations(marks)]),
        links=[
            grafana.DashboardLink(
                type="dashboards",
                title="ML dashboards",
                tags=[TAG],
                includeVars=True,
                keepTime=True,
            )
        ],
        panels=place(rows),
    )
    return finish(dashboard)


def _datasource() -> Any:
    return grafana.Template(
        name="datasource", label="Data source", type="datasource", query="prometheus", refresh=1
    )


def _annotations(marks: Marks) -> list[dict[str, Any]]:
    whose = "{{model_name}} {{model_version}}"
    return [
        _annotation(
            "Alerts firing",
            marks.alerts,
            "red",
            titleFormat="{{alertname}}",
            textFormat="{{model_name}} {{feature_name}}",
            tagKeys="severity",
        ),
        _annotation("Deployments", marks.deployments, "blue", titleFormat=f"{whose} deployed"),
        _annotation(
            "Deployed at",
            marks.deployed,
            "blue",
            titleFormat=f"{whose} deployed",
            useValueForTime="on",
        ),
        _annotation(
            "Trainings",
            marks.trained,
            "purple",
            titleFormat=f"{whose} trained",
            useValueForTime="on",
        ),
    ]


def _annotation(name: str, expr: str, colour: str, **more: str) -> dict[str, Any]:
    return {
        "enable": True,
        "expr": expr,
        "hide": False,
        "iconColor": colour,
        "name": name,
        "step": "60s",
        **more,
    }
