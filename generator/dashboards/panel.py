"""The kinds of panels, each as a tile: a grafanalib panel and the room it takes.

Every panel says what it asks (title), how to read the answer (description) and what it means when
there is none (no_data). Expressions come from generator.queries; nothing here writes PromQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafanalib import core as grafana

from generator.dashboards.field import Override, Steps, Unit, by_name, mapping

__all__ = [
    "Column",
    "Link",
    "Query",
    "Tile",
    "bar_gauge",
    "heatmap",
    "matrix",
    "stat",
    "state_timeline",
    "table",
    "time_series",
]

PLAIN: Final = Steps()

SPARKLINE_POINTS: Final = 60
"""A line behind a number is as wide as a thumb."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel. `legend` may name labels as {{label}}; tables need none.

    `instant` asks for one value at the end of the dashboard's time range, not for a line.
    """

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """A panel and its size in grid units: 24 columns wide, 30 pixels a row high."""

    panel: Any
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click on a cell leads. `url` may name other cells of the row."""

    title: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: where its values come from and how they look.

    `source` is a label, or the letter of the query whose values these are.
    """

    source: str
    title: str
    unit: Unit = Unit.NONE
    steps: Steps = PLAIN
    width: int | None = None
    decimals: int | None = None
    link: Link | None = None
    colours: Mapping[str, str] | None = None
    """Background by value, for labels such as the severity."""

    def field(self, queries: int) -> str:
        """What Grafana calls the column before it is renamed, in a table of so many queries."""
        if len(self.source) > 1:
            return self.source
        return f"Value #{self.source}" if queries > 1 else "Value"

    def override(self) -> Override:
        """How Grafana is told of all this."""
        properties: dict[str, Any] = {}
        if self.unit is not Unit.NONE:
            properties["unit"] = self.unit.value
        if self.decimals is not None:
            properties["decimals"] = self.decimals
        if self.width is not None:
            properties["custom.width"] = self.width
        if self.link:
            properties["links"] = [{"title": self.link.title, "url": self.link.url}]
        if self.colours:
            properties["mappings"] = mapping(
                {value: (value, colour) for value, colour in self.colours.items()}
            )
        if self.steps is not PLAIN:
            properties["thresholds"] = self.steps.quiet().to_json()
        if self.colours or self.steps is not PLAIN:
            properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        return by_name(self.title, **properties)


def _targets(queries: Sequence[Query], *, form: str = "time_series") -> list[Any]:
    return [
        grafana.Target(
            expr=query.expr,
            legendFormat=query.legend or "__auto",
            refId=chr(ord("A") + index),
            instant=query.instant,
            format=form,
        )
        for index, query in enumerate(queries)
    ]


def _defaults(unit: Unit, no_data: str, **more: Any) -> dict[str, Any]:
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
    overrides: Sequence[Override] = (),
    width: int = 12,
    height: int = 8,
) -> Tile:
    """Lines over time, their axis from 0; `share` stacks them to 100%, `top` ends the axis."""
    stacking = "percent" if share else "normal" if stacked else "none"
    panel = grafana.TimeSeries(
        title=title,
        description=description,
        targets=_targets(queries),
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
                "defaults": _defaults(unit, no_data, min=0) | ({} if top is None else {"max": top}),
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
    mappings: Mapping[str, tuple[str, str]] | None = None,
    overrides: Sequence[Override] = (),
    history: bool = False,
    width: int = 4,
    height: int = 4,
) -> Tile:
    """One number a query, as large as fits; `history` draws its line behind it.

    Without it Prometheus is asked for one moment only, which is much less work for many models.
    """
    now = [Query(query.expr, query.legend, instant=not history) for query in queries]
    panel = grafana.Stat(
        title=title,
        description=description,
        targets=_targets(now),
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
        targets=_targets(queries),
        extraJson={
            "fieldConfig": {
                "defaults": _defaults(unit, no_data, min=0, max=top, thresholds=steps.to_json())
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
    targets = _targets([Query(query.expr, "{{le}}")], form="heatmap")
    panel = grafana.Heatmap(
        title=title,
        description=description,
        targets=targets,
        extraJson={
            "fieldConfig": {"defaults": _defaults(Unit.NONE, no_data), "overrides": []},
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
            },
        },
    )
    return Tile(panel, width, height)


def state_timeline(
    title: str,
    description: str,
    *queries: Query,
    no_data: str,
    states: Mapping[str, tuple[str, str]],
    width: int = 12,
    height: int = 6,
) -> Tile:
    """A band for each series; `states` gives each value's text and colour."""
    panel = grafana.StateTimeline(
        title=title,
        description=description,
        targets=_targets(queries),
        mappings=mapping(states),
        showValue="never",
        extraJson={
            "fieldConfig": {"defaults": _defaults(Unit.NONE, no_data)},
            "options": {
                "legend": {"showLegend": False, "calcs": []},
                "tooltip": {"sort": "none"},
            },
        },
    )
    return Tile(panel, width, height)


def table(
    title: str,
    description: str,
    *queries: Query,
    columns: Sequence[Column],
    no_data: str,
    sort: str,
    width: int = 24,
    height: int = 8,
) -> Tile:
    """One row for each set of labels, one column for each of `columns`; `sort` descends.

    All queries must give the same labels: rows are merged where all of them agree.
    """
    fields = [column.field(len(queries)) for column in columns]
    transformations = [
        {"id": "merge", "options": {}},
        {
            "id": "filterFieldsByName",
            "options": {"include": {"names": fields}},
        },
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {field: index for index, field in enumerate(fields)},
                "renameByName": {
                    field: column.title for field, column in zip(fields, columns, strict=True)
                },
            },
        },
    ]
    panel = _table(
        title,
        description,
        queries,
        no_data,
        transformations,
        overrides=[column.override() for column in columns],
        sortBy=[grafana.TableSortByField(displayName=sort, desc=True)],
    )
    return Tile(panel, width, height)


def matrix(
    title: str,
    description: str,
    query: Query,
    *,
    rows: str,
    columns: str,
    corner: str,
    no_data: str,
    width: int = 12,
    height: int = 8,
) -> Tile:
    """A table of one label against another, such as predicted against actual classes.

    `corner` stands above the rows and beside the columns and says which is which.
    """
    transformations = [
        {
            "id": "groupingToMatrix",
            "options": {
                "columnField": columns,
                "rowField": rows,
                "valueField": "Value",
                "emptyValue": "zero",
            },
        },
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {},
                "renameByName": {rf"{rows}\{columns}": corner},
            },
        },
    ]
    panel = _table(
        title,
        description,
        [query],
        no_data,
        transformations,
        sortBy=[grafana.TableSortByField(displayName=corner, desc=False)],
    )
    return Tile(panel, width, height)


def _table(
    title: str,
    description: str,
    queries: Sequence[Query],
    no_data: str,
    transformations: list[dict[str, Any]],
    **more: Any,
) -> Any:
    instant = [Query(query.expr, query.legend, instant=True) for query in queries]
    return grafana.Table(
        title=title,
        description=description,
        targets=_targets(instant, form="table"),
        transformations=transformations,
        filterable=True,
        unit=Unit.NONE.value,
        extraJson={"fieldConfig": {"defaults": _defaults(Unit.NONE, no_data)}},
        **more,
    )
