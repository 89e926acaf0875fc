"""Quiet hours and maintenance: what Alertmanager is told is what models.yaml says."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contract.spec import WEEKDAYS, Maintenance, Model, Spec, Team
from generator.routes import TEMPLATES, render_routes

MODEL = Model(name="m", version="1", task="regression")


def intervals_of(spec: Spec) -> dict[str, list[dict[str, Any]]]:
    config = yaml.safe_load(render_routes(spec))
    return {each["name"]: each["time_intervals"] for each in config["time_intervals"]}


def quiet(**hours: Any) -> list[dict[str, Any]]:
    team = Team.model_validate({"quiet_hours": hours})
    return intervals_of(Spec(models=(MODEL,), teams={"t": team}))["quiet/t/1"]


def once(begins: dt.datetime, ends: dt.datetime) -> list[dict[str, Any]]:
    window = Maintenance.model_validate({"from": begins, "to": ends})
    return intervals_of(Spec(models=(MODEL,), maintenance=(window,)))["maintenance/1"]


def contains(intervals: list[dict[str, Any]], moment: dt.datetime) -> bool:
    """Whether a moment is in one of the intervals, by Alertmanager's documented rules."""
    return any(_in_one(interval, moment) for interval in intervals)


def _in_one(interval: dict[str, Any], moment: dt.datetime) -> bool:
    local = moment.astimezone(ZoneInfo(interval["location"]))
    clock = f"{local:%H:%M}"
    times = interval.get("times", [{"start_time": "00:00", "end_time": "24:00"}])
    return (
        any(each["start_time"] <= clock < each["end_time"] for each in times)
        and WEEKDAYS[local.weekday()] in interval.get("weekdays", WEEKDAYS)
        and _in_span(interval.get("days_of_month"), local.day)
        and _in_span(interval.get("months"), local.month)
        and _in_span(interval.get("years"), local.year)
    )


def _in_span(spans: list[str] | None, number: int) -> bool:
    if spans is None:
        return True
    bounds = [span.partition(":") for span in spans]
    return any(int(first) <= number <= int(last or first) for first, _, last in bounds)


BERLIN = ZoneInfo("Europe/Berlin")
# 2026-12-04 is a Friday, 2026-10-25 the Sunday on which clocks in Berlin are set back.
MOMENTS = {
    "Friday, a minute before they begin": ((2026, 12, 4, 21, 59), False),
    "Friday, when they begin": ((2026, 12, 4, 22, 0), True),
    "Friday, before midnight": ((2026, 12, 4, 23, 59), True),
    "Saturday, after midnight": ((2026, 12, 5, 0, 0), True),
    "Saturday, a minute before they end": ((2026, 12, 5, 6, 59), True),
    "Saturday, when they end": ((2026, 12, 5, 7, 0), False),
    "Saturday evening, which is not among the days": ((2026, 12, 5, 22, 30), False),
    "Sunday morning, as the hours of Saturday would be": ((2026, 12, 6, 6, 0), False),
    "Monday morning, as the hours of Sunday would be": ((2026, 12, 7, 6, 0), False),
    "Monday evening in summer": ((2026, 7, 6, 22, 0), True),
}


@pytest.mark.parametrize(("moment", "silent"), MOMENTS.values(), ids=MOMENTS)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(
    moment: tuple[int, int, int, int, int], silent: bool
) -> None:
    nights = quiet(times="22:00-07:00", weekdays="monday-friday", location="Europe/Berlin")
    assert contains(nights, dt.datetime(*moment, tzinfo=BERLIN)) is silent


def test_days_may_go_over_the_end_of_the_week() -> None:
    weekend = quiet(times="00:00-24:00", weekdays="saturday-monday")
    days = [contains(weekend, dt.datetime(2026, 12, day, 12, tzinfo=dt.UTC)) for day in range(4, 9)]
    assert days == [False, True, True, True, False]


def test_several_hours_of_a_day() -> None:
    lunch = quiet(times=["12:00-13:00", "23:00-00:00"])
    hours = [contains(lunch, dt.datetime(2026, 12, 1, h, 30, tzinfo=dt.UTC)) for h in range(24)]
    assert [hour for hour, silent in enumerate(hours) if silent] == [12, 23]


MINUTES = st.integers(0, 5 * 365 * 24 * 60).map(
    lambda minutes: dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
)


@given(begins=MINUTES, minutes=st.integers(1, 120 * 24 * 60), share=st.floats(0, 1))
def test_a_maintenance_is_silent_from_its_first_minute_to_its_last(
    begins: dt.datetime, minutes: int, share: float
) -> None:
    ends = begins + dt.timedelta(minutes=minutes)
    intervals = once(begins, ends)
    minute = dt.timedelta(minutes=1)
    within = begins + dt.timedelta(minutes=int(share * (minutes - 1)))
    assert all(contains(intervals, moment) for moment in (begins, within, ends - minute))
    assert not any(contains(intervals, moment) for moment in (begins - minute, ends))
    year = dt.timedelta(days=366)
    assert not any(contains(intervals, moment) for moment in (within - year, within + year))


def test_a_maintenance_in_another_zone_is_told_in_utc() -> None:
    begins = dt.datetime(2026, 12, 1, 0, 30, tzinfo=BERLIN)
    [before, after] = once(begins, begins + dt.timedelta(hours=1))
    assert before["times"] == [{"start_time": "23:30", "end_time": "24:00"}]
    assert (before["months"], before["days_of_month"]) == (["11"], ["30"])
    assert after["times"] == [{"start_time": "00:00", "end_time": "00:30"}]


def test_alertmanager_accepts_every_kind_of_interval(tmp_path: Path) -> None:
    new_year = dt.datetime(2026, 12, 30, 12, 5, tzinfo=dt.UTC)
    windows = tuple(
        Maintenance.model_validate({"from": new_year, "to": new_year + dt.timedelta(hours=hours)})
        for hours in (1, 12, 72, 24 * 80)
    )
    hours = {"times": ["22:00-07:00", "00:00-24:00"], "location": "Asia/Kolkata"}
    teams = {"t": Team.model_validate({"quiet_hours": hours})}
    (tmp_path / TEMPLATES).parent.mkdir()
    (tmp_path / TEMPLATES).write_text("")
    text = render_routes(Spec(models=(MODEL,), teams=teams, maintenance=windows))
    (tmp_path / "alertmanager.yml").write_text(text)
    checked = subprocess.run(
        ["amtool", "check-config", "alertmanager.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_times_of_day_stay_text_for_every_reader_of_yaml() -> None:
    team = Team.model_validate({"quiet_hours": {"times": "22:00-07:00"}})
    text = render_routes(Spec(models=(MODEL,), teams={"t": team}))
    assert "start_time: '22:00'" in text
