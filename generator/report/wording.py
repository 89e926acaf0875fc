"""Figures as people read them: what nobody knows is a dash, and nothing is rounded to a promise."""

from __future__ import annotations

import datetime as dt
from typing import Final

from contract.quantity import Duration
from preview.units import render_value

__all__ = [
    "UNKNOWN",
    "bytes_of",
    "clock",
    "count",
    "date_range",
    "duration",
    "number",
    "one_day",
    "percent",
    "period_name",
    "seconds",
]

UNKNOWN: Final = "–"
_MOST_DIGITS: Final = 7
_PARTS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def percent(ratio: float | None, *, apart_from: float | None = None) -> str:
    """A ratio in percent: as many digits as tell it from 0, from 100 and from what was promised."""
    if ratio is None:
        return UNKNOWN
    others = {other for other in (0.0, 1.0, apart_from) if other is not None and other != ratio}
    for digits in range(2, _MOST_DIGITS):
        text = _trimmed(f"{ratio * 100:,.{digits}f}")
        if text not in {_trimmed(f"{other * 100:,.{digits}f}") for other in others}:
            return f"{text}%"
    return f"{_trimmed(f'{ratio * 100:,.{_MOST_DIGITS}f}')}%"


def _trimmed(text: str) -> str:
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def count(value: float | None) -> str:
    """Events: 1,234,567. What was measured as rates is rounded."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 0.5 or value == 0 else "<1"


def number(value: float | None, unit: str = "short") -> str:
    """Three digits, and the unit as preview.units has it."""
    return UNKNOWN if value is None else render_value(value, unit)


def seconds(value: float | None) -> str:
    """A latency: 12.3 ms."""
    return number(value, "s")


def bytes_of(value: float | None) -> str:
    """An amount of memory: 1.5 GiB."""
    return number(value, "bytes")


def duration(value: float | None) -> str:
    """A time in its two largest units: 3h 12m."""
    if value is None:
        return UNKNOWN
    rest = round(value)
    parts = []
    for size, unit in _PARTS:
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0s"


def clock(moment: dt.datetime | None) -> str:
    """A time, to the minute, in the zone of the report."""
    return UNKNOWN if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def date_range(start: dt.datetime, end: dt.datetime, *, dated: bool = True) -> str:
    """Whole days by their dates, other times to the minute; a date is said once, if at all."""
    if not dated:
        return f"{start:%H:%M}–{_until(end)}"
    if _midnight(start) and _midnight(end):
        last = end - dt.timedelta(days=1)
        return f"{start:%Y-%m-%d}" if last <= start else f"{start:%Y-%m-%d} to {last:%Y-%m-%d}"
    same = start.date() == end.date() or (_midnight(end) and end - start <= dt.timedelta(days=1))
    return f"{clock(start)}{'–' if same else ' to '}{_until(end) if same else clock(end)}"


def _until(end: dt.datetime) -> str:
    """The time of an end on the day that it belongs to."""
    return "24:00" if _midnight(end) else f"{end:%H:%M}"


def one_day(start: dt.datetime, end: dt.datetime) -> bool:
    """Whether a time is of one date, which need not be said again."""
    return start.date() == (end - dt.timedelta(seconds=1)).date()


def _midnight(moment: dt.datetime) -> bool:
    return moment.time() == dt.time()


def period_name(length: float, step: str) -> str:
    """How long a report is and how it is cut: 30d, by day."""
    names = {"1d": "day", "1h": "hour", "1w": "week", "7d": "week"}
    return f"{Duration(round(length) * 1000)}, by {names.get(step, step)}"
