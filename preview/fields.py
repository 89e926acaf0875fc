"""How a series or a column looks: a panel's defaults with the overrides that match its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from preview.board import Panel
from preview.colours import Theme, palette, resolve_colour
from preview.units import render_value

__all__ = ["Field", "Look", "resolve_field"]


@dataclass(frozen=True, slots=True)
class Look:
    """A value as it is shown; `mapped` when the text comes from a value mapping."""

    text: str
    colour: str
    mapped: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """The finished configuration of one series or column. `config` is Grafana's JSON."""

    name: str
    config: Mapping[str, Any]
    theme: Theme
    index: int = 0

    @property
    def title(self) -> str:
        """The name that is shown."""
        return str(self.config.get("displayName") or self.name)

    @property
    def unit(self) -> str:
        """Grafana's name of the unit."""
        return str(self.config.get("unit") or "none")

    @property
    def decimals(self) -> int | None:
        """Fixed decimals, if any."""
        found = self.config.get("decimals")
        return None if found is None else int(found)

    @property
    def custom(self) -> Mapping[str, Any]:
        """What belongs to the kind of panel."""
        found = self.config.get("custom")
        return found if isinstance(found, Mapping) else {}

    @property
    def links(self) -> list[Mapping[str, Any]]:
        """Data links."""
        return list(self.config.get("links") or ())

    def text(self, value: float) -> str:
        """The number with its unit, whatever mappings say."""
        return render_value(value, self.unit, self.decimals)

    def look(self, value: float | str) -> Look:
        """Text and colour of one value: its mapping, else its unit and threshold."""
        if mapped := self._mapped(value):
            return mapped
        if isinstance(value, str):
            return Look(value, self.theme.text)
        return Look(self.text(value), self.threshold_colour(value))

    def _mapped(self, value: float | str) -> Look | None:
        for mapping in self.config.get("mappings") or ():
            options = mapping.get("options") or {}
            found = None
            if mapping["type"] == "value":
                found = options.get(_key(value))
            elif mapping["type"] == "range" and not isinstance(value, str):
                low, high = options.get("from"), options.get("to")
                inside = (low is None or value >= low) and (high is None or value <= high)
                found = options.get("result") if inside else None
            elif mapping["type"] == "regex":
                pattern = str(options.get("pattern", "")).strip("/")
                found = options.get("result") if re.search(pattern, _key(value)) else None
            elif mapping["type"] == "special":
                empty = isinstance(value, float) and math.isnan(value)
                wanted = options.get("match") in ("null", "nan", "null+nan", "empty")
                found = options.get("result") if empty and wanted else None
            if found:
                shown = found.get("text") or (value if isinstance(value, str) else self.text(value))
                colour = found.get("color")
                return Look(
                    shown,
                    resolve_colour(colour, self.theme) if colour else self.threshold_colour(value),
                    True,
                )
        return None

    def threshold_colour(self, value: float | str) -> str:
        """The colour of the highest threshold that the value reaches."""
        if isinstance(value, str) or math.isnan(value):
            return self.theme.text
        thresholds = self.config.get("thresholds") or {}
        if thresholds.get("mode") == "percentage":
            low, high = float(self.config.get("min") or 0), float(self.config.get("max") or 100)
            value = 100 * (value - low) / (high - low) if high > low else value
        colour = "text"
        for step in thresholds.get("steps") or ():
            if step.get("value") is None or value >= step["value"]:
                colour = step["color"]
        return resolve_colour(colour, self.theme)

    @property
    def series_colour(self) -> str:
        """The colour of a line: fixed by an override, else from the palette by its place."""
        colour = self.config.get("color") or {}
        if colour.get("mode") in ("fixed", "shades") and colour.get("fixedColor"):
            return resolve_colour(colour["fixedColor"], self.theme)
        return palette(self.index, self.theme)


def _key(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else repr(value)
    return str(int(value)) if value == int(value) else repr(value)


def resolve_field(
    panel: Panel, name: str, theme: Theme, *, index: int = 0, letter: str = ""
) -> Field:
    """The look of the series or column of that name; `letter` is the query it comes from."""
    config: dict[str, Any] = {
        **panel.defaults,
        "custom": dict(panel.defaults.get("custom") or {}),
    }
    for override in panel.overrides:
        if not _matches(override.get("matcher") or {}, name, letter):
            continue
        for one in override.get("properties") or ():
            key, value = one["id"], one.get("value")
            if key.startswith("custom."):
                config["custom"][key.removeprefix("custom.")] = value
            else:
                config[key] = value
    return Field(name, config, theme, index)


def _matches(matcher: Mapping[str, Any], name: str, letter: str) -> bool:
    options = matcher.get("options")
    if matcher.get("id") == "byName":
        return bool(options == name)
    if matcher.get("id") == "byRegexp":
        return re.search(str(options).strip("/"), name) is not None
    if matcher.get("id") == "byFrameRefID":
        return bool(options == letter)
    if matcher.get("id") == "byNames":
        return name in (options or {}).get("names", ())
    return False
