"""The finishing pass: what grafanalib 0.7 can't say, or says in the words of an older Grafana.

It takes the JSON that grafanalib gives, keeps the keys that Grafana 10 to 12 know, and adds the
rest: the schema version, the data source of every query, the options each kind of panel needs.
"""

from __future__ import annotations

import json
from typing import Any, Final

from grafanalib import core as grafana
from grafanalib._gen import DashboardEncoder

__all__ = ["DATASOURCE", "finish"]

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

SCHEMA_VERSION: Final = 39
"""Of Grafana 10.3; newer ones migrate it when they load, older ones read it as it is."""

PLUGIN_VERSION: Final = "10.3.0"
"""Keeps Grafana from migrating panel options as if they came from version 6."""

GRAFANALIB_POINTS: Final = 100
"""What grafanalib asks for where nobody said how many; Grafana itself goes by the panel's width."""

DASHBOARD_KEYS: Final = (
    "annotations",
    "description",
    "editable",
    "graphTooltip",
    "links",
    "panels",
    "refresh",
    "tags",
    "templating",
    "time",
    "timepicker",
    "timezone",
    "title",
    "uid",
)
PANEL_KEYS: Final = (
    "collapsed",
    "description",
    "fieldConfig",
    "gridPos",
    "id",
    "maxDataPoints",
    "options",
    "panels",
    "targets",
    "title",
    "transformations",
    "type",
)
ROW_KEYS: Final = ("collapsed", "gridPos", "id", "panels", "title", "type")
TARGET_KEYS: Final = ("exemplar", "expr", "format", "instant", "legendFormat", "refId")
VARIABLE_KEYS: Final = (
    "allValue",
    "current",
    "hide",
    "includeAll",
    "label",
    "multi",
    "name",
    "query",
    "refresh",
    "regex",
    "sort",
    "type",
)
LEGACY_OPTIONS: Final = ("fieldOptions", "showThresholdLabels", "showThresholdMarkers")


def finish(dashboard: grafana.Dashboard) -> str:
    """The dashboard as the text of its file: classic JSON, keys sorted, one newline at the end."""
    raw = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    done = _keep(raw, DASHBOARD_KEYS) | {
        "id": None,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "fiscalYearStartMonth": 0,
        "liveNow": False,
        "weekStart": "",
        "panels": [_panel(panel) for panel in raw["panels"]],
        "templating": {"list": [_variable(one) for one in raw["templating"]["list"]]},
        "annotations": {"list": [_annotation(one) for one in raw["annotations"]["list"]]},
        "timepicker": {},
    }
    return json.dumps(done, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _keep(found: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: found[key] for key in keys if found.get(key) is not None}


def _panel(raw: dict[str, Any]) -> dict[str, Any]:
    if raw["type"] == "row":
        return _keep(raw, ROW_KEYS)
    panel = _keep(raw, PANEL_KEYS)
    if panel.get("maxDataPoints") == GRAFANALIB_POINTS:
        del panel["maxDataPoints"]
    panel["datasource"] = DATASOURCE
    panel["pluginVersion"] = PLUGIN_VERSION
    panel["targets"] = [_target(target) for target in raw["targets"]]
    panel["fieldConfig"] = _field_config(panel["fieldConfig"])
    panel["options"] = _options(panel["type"], panel["options"])
    if not panel["transformations"]:
        del panel["transformations"]
    return panel


def _target(raw: dict[str, Any]) -> dict[str, Any]:
    return _keep(raw, TARGET_KEYS) | {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "range": not raw["instant"],
    }


def _field_config(raw: dict[str, Any]) -> dict[str, Any]:
    defaults = {key: value for key, value in raw["defaults"].items() if value is not None}
    defaults["thresholds"] = _thresholds(defaults.get("thresholds", {}))
    defaults.setdefault("mappings", [])
    custom = {key: value for key, value in defaults.pop("custom", {}).items() if value is not None}
    # Since Grafana 10, tables say how a cell looks in cellOptions.
    custom.pop("displayMode", None)
    if custom.get("scaleDistribution", {}).get("type") == "linear":
        custom["scaleDistribution"] = {"type": "linear"}
    return {
        "defaults": defaults | ({"custom": custom} if custom else {}),
        "overrides": raw.get("overrides") or [],
    }


def _thresholds(raw: dict[str, Any]) -> dict[str, Any]:
    steps = raw.get("steps") or [{"color": "text", "value": None}]
    return {"mode": "absolute", "steps": steps}


def _options(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in raw.items() if key not in LEGACY_OPTIONS}
    if kind == "table":
        options["cellHeight"] = "sm"
    if kind in ("timeseries", "state-timeline"):
        options["legend"] = {"showLegend": True} | options["legend"]
    return options


def _variable(raw: dict[str, Any]) -> dict[str, Any]:
    variable = _keep(raw, VARIABLE_KEYS) | {"options": [], "skipUrlSync": False}
    if variable["type"] == "query":
        variable |= {
            "datasource": DATASOURCE,
            "query": {"query": raw["query"], "refId": "Variable"},
        }
    variable["current"] = _start(variable)
    return variable


def _start(variable: dict[str, Any]) -> dict[str, Any]:
    """What is chosen when the page opens. Grafana takes the first value where this is none."""
    if variable["type"] == "datasource":
        return {"selected": False, "text": "Prometheus", "value": "prometheus"}
    if variable["includeAll"]:
        return {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {"selected": False, "text": "", "value": ""}


def _annotation(raw: dict[str, Any]) -> dict[str, Any]:
    return raw if raw.get("builtIn") else raw | {"datasource": DATASOURCE}
