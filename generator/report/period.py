"""The time that a report is about: read from what somebody wrote, and cut into intervals."""

from __future__ import annotations

import datetime as dt
import os
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic_core import PydanticCustomError

from contract.quantity import Duration

__all__ = ["Interval", "Period", "PeriodError", "local_zone", "read_period", "read_zone", "runs"]

_DAY: Final = 86_400_000
_STEPS: Final = (
    (Duration.parse("2h"), Duration.parse("5m")),
    (Duration.parse("12h"), Duration.parse("30m")),
    (Duration.parse("3d"), Duration.parse("1h")),
    (Duration.parse("92d"), Duration.parse("1d")),
)
_LONGEST_STEP: Final = Duration.parse("1w")
_MOST: Final = 1_000
"""Intervals: more can't be read, and Prometheus would have to be asked in parts."""


class PeriodError(ValueError):
    """A time that can't be read or makes no period; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end`, in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def window(self) -> Duration:
        """The range of a query at its end, a little less: what is at its start is before it.

        Prometheus 2 would take a sample at the very start of a range, too.
        """
        return Duration(max(round(self.seconds * 1000) - 1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a report is about, in whole seconds, and the intervals of its series."""

    start: float
    end: float
    zone: zoneinfo.ZoneInfo
    step: Duration
    intervals: tuple[Interval, ...]
    cut: bool = False
    """Whether it was to end in the future."""

    @property
    def whole(self) -> Interval:
        """All of it."""
        return Interval(self.start, self.end)

    def moment(self, seconds: float) -> dt.datetime:
        """A Unix time in the zone of the report."""
        return dt.datetime.fromtimestamp(round(seconds), self.zone)


def read_period(
    since: str | None,
    until: str | None,
    *,
    now: float,
    zone: zoneinfo.ZoneInfo,
    usual: Duration,
    step: Duration | None = None,
    shortest: Duration,
) -> Period:
    """The period that two texts mean; without the first, `usual` before its end.

    A text is a duration before the end (7d), a month, a date, a time (ISO 8601) or `now`. Of a
    month or a date, `until` means its end. `shortest` is how fine counts are: what ends now ends
    with the last of them.

    Raises:
        PeriodError: one of them can't be read, or the period is empty or too finely cut.
    """
    end = _moment("--to", until, zone, now=now, ends=True) if until else now
    cut = end > now
    if end >= now:
        # Of what is later nothing is counted yet, and intervals end where counts do.
        end = now - now % shortest.seconds
    end = float(int(end))
    duration = _duration(since) if since else usual
    if duration is not None:
        start = end - duration.seconds
    else:
        start = _moment("--from", since or "", zone, now=now, ends=False)
    start = float(int(start))
    if start >= end:
        raise PeriodError(
            f"--from {since} is not before --to {until or 'now'}: "
            f"{dt.datetime.fromtimestamp(start, zone).isoformat()} and "
            f"{dt.datetime.fromtimestamp(end, zone).isoformat()}"
        )
    if end - start < shortest.seconds:
        raise PeriodError(f"a period is at least {shortest} long: that is how often is counted")
    step = max(step or _step(end - start), shortest)
    if (end - start) / step.seconds > _MOST:
        raise PeriodError(f"--step {step} makes more than {_MOST} intervals: write a longer one")
    edges = [start, *(edge for edge in _edges(start, end, step, zone) if start < edge < end), end]
    intervals = tuple(Interval(*pair) for pair in pairwise(edges))
    return Period(start=start, end=end, zone=zone, step=step, intervals=intervals, cut=cut)


def _step(seconds: float) -> Duration:
    return next((step for length, step in _STEPS if seconds <= length.seconds), _LONGEST_STEP)


def _edges(start: float, end: float, step: Duration, zone: zoneinfo.ZoneInfo) -> Iterator[float]:
    """Where intervals end: at midnights of the zone, or evenly from one on; weeks on Mondays."""
    first = dt.datetime.fromtimestamp(start, zone).date()
    days, rest = divmod(step.milliseconds, _DAY)
    if rest or not days:
        edge = _midnight(first, zone)
        while edge < end:
            yield edge
            edge += step.seconds
        return
    if days == 7:
        first -= dt.timedelta(days=first.weekday())
    while (edge := _midnight(first, zone)) < end:
        yield edge
        first += dt.timedelta(days=days)


def _midnight(date: dt.date, zone: zoneinfo.ZoneInfo) -> float:
    return dt.datetime.combine(date, dt.time(), zone).timestamp()


def runs(intervals: tuple[Interval, ...]) -> Iterator[tuple[int, int]]:
    """The first and the last of intervals in a row that are as long: one range query each."""
    first = 0
    for index in range(1, len(intervals) + 1):
        if index == len(intervals) or intervals[index].seconds != intervals[first].seconds:
            yield first, index - 1
            first = index


# Reading


def _duration(text: str) -> Duration | None:
    try:
        return Duration.parse(text)
    except PydanticCustomError:
        return None


_HOW: Final = "write 7d, 2026-11-01, 2026-11-01T12:00 or a month, 2026-11"


def _moment(option: str, text: str, zone: zoneinfo.ZoneInfo, *, now: float, ends: bool) -> float:
    if text == "now":
        return now
    if found := re.fullmatch(r"(\d{4})-(\d\d)", text):
        year, month = int(found[1]), int(found[2])
        if not 1 <= month <= 12 or not 1970 <= year < 9999:
            raise PeriodError(f"{option} {text}: there is no such month; {_HOW}")
        after = dt.date(year + month // 12, month % 12 + 1, 1)
        return _midnight(after if ends else dt.date(year, month, 1), zone)
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            date = dt.date.fromisoformat(text)
            return _midnight(date + dt.timedelta(days=1) if ends else date, zone)
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError):
        if (duration := _duration(text)) is not None:
            return now - duration.seconds
        raise PeriodError(f"{option} {text}: no time; {_HOW}") from None


# Zones

_UTC: Final = ("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu")


def read_zone(name: str) -> zoneinfo.ZoneInfo:
    """A zone by its name. Raises PeriodError."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodError(f"--zone {name}: no such zone; write UTC or Europe/Oslo") from None


def local_zone() -> zoneinfo.ZoneInfo:
    """This machine's zone, where it has a name; else UTC."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        # Where it is a link, it leads to the zone of that name.
        name = str(Path("/etc/localtime").resolve()).rpartition("zoneinfo/")[2]
    name = "UTC" if name in _UTC else name
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo("UTC")
