"""Promises over a month whose counts add up by hand (tests/generator/report/past.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

import pytest

from generator.report.figures import ModelReport, Report

pytestmark = pytest.mark.stack

A_DAY: Final = 288
"""Counts of five minutes."""


def day(number: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 10, number, hour, minute, tzinfo=dt.UTC)


Tell = Callable[..., Report]
ModelsOf = Callable[[Report], dict[str, ModelReport]]


@pytest.fixture
def october_sla(tell: Tell, models_of: ModelsOf) -> dict[str, ModelReport]:
    return models_of(tell("sla"))


def test_a_version_that_models_yaml_no_longer_names_keeps_its_promise(
    october_sla: dict[str, ModelReport],
) -> None:
    old = october_sla["fraud 1"]
    assert old.state == ""
    assert old.traffic.requests == 15 * A_DAY * 100
    assert old.sla
    [promise] = old.sla.promises
    assert (promise.events, promise.bad_events) == (432_000, 288)
    assert promise.target_ratio == 0.995
    assert promise.achieved_ratio == pytest.approx(1 - 288 / 432_000, abs=1e-15)
    assert promise.budget_spent_ratio == pytest.approx(288 / 2_160)
    assert promise.verdict == "met"
    # One failure in each hundred of the 10th, and none on any other day.
    assert promise.worst
    assert (promise.worst.start, promise.worst.bad_events) == (day(10), 288)
    assert promise.worst.achieved_ratio == pytest.approx(0.99)


def test_two_versions_served_one_after_the_other(october_sla: dict[str, ModelReport]) -> None:
    old, new = october_sla["fraud 1"], october_sla["fraud 2"]
    assert (old.first_request, old.last_request) == (day(1), day(16))
    assert (new.first_request, new.last_request) == (day(16), day(31) + dt.timedelta(days=1))


def test_what_is_missing_is_said_and_not_counted(october_sla: dict[str, ModelReport]) -> None:
    new = october_sla["fraud 2"]
    counts = 16 * A_DAY - 72
    assert new.traffic.requests == counts * 100
    assert new.coverage.first == day(16)
    assert new.coverage.covered_ratio == pytest.approx(counts / (31 * A_DAY))
    [gap] = new.coverage.gaps
    fine = dt.timedelta(seconds=new.coverage.gap_resolution_seconds)
    assert day(20, 6) <= gap.start <= day(20, 6) + fine
    assert day(20, 12) - fine <= gap.end <= day(20, 12)
    # The day of the gap has three quarters of its requests, and says so.
    partial = new.traffic_series[19]
    assert (partial.start, partial.requests) == (day(20), 216 * 100)
    assert partial.covered_ratio == pytest.approx(0.75)
    assert new.traffic_series[14].requests is None


def test_twice_the_budget_is_a_broken_promise(october_sla: dict[str, ModelReport]) -> None:
    new = october_sla["fraud 2"]
    assert new.sla
    assert new.sla.verdict == "broken"
    availability, latency = new.sla.promises
    assert (availability.verdict, availability.budget_left_ratio) == ("met", 1)
    assert availability.worst is None
    assert latency.verdict == "broken"
    assert latency.achieved_ratio == pytest.approx(0.98)
    assert latency.budget_left_ratio == pytest.approx(-1)


def test_a_ratio_is_weighted_by_requests_and_no_mean_of_ratios(
    october_sla: dict[str, ModelReport],
) -> None:
    # A million in five minutes, all well; ten in another five, all bad: as days, 100% and 0%.
    spiky = october_sla["spiky 1"]
    assert spiky.sla
    [availability, latency] = spiky.sla.promises
    assert availability.achieved_ratio == pytest.approx(1 - 10 / 1_000_010, abs=1e-15)
    assert availability.verdict == "met"
    assert availability.worst
    assert (availability.worst.start, availability.worst.achieved_ratio) == (day(8), 0)
    assert latency.verdict == "no_data"


def test_no_requests_are_neither_good_nor_bad(october_sla: dict[str, ModelReport]) -> None:
    idle = october_sla["idle 1"]
    assert idle.sla
    assert idle.sla.promises[0].verdict == "no_events"
    assert idle.sla.availability_ratio is None
    assert idle.traffic.requests == 0
    assert idle.coverage.covered_ratio == 1
    assert idle.first_request is None


def test_a_model_that_nothing_counted_has_no_data(october_sla: dict[str, ModelReport]) -> None:
    absent = october_sla["absent 1"]
    assert absent.sla
    assert absent.sla.verdict == "no_data"
    assert absent.coverage.first is None
    assert absent.traffic.requests is None


def test_a_version_that_was_retired_is_told_as_long_as_it_served(
    october_sla: dict[str, ModelReport],
) -> None:
    old = october_sla["spiky 0"]
    assert (old.state, old.traffic.requests) == ("retired", 10 * A_DAY)
    assert old.sla
    assert old.sla.promises[0].verdict == "met"
    assert "idle 0" not in october_sla


def test_targets_that_were_down_for_a_day_are_told(october_sla: dict[str, ModelReport]) -> None:
    sla = october_sla["fraud 2"].sla
    assert sla
    assert sla.targets_up_ratio == pytest.approx(30 / 31)


def test_two_parts_of_a_month_add_up_to_it(tell: Tell, models_of: ModelsOf) -> None:
    # Cut in the middle of an interval, at a time that is no hour.
    cut = "2026-10-10T12:25:00"
    parts = [
        models_of(tell("sla", "fraud", since="2026-10-01", until=cut))["fraud 1"],
        models_of(tell("sla", "fraud", since=cut, until="2026-10"))["fraud 1"],
    ]
    assert [part.traffic.errors for part in parts] == [149, 139]
    assert sum(part.traffic.requests or 0 for part in parts) == 432_000


def test_intervals_add_up_to_the_whole(tell: Tell) -> None:
    report = tell("sla", "fraud", since="2026-10-09T17:35:00", until="2026-10-12", step="6h")
    for model in report.models:
        parts = [part.requests for part in model.traffic_series if part.requests is not None]
        assert sum(parts) == (model.traffic.requests or 0)


def test_alerts_are_counted_by_episodes(october_sla: dict[str, ModelReport]) -> None:
    errors, drift = october_sla["fraud 2"].alerts
    assert (errors.name, errors.severity, errors.episodes) == ("HighErrorRatio", "critical", 2)
    assert errors.firing_seconds == 5400
    assert errors.first_firing == day(21, 10) + dt.timedelta(seconds=30)
    assert errors.last_firing == day(22, 11)
    assert not errors.firing_at_end
    # Two features that overlap are one episode of two hours.
    assert (drift.name, drift.episodes, drift.firing_seconds) == ("FeatureDrift", 1, 7200)


def test_an_alert_that_fires_when_the_period_begins_and_ends_counts_once(
    tell: Tell, models_of: ModelsOf
) -> None:
    report = tell("sla", "fraud", since="2026-10-22T10:30:00", until="2026-10-22T10:50:00")
    [alert] = models_of(report)["fraud 2"].alerts
    assert (alert.episodes, alert.firing_seconds, alert.firing_at_end) == (1, 1200, True)


def test_a_period_before_all_data_says_so(tell: Tell, models_of: ModelsOf) -> None:
    report = tell("sla", "fraud", since="2026-08", until="2026-08")
    new = models_of(report)["fraud 2"]
    assert new.sla
    assert new.sla.verdict == "no_data"
    assert list(models_of(report)) == ["fraud 2"]
