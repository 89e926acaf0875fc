"""Drift and quality of a day that is known (tests/generator/report/past.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from generator.report.figures import Drift, ModelReport, Report
from tests.generator.report.test_sla import day

pytestmark = pytest.mark.stack

Tell = Callable[..., Report]
ModelsOf = Callable[[Report], dict[str, ModelReport]]


@pytest.fixture
def the_day(tell: Tell, models_of: ModelsOf) -> Drift:
    """The 25th, on which one feature drifts for an hour and accuracy falls at noon."""
    report = tell("drift", "fraud", since="2026-10-25", until="2026-10-25")
    found = models_of(report)["fraud 2"].drift
    assert found
    return found


def test_a_feature_drifted_for_an_hour(the_day: Drift) -> None:
    age, plan = the_day.features
    assert (age.feature, age.drifted_seconds) == ("age", 3600)
    assert (age.first_drifted, age.last_drifted) == (
        day(25, 1) + dt.timedelta(minutes=1),
        day(25, 2),
    )
    assert not age.drifted_at_end
    assert (age.score_last, age.score_max) == (0.05, 0.5)
    assert age.score_mean == pytest.approx((0.5 + 23 * 0.05) / 24)
    assert (age.threshold_warning, age.threshold_critical, age.noise_floor) == (0.1, 0.25, 0.03)
    assert [each.max for each in age.series][:3] == [0.05, 0.5, 0.05]
    assert (plan.feature, plan.drifted, plan.drifted_seconds) == ("plan", False, 0)


def test_accuracy_is_held_against_the_stricter_of_its_bounds(the_day: Drift) -> None:
    [accuracy] = the_day.quality
    assert accuracy.baseline == 0.95
    assert accuracy.promised_min == pytest.approx(0.9)
    assert (accuracy.value_last, accuracy.interval_lower, accuracy.interval_upper) == (
        0.7,
        0.65,
        0.75,
    )
    assert (accuracy.value_min, accuracy.value_max) == (0.7, 0.96)
    assert accuracy.value_mean == pytest.approx(0.83)
    assert accuracy.decayed_seconds == 12 * 3600
    assert accuracy.verdict == "broken"
    assert accuracy.labels_last == 400


def test_a_counter_that_began_anew_loses_no_labels_of_the_period(the_day: Drift) -> None:
    # Three of four are right all day; a difference of last and first would be negative.
    assert the_day.quality[0].period_value == pytest.approx(0.75)


def test_verdicts_are_of_all_of_the_day(the_day: Drift, tell: Tell, models_of: ModelsOf) -> None:
    assert the_day.evaluated_ratio == pytest.approx(1)
    days = models_of(tell("drift", "fraud", since="2026-10-24", until="2026-10-25"))
    two = days["fraud 2"].drift
    assert two
    assert two.evaluated_ratio == pytest.approx(0.5)


def test_a_model_without_evaluations_has_no_verdict(tell: Tell, models_of: ModelsOf) -> None:
    idle = models_of(tell("drift", "idle"))["idle 1"].drift
    assert idle
    assert (idle.evaluated_ratio, idle.features, idle.quality) == (0, [], [])
