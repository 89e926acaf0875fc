"""How values look in Grafana: units, thresholds, mappings and overrides, in its own JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = [
    "OF_LIMIT",
    "WORSE",
    "Override",
    "States",
    "Steps",
    "Unit",
    "by_name",
    "by_regex",
    "dashed",
    "mapping",
    "of_limit",
    "on_the_right",
    "quiet",
]

Override = dict[str, Any]


class Unit(StrEnum):
    """Grafana's names of the units we draw."""

    NONE = "none"
    COUNT = "short"
    PER_SECOND = "reqps"
    EVENTS_PER_SECOND = "cps"
    RATIO = "percentunit"
    SECONDS = "s"
    SINCE = "dateTimeFromNow"
    BYTES = "bytes"
    BYTES_PER_SECOND = "Bps"
    CELSIUS = "celsius"
    WATTS = "watt"
    JOULES = "joule"
    HERTZ = "hertz"


@dataclass(frozen=True, slots=True)
class Steps:
    """Colours from given values on: green below the first, unless `base` says otherwise."""

    at: tuple[tuple[float, str], ...] = ()
    base: str = "green"

    def quiet(self) -> Steps:
        """The same without green: where all is well, a table's cell stays as the page is."""
        return Steps(tuple((value, quiet(colour)) for value, colour in self.at), quiet(self.base))

    def to_json(self) -> dict[str, Any]:
        """The thresholds of a field; the first step is open below."""
        steps: list[dict[str, Any]] = [
            {"color": self.base if self.at else "text", "value": None},
            *({"color": colour, "value": value} for value, colour in self.at),
        ]
        return {"mode": "absolute", "steps": steps}


States = Mapping[str, tuple[str, str]]
"""Texts and colours for single values: {"1": ("up", "green")}."""

OF_LIMIT: Final = Steps(at=((0.8, "orange"), (1, "red")))
"""Of a value as a share of its limit: red from the limit on, orange shortly before."""

WORSE: Final[States] = {"0": ("no", "green"), "1": ("worse", "red")}
"""Of a column that says whether something is worse than models.yaml allows."""


def quiet(colour: str) -> str:
    """A colour of a table's cell: none where all is well."""
    return "transparent" if colour == "green" else colour


def mapping(states: States) -> list[dict[str, Any]]:
    """Values shown as texts and in colours."""
    if not states:
        return []
    options = {
        value: {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(states.items())
    }
    return [{"type": "value", "options": options}]


def by_name(name: str, **properties: Any) -> Override:
    """Properties of the one series or column of that name."""
    return _override("byName", name, properties)


def by_regex(pattern: str, **properties: Any) -> Override:
    """Properties of all series whose names match /pattern/."""
    return _override("byRegexp", f"/{pattern}/", properties)


def of_limit(name: str) -> Override:
    """The number of that name is a share of its limit."""
    return by_name(name, unit=Unit.RATIO.value, decimals=0, thresholds=OF_LIMIT.to_json())


def dashed(pattern: str, colour: str) -> Override:
    """A limit: a thin dashed line that neither stacks nor fills."""
    return by_regex(
        pattern,
        **{
            "color": {"mode": "fixed", "fixedColor": colour},
            "custom.lineStyle": {"fill": "dash", "dash": [10, 10]},
            "custom.fillOpacity": 0,
            "custom.stacking": {"mode": "none", "group": "limit"},
        },
    )


def on_the_right(pattern: str, unit: Unit) -> Override:
    """Series of another unit have the axis at the right to themselves."""
    return by_regex(pattern, unit=unit.value, **{"custom.axisPlacement": "right"})


def _override(matcher: str, options: str, properties: Mapping[str, Any]) -> Override:
    return {
        "matcher": {"id": matcher, "options": options},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }
