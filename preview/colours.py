"""Grafana's colours by name, and the two themes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = [
    "DARK",
    "LIGHT",
    "THEMES",
    "Theme",
    "blend",
    "palette",
    "resolve_colour",
    "scheme_colour",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of a page that are not data."""

    name: str
    page: str
    panel: str
    border: str
    grid: str
    text: str
    faint: str
    track: str
    link: str


DARK: Final = Theme(
    name="dark",
    page="#111217",
    panel="#181b1f",
    border="#2a2d34",
    grid="#2b2e35",
    text="#d5d6e0",
    faint="#9a9ba8",
    track="#25282e",
    link="#6e9fff",
)
LIGHT: Final = Theme(
    name="light",
    page="#f4f5f5",
    panel="#ffffff",
    border="#dfe1e5",
    grid="#e6e7ea",
    text="#24292e",
    faint="#5f6571",
    track="#eceef0",
    link="#1f62e0",
)
THEMES: Final = {theme.name: theme for theme in (DARK, LIGHT)}

# From dark to light: the prefixes that Grafana puts before a hue's name.
_SHADES: Final = ("dark-", "semi-dark-", "", "light-", "super-light-")
_HUES: Final = {
    "red": ("#C4162A", "#E02F44", "#F2495C", "#FF7383", "#FFA6B0"),
    "orange": ("#FA6400", "#FF780A", "#FF9830", "#FFB357", "#FFCB7D"),
    "yellow": ("#E0B400", "#F2CC0C", "#FADE2A", "#FFEE52", "#FFF899"),
    "green": ("#37872D", "#56A64B", "#73BF69", "#96D98D", "#C8F2C2"),
    "blue": ("#1F60C4", "#3274D9", "#5794F2", "#8AB8FF", "#C0D8FF"),
    "purple": ("#8F3BB8", "#A352CC", "#B877D9", "#CA95E5", "#DEB6F2"),
}
_NAMED: Final = {
    prefix + hue: colour
    for hue, colours in _HUES.items()
    for prefix, colour in zip(_SHADES, colours, strict=True)
}
_PALETTE: Final = (
    "green", "semi-dark-yellow", "light-blue", "semi-dark-orange", "red", "blue", "purple",
    "#705DA0", "dark-green", "yellow", "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62",
    "#584477", "light-green", "#F4D598", "#70DBED", "#F9BA8F", "#F29191", "#82B5D8", "#E5A8E2",
)  # fmt: skip


def resolve_colour(name: str, theme: Theme) -> str:
    """A colour of a dashboard as #rrggbb; what isn't known is the theme's text colour."""
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        return name
    if name in ("text", ""):
        return theme.text
    if name == "transparent":
        return theme.panel
    if name in _NAMED:
        # Pale colours don't show on white.
        prefix, _, hue = name.rpartition("-")
        if theme.name == "light" and not prefix and hue in ("yellow", "green", "orange"):
            return _NAMED[f"semi-dark-{hue}"]
        return _NAMED[name]
    if found := re.fullmatch(r"rgba?\((\d+),\s*(\d+),\s*(\d+)(?:,\s*[\d.]+)?\)", name):
        return "#{:02x}{:02x}{:02x}".format(*(min(255, int(part)) for part in found.groups()))
    return theme.text


def blend(colour: str, ground: str, opacity: float) -> str:
    """What an opacity of 0 to 1 makes of a colour on that ground, as one solid colour."""
    pairs = [(int(colour[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5)]
    mixed = (round(over * opacity + under * (1 - opacity)) for over, under in pairs)
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def scheme_colour(mode: str, share: float, theme: Theme) -> str:
    """A colour of a continuous scheme, from 0 to 1; schemes of one hue begin at the panel's own."""
    hue = mode.removeprefix("continuous-").rstrip("s").lower()
    if hue in _HUES:
        return blend(_NAMED[f"dark-{hue}"], theme.panel, share)
    stops = {"G": "green", "Y": "yellow", "R": "red", "B": "blue", "P": "purple"}
    names = [stops[part[0]] for part in re.findall(r"[A-Z][a-z]", mode)] or ["blue", "yellow"]
    place = share * (len(names) - 1)
    low = min(int(place), len(names) - 2)
    return blend(_NAMED[names[low + 1]], _NAMED[names[low]], place - low)


def palette(index: int, theme: Theme) -> str:
    """The colour of a series by its place in the panel, as in Grafana's classic palette."""
    return resolve_colour(_PALETTE[index % len(_PALETTE)], theme)
