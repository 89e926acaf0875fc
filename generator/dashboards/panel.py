"""The kinds of panels, each as a tile: a grafanalib panel and the room it takes.

Every panel says what it asks (title), how to read the answer (description) and what it means when
there is none (no_data). Expressions come from generator.queries; nothing here writes PromQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from grafanalib import core as grafana

from generator.dashboards.field import Override, States, Steps, Unit, mapping

__all__ = [
    "PLAIN",
    "Query",
    "Tile",
    "bar_gauge",
    "defaults",
    "heatmap",
    "stat",
    "state_timeline",
    "targets",
    "time_series",
]

PLAIN: Final = Steps()

SPARKLINE_POINTS: Final = 60
"""A line behind a number is as wide as a thumb."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel. `legend` may name labels as {{label}}; tables need none.

    `instant` asks for one value at the end of the dashboard's time range, not for a line;
    `exemplars` marks single requests with their trace, where the series is of a raw histogram.
    """

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A panel and its size in grid units: 24 columns wide, 30 pixels a row high."""

    panel: Any
    width: int
    height: int


def targets(queries: Sequence[Query], *, form: str = "time_series") -> list[dict[str, Any]]:
    """Grafana's JSON of the queries, lettered from A; grafanalib's own has no exemplars."""
    return [
        {
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "refId": chr(ord("A") + index),
            "instant": query.instant,
            "format": form,
            "exemplar": query.exemplars or None,
        }
        for index, query in enumerate(queries)
    ]


def defaults(unit: Unit, no_data: str, **more: Any) -> dict[str, Any]:
    """Grafana's JSON of what holds for all fields of a panel."""
    return {"unit": unit.value, "noValue": no_data, **more}


def time_series(
    title: str,
    description: str,
    *queries: Query,
    unit: Unit,
    no_data: str,
    stacked: bool = False,
    share: bool = False,
    top: float | None = None,
    whole_axis: bool = True,
    overrides: Sequence[Override] = (),
    width: int = 12,
    height: int = 8,
) -> Tile:
    """Lines over time; `share` stacks them to 100%, `top` ends the axis.

    The axis begins at 0; without `whole_axis` it spans what there is, for values whose changes are
    small beside their size or that may be negative.
    """
    stacking = "percent" if share else "normal" if stacked else "none"
    panel = grafana.TimeSeries(
        title=title,
        description=description,
        targets=targets(queries),
        unit=unit.value,
        overrides=list(overrides),
        fillOpacity=30 if stacking != "none" else 0,
        stacking={"mode": stacking, "group": "A"},
        showPoints="never",
        tooltipMode="multi",
        tooltipSort="desc",
        legendDisplayMode="table",
        legendCalcs=["lastNotNull", "max"],
        extraJson={
            "fieldConfig": {
                "defaults": defaults(unit, no_data)
                | ({"min": 0} if whole_axis else {})
                | ({} if top is None else {"max": top}),
            }
        },
    )
    return Tile(panel, width, height)


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: Unit,
    no_data: str,
    steps: Steps = PLAIN,
    decimals: int | None = None,
    mappings: States | None = None,
    overrides: Sequence[Override] = (),
    history: bool = False,
    width: int = 4,
    height: int = 4,
) -> Tile:
    """One number a query, as large as fits; `history` draws its line behind it.

    Without it Prometheus is asked for one moment only, which is much less work for many models.
    """
    now = [replace(query, instant=not history) for query in queries]
    panel = grafana.Stat(
        title=title,
        description=description,
        targets=targets(now),
        format=unit.value,
        maxDataPoints=SPARKLINE_POINTS if history else None,
        noValue=no_data,
        decimals=decimals,
        reduceCalc="lastNotNull",
        graphMode="area" if history else "none",
        colorMode="value" if steps is PLAIN else "background",
        textMode="value_and_name" if len(queries) > 1 else "value",
        thresholds=steps.to_json()["steps"],
        overrides=list(overrides),
        mappings=mapping(mappings or {}),
        extraJson={
            "fieldConfig": {"defaults": {"color": {"mode": "thresholds"}}},
            "options": {"wideLayout": True},
        },
    )
    return Tile(panel, width, height)


def bar_gauge(
    title: str,
    description: str,
    *queries: Query,
    unit: Unit,
    no_data: str,
    steps: Steps,
    top: float,
    width: int = 12,
    height: int = 8,
) -> Tile:
    """A bar for each series, as it stands at the end of the time range."""
    panel = grafana.BarGauge(
        title=title,
        description=description,
        targets=targets(queries),
        extraJson={
            "fieldConfig": {
                "defaults": defaults(unit, no_data, min=0, max=top, thresholds=steps.to_json())
                | {"color": {"mode": "thresholds"}},
                "overrides": [],
            },
            "options": {
                "displayMode": "basic",
                "orientation": "horizontal",
                "valueMode": "color",
                "showUnfilled": True,
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            },
        },
    )
    return Tile(panel, width, height)


def heatmap(
    title: str,
    description: str,
    query: Query,
    *,
    unit: Unit,
    no_data: str,
    width: int = 12,
    height: int = 8,
) -> Tile:
    """The buckets of a histogram over time; the query gives a rate by `le`."""
    panel = grafana.Heatmap(
        title=title,
        description=description,
        targets=targets([replace(query, legend="{{le}}")], form="heatmap"),
        extraJson={
            "fieldConfig": {"defaults": defaults(Unit.NONE, no_data), "overrides": []},
            "options": {
                "calculate": False,
                "color": {
                    "mode": "scheme",
                    "scheme": "Blues",
                    "steps": 64,
                    "reverse": False,
                    "exponent": 0.5,
                    "fill": "blue",
                },
                "cellGap": 1,
                "cellValues": {"unit": Unit.PER_SECOND.value},
                "rowsFrame": {"layout": "auto"},
                "yAxis": {"axisPlacement": "left", "unit": unit.value, "reverse": False},
                "legend": {"show": False},
                "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
                "filterValues": {"le": 1e-9},
                "showValue": "never",
                "exemplars": {"color": "rgba(255,0,255,0.7)"},
            },
        },
    )
    return Tile(panel, width, height)


def state_timeline(
    title: str,
    description: str,
    *queries: Query,
    no_data: str,
    states: States,
    width: int = 12,
    height: int = 6,
) -> Tile:
    """A band for each series; `states` gives each value's text and colour."""
    panel = grafana.StateTimeline(
        title=title,
        description=description,
        targets=targets(queries),
        mappings=mapping(states),
        showValue="never",
        extraJson={
            "fieldConfig": {"defaults": defaults(Unit.NONE, no_data)},
            "options": {
                "legend": {"showLegend": False, "calcs": []},
                "tooltip": {"sort": "none"},
            },
        },
    )
    return Tile(panel, width, height)
