"""Tables: rows of labels with a column for each query, and one label against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from grafanalib import core as grafana

from generator.dashboards.field import Override, States, Steps, Unit, by_name, mapping, quiet
from generator.dashboards.panel import PLAIN, Query, Tile, defaults, targets

__all__ = ["Column", "Link", "matrix", "table"]


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
    states: States | None = None
    """What single values are shown as, with their background; green stays as the page is."""
    bar: str = ""
    """Draw the value as a bar of that colour, beside its number."""

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
        if self.states:
            properties["mappings"] = mapping(
                {value: (text, quiet(colour)) for value, (text, colour) in self.states.items()}
            )
        if self.steps is not PLAIN:
            properties["thresholds"] = self.steps.quiet().to_json()
        if self.bar:
            properties |= {
                "min": 0,
                "color": {"mode": "fixed", "fixedColor": self.bar},
                "custom.cellOptions": {"type": "gauge", "mode": "basic"},
            }
        if self.states or self.steps is not PLAIN:
            properties["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        return by_name(self.title, **properties)


def table(
    title: str,
    description: str,
    *queries: Query,
    columns: Sequence[Column],
    no_data: str,
    sort: str,
    ascending: bool = False,
    width: int = 24,
    height: int = 8,
) -> Tile:
    """One row for each set of labels, one column for each of `columns`, ordered by `sort`.

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
        sortBy=[grafana.TableSortByField(displayName=sort, desc=not ascending)],
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
    unit: Unit,
    no_data: str,
    width: int = 12,
    height: int = 8,
) -> Tile:
    """A table of one label against another, such as predicted against actual classes.

    `corner` stands above the rows and beside the columns and says which is which. The higher the
    value the darker its cell.
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
        looks={
            "unit": unit.value,
            "decimals": 0,
            "min": 0,
            "color": {"mode": "continuous-blues"},
            "custom": {"cellOptions": {"type": "color-background", "mode": "basic"}},
        },
        overrides=[by_name(corner, **{"custom.cellOptions": {"type": "auto"}})],
        sortBy=[grafana.TableSortByField(displayName=corner, desc=False)],
    )
    return Tile(panel, width, height)


def _table(
    title: str,
    description: str,
    queries: Sequence[Query],
    no_data: str,
    transformations: list[dict[str, Any]],
    looks: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    instant = [replace(query, instant=True) for query in queries]
    return grafana.Table(
        title=title,
        description=description,
        targets=targets(instant, form="table"),
        transformations=transformations,
        filterable=True,
        unit=Unit.NONE.value,
        extraJson={"fieldConfig": {"defaults": defaults(Unit.NONE, no_data) | dict(looks or {})}},
        **more,
    )
