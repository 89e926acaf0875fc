"""Times as people write them, and the intervals that a period is cut into."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import pairwise
from typing import Final

import pytest

from contract.quantity import Duration
from generator.report.period import Period, PeriodError, read_period, runs

OSLO: Final = zoneinfo.ZoneInfo("Europe/Oslo")
UTC: Final = zoneinfo.ZoneInfo("UTC")
NOW: Final = dt.datetime(2026, 11, 29, 16, 0, 12, 345_000, tzinfo=dt.UTC).timestamp()


def read(
    since: str | None = None,
    until: str | None = None,
    *,
    zone: zoneinfo.ZoneInfo = UTC,
    step: str | None = None,
) -> Period:
    return read_period(
        since,
        until,
        now=NOW,
        zone=zone,
        usual=Duration.parse("30d"),
        step=Duration.parse(step) if step else None,
        shortest=Duration.parse("5m"),
    )


SAID: Final = {
    "nothing is the SLO window that ends now": (
        None,
        None,
        "2026-10-30T16:00:00",
        "11-29T16:00:00",
    ),
    "a duration is before the end": ("7d", None, "2026-11-22T16:00:00", "11-29T16:00:00"),
    "and that may be given": ("2h", "2026-11-02T12:00", "2026-11-02T10:00:00", "11-02T12:00:00"),
    "a month is all of it": ("2026-10", "2026-10", "2026-10-01T00:00:00", "11-01T00:00:00"),
    "a date ends with its end": (
        "2026-11-01",
        "2026-11-02",
        "2026-11-01T00:00:00",
        "11-03T00:00:00",
    ),
    "an offset counts": (
        "2026-11-01T02:00+02:00",
        "2026-11-02",
        "2026-11-01T00:00:00",
        "11-03T00:00:00",
    ),
    "two durations are both before now": ("1d", "1d", "2026-11-27T16:00:12", "11-28T16:00:12"),
    "the future is cut off": ("2026-11-29", "2026-12-24", "2026-11-29T00:00:00", "11-29T16:00:00"),
}


@pytest.mark.parametrize(("since", "until", "start", "end"), SAID.values(), ids=SAID)
def test_what_is_said_is_a_period(
    since: str | None, until: str | None, start: str, end: str
) -> None:
    period = read(since, until)
    assert f"{period.moment(period.start):%Y-%m-%dT%H:%M:%S}" == start
    assert f"{period.moment(period.end):%Y-%m-%dT%H:%M:%S}" == f"2026-{end}"


REFUSED: Final = {
    "no time": ("yesterday", None, "--from yesterday: no time; write 7d, 2026-11-01"),
    "no such month": ("2026-13", None, "--from 2026-13: there is no such month"),
    "no such day": ("2026-02-30", None, "--from 2026-02-30: no time"),
    "an end before the start": ("2026-11-02", "2026-11-01", "--from 2026-11-02 is not before"),
    "a start in the future": ("2026-12-01", None, "--from 2026-12-01 is not before --to now"),
    "less than is counted": ("1m", None, "a period is at least 5m long"),
    "a bare number": ("7", None, "--from 7: no time"),
}


@pytest.mark.parametrize(("since", "until", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_period_is_refused(since: str, until: str | None, message: str) -> None:
    with pytest.raises(PeriodError) as refused:
        read(since, until)
    assert str(refused.value).startswith(message)


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(PeriodError, match="more than 1000 intervals"):
        read("30d", step="5m")


def test_days_begin_at_midnight_of_the_zone_and_may_have_25_hours() -> None:
    # Clocks go back in Oslo on the 25th.
    period = read("2026-10-24T12:00", "2026-10-27T06:00", zone=OSLO, step="1d")
    hours = [interval.seconds / 3600 for interval in period.intervals]
    assert hours == [12, 25, 24, 6]
    assert [f"{period.moment(one.start):%d %H:%M}" for one in period.intervals] == [
        "24 12:00",
        "25 00:00",
        "26 00:00",
        "27 00:00",
    ]


@pytest.mark.parametrize(
    ("since", "step"),
    [("1h", "5m"), ("6h", "30m"), ("2d", "1h"), ("30d", "1d"), ("180d", "1w")],
)
def test_the_step_follows_the_length(since: str, step: str) -> None:
    assert str(read(since).step) == str(Duration.parse(step))


def test_weeks_begin_on_mondays() -> None:
    starts = [read("180d").moment(one.start) for one in read("180d").intervals]
    assert {start.weekday() for start in starts[1:]} == {0}


def test_intervals_cover_the_period_once() -> None:
    period = read("2026-10-03T05:17", "2026-11-09T11:42", zone=OSLO)
    edges = [(one.start, one.end) for one in period.intervals]
    assert edges[0][0] == period.start
    assert edges[-1][1] == period.end
    assert all(before[1] == after[0] for before, after in pairwise(edges))


def test_intervals_that_are_as_long_are_one_question() -> None:
    period = read("2026-10-24T12:00", "2026-10-28T06:00", zone=OSLO, step="1d")
    assert list(runs(period.intervals)) == [(0, 0), (1, 1), (2, 3), (4, 4)]
