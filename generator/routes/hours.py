"""Quiet hours and maintenance windows as Alertmanager's time intervals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

from contract.spec import WEEKDAYS, Hours, Maintenance, QuietHours, Spec
from generator.routes.names import maintenance_name, quiet_name
from generator.text import quoted

__all__ = ["render_intervals"]

_MIDNIGHT: Final = 24 * 60


def render_intervals(spec: Spec) -> list[dict[str, Any]]:
    """All intervals that routes name, each with the periods it is made of."""
    quiet = [
        {"name": quiet_name(name, index), "time_intervals": list(_quiet(hours))}
        for name, team in spec.teams.items()
        for index, hours in enumerate(team.quiet_hours)
    ]
    maintained = [
        {"name": maintenance_name(index), "time_intervals": list(_once(maintenance))}
        for index, maintenance in enumerate(spec.maintenance)
    ]
    return [*quiet, *maintained]


# Quiet hours


def _quiet(quiet: QuietHours) -> Iterator[dict[str, Any]]:
    days = [WEEKDAYS.index(day) for day in quiet.weekdays]
    for hours in quiet.times:
        if hours.start < hours.end:
            yield _weekly(hours, days, quiet.location)
            continue
        # An interval of Alertmanager ends with its day.
        yield _weekly(Hours(hours.start, _MIDNIGHT), days, quiet.location)
        if hours.end:
            after = sorted((day + 1) % len(WEEKDAYS) for day in days)
            yield _weekly(Hours(0, hours.end), after, quiet.location)


def _weekly(hours: Hours, days: list[int], location: str) -> dict[str, Any]:
    every = len(days) == len(WEEKDAYS)
    return {
        "times": [_times(hours.start, hours.end)],
        **({} if every else {"weekdays": [WEEKDAYS[day] for day in days]}),
        "location": location,
    }


def _times(start: int, end: int) -> dict[str, str]:
    # In quotes: YAML 1.1 reads 22:00 as a number of base sixty.
    return {"start_time": quoted(_clock(start)), "end_time": quoted(_clock(end))}


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


# Maintenance


def _once(maintenance: Maintenance) -> Iterator[dict[str, Any]]:
    """Periods of one day or of whole days of one month, which Alertmanager can say of a date."""
    begins, ends = maintenance.begins, maintenance.ends
    last = ends - dt.timedelta(minutes=1)
    day = begins.date()
    while day <= last.date():
        start = _minute(begins) if day == begins.date() else 0
        end = _minute(last) + 1 if day == last.date() else _MIDNIGHT
        until = day
        if (start, end) == (0, _MIDNIGHT):
            until = _end_of_whole_days(day, last)
        yield {
            **({} if (start, end) == (0, _MIDNIGHT) else {"times": [_times(start, end)]}),
            "days_of_month": [quoted(_span(day.day, until.day))],
            "months": [quoted(str(day.month))],
            "years": [quoted(str(day.year))],
            "location": "UTC",
        }
        day = until + dt.timedelta(days=1)


def _minute(moment: dt.datetime) -> int:
    return moment.hour * 60 + moment.minute


def _end_of_whole_days(day: dt.date, last: dt.datetime) -> dt.date:
    """The last day of the same month up to which days are whole."""
    whole = last.date()
    if _minute(last) + 1 != _MIDNIGHT:
        whole -= dt.timedelta(days=1)
    next_month = dt.date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return min(whole, next_month - dt.timedelta(days=1))


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}:{last}"
