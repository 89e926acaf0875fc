"""Grafana's classic dashboard JSON, as far as it is drawn here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = [
    "GRID_COLUMNS",
    "Annotation",
    "Board",
    "BoardError",
    "Panel",
    "Target",
    "Variable",
    "read_board",
    "read_boards",
]

GRID_COLUMNS: Final = 24


class BoardError(ValueError):
    """A file that is no classic dashboard; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One query of a panel; `form` is time_series, table or heatmap."""

    letter: str
    expression: str
    legend: str
    instant: bool
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `defaults`, `overrides`, `options` and `transformations` are Grafana's own JSON.

    The grid has 24 columns; `x`, `y`, `width` and `height` are in its units.
    """

    id: int
    kind: str
    title: str
    description: str
    x: int
    y: int
    width: int
    height: int
    targets: tuple[Target, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    transformations: tuple[Mapping[str, Any], ...] = ()
    max_points: int | None = None

    @property
    def no_value(self) -> str:
        """What the panel says where it has nothing to show."""
        return str(self.defaults.get("noValue") or "No data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of a dashboard. `query` gives its values, or is the list of them."""

    name: str
    label: str
    kind: str
    query: str
    many: bool
    all_value: str | None
    has_all: bool
    descending: bool
    current: tuple[str, ...]
    hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Marks on the graphs: a mark wherever the expression has a value."""

    name: str
    expression: str
    title: str
    colour: str
    value_is_time: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard. Panels of collapsed rows are listed as if the rows were open."""

    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    since: str
    until: str
    refresh: str
    variables: tuple[Variable, ...]
    panels: tuple[Panel, ...]
    annotations: tuple[Annotation, ...]


def read_boards(folder: Path) -> dict[str, Board]:
    """Every dashboard of a folder by its uid, in the order of their titles.

    Raises:
        BoardError: the folder holds none, or a file is none.
    """
    boards = [read_board(path) for path in sorted(folder.glob("*.json"))]
    if not boards:
        raise BoardError(f"{folder}: holds no dashboards (*.json); make generate writes them")
    return {board.uid: board for board in sorted(boards, key=lambda board: board.title.lower())}


def read_board(path: Path) -> Board:
    """One dashboard's file.

    Raises:
        BoardError: it can't be read, or is no classic dashboard.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _board(raw)
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BoardError(f"{path}: is not JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise BoardError(f"{path}: is no classic Grafana dashboard: {error!r}") from error


def _board(raw: dict[str, Any]) -> Board:
    panels: list[dict[str, Any]] = []
    for panel in raw["panels"]:
        panels += [panel, *(panel.get("panels") or ())]
    time = raw.get("time", {})
    return Board(
        uid=raw["uid"],
        title=raw["title"],
        description=raw.get("description", ""),
        tags=tuple(raw.get("tags", ())),
        since=time.get("from", "now-1h"),
        until=time.get("to", "now"),
        refresh=str(raw.get("refresh") or ""),
        variables=tuple(_variable(one) for one in raw.get("templating", {}).get("list", ())),
        panels=tuple(_panel(one) for one in panels),
        annotations=tuple(
            _annotation(one)
            for one in raw.get("annotations", {}).get("list", ())
            if one.get("enable") and not one.get("builtIn") and one.get("expr")
        ),
    )


def _panel(raw: dict[str, Any]) -> Panel:
    place = raw["gridPos"]
    config = raw.get("fieldConfig", {})
    return Panel(
        id=raw.get("id") or 0,
        kind=raw["type"],
        title=raw.get("title", ""),
        description=raw.get("description", ""),
        x=place["x"],
        y=place["y"],
        width=place["w"],
        height=place["h"],
        targets=tuple(_target(one) for one in raw.get("targets", ()) if not one.get("hide")),
        defaults=config.get("defaults", {}),
        overrides=tuple(config.get("overrides", ())),
        options=raw.get("options", {}),
        transformations=tuple(raw.get("transformations", ())),
        max_points=raw.get("maxDataPoints"),
    )


def _target(raw: dict[str, Any]) -> Target:
    return Target(
        letter=raw["refId"],
        expression=raw["expr"],
        legend=raw.get("legendFormat", "__auto"),
        instant=bool(raw.get("instant")),
        form=raw.get("format", "time_series"),
    )


def _variable(raw: dict[str, Any]) -> Variable:
    query = raw.get("query", "")
    current = (raw.get("current") or {}).get("value", "")
    return Variable(
        name=raw["name"],
        label=raw.get("label") or raw["name"],
        kind=raw["type"],
        query=query.get("query", "") if isinstance(query, dict) else str(query),
        many=bool(raw.get("multi")),
        all_value=raw.get("allValue"),
        has_all=bool(raw.get("includeAll")),
        # Grafana numbers the orders: even ones descend.
        descending=bool(raw.get("sort")) and raw["sort"] % 2 == 0,
        current=tuple(current if isinstance(current, list) else [current] if current else []),
        hidden=raw.get("hide") == 2,
    )


def _annotation(raw: dict[str, Any]) -> Annotation:
    return Annotation(
        name=raw.get("name", ""),
        expression=raw["expr"],
        title=raw.get("titleFormat", ""),
        colour=raw.get("iconColor", "red"),
        value_is_time=raw.get("useValueForTime") in ("on", True),
    )
