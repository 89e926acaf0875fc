"""What models.yaml promises over a period: objectives, tiers, and which can't be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.alerts import thresholds
from contract.profile import build_profile, write_profile
from contract.quantity import Duration
from contract.retention import longest_window
from contract.slo import TIERS, objectives, unreachable
from contract.spec import Model, Slo
from tests.contract.models_file import ONE, read, with_model


def model(folder: Path, keys: str, *, task: str = "binary_classification") -> Model:
    write_profile(build_profile({"x": [1.0]}, model_name="a"), folder / "a.json")
    text = with_model(f"profile: a.json, slo: {{{keys}}}").replace("regression", task)
    [found] = read(folder, text).models
    return found


def test_every_promise_is_an_objective(tmp_path: Path) -> None:
    keys = (
        "window: 28d, availability: 99.5%, accuracy: 92%, drift_free: 95%, "
        "freshness: {within: 1h, target: 98%}, "
        "latency: [{threshold: 250ms, target: 97%}, {threshold: 1s}, {threshold: 90s}]"
    )
    found = [
        (one.name, one.kind, one.target, one.limit, one.source)
        for one in objectives(model(tmp_path, keys))
    ]
    assert found == [
        ("availability", "availability", 0.995, "", "counters"),
        ("latency_250ms", "latency", 0.97, "0.25", "counters"),
        ("latency_1s", "latency", 0.99, "1.0", "counters"),
        ("latency_1m30s", "latency", 0.99, "90.0", "counters"),
        ("accuracy", "accuracy", 0.92, "", "counters"),
        ("drift_free", "drift_free", 0.95, "", "rates"),
        ("freshness", "freshness", 0.98, "1h", "rates"),
    ]


def test_defaults_promise_only_what_a_model_can_keep(tmp_path: Path) -> None:
    text = "defaults: {slo: {accuracy: 90%, drift_free: 99%, latency: []}}\n" + ONE
    [without_profile] = read(tmp_path, text).models
    assert [one.name for one in objectives(without_profile)] == ["availability"]


def test_of_two_targets_for_one_threshold_the_higher_one_is_the_objective(tmp_path: Path) -> None:
    keys = "latency: [{threshold: 1s, target: 99%}, {threshold: 1s, target: 90%}]"
    found = list(objectives(model(tmp_path, keys)))[1:]
    assert [(one.name, one.target) for one in found] == [("latency_1s", 0.99)]


def test_a_budget_is_a_round_number() -> None:
    plain = Model(name="a", version="1", task="regression", slo=Slo())
    assert next(objectives(plain)).budget == 0.001


FACTORS = {
    "30d": [14.4, 6, 3, 1],
    "28d": [13.44, 5.6, 2.8, 1],
    "90d": [43.2, 18, 9, 3],
    "7d": [3.36, 1.4, 1, 1],
}


@pytest.mark.parametrize(("period", "factors"), FACTORS.items(), ids=FACTORS)
def test_burn_rates_follow_from_the_share_of_the_budget_and_the_period(
    period: str, factors: list[float]
) -> None:
    assert [tier.factor(Duration.parse(period)) for tier in TIERS] == factors


def test_windows_and_severities_are_those_of_the_workbook() -> None:
    assert [(t.name, str(t.long), str(t.short), t.severity) for t in TIERS] == [
        ("1h", "1h", "5m", "critical"),
        ("6h", "6h", "30m", "critical"),
        ("1d", "1d", "2h", "error"),
        ("3d", "3d", "6h", "warning"),
    ]


def budget_thresholds(folder: Path, text: str) -> dict[tuple[str, str], tuple[float, str]]:
    return {
        (one.alert.removeprefix("ErrorBudgetBurn"), one.objective): (one.value, one.severity)
        for one in thresholds(read(folder, text))
        if one.alert.startswith("ErrorBudgetBurn")
    }


def test_each_tier_has_a_threshold_for_each_objective(tmp_path: Path) -> None:
    keys = "slo: {latency: [{threshold: 1s, target: 99%}, {threshold: 2s, target: 99.9%}]}"
    assert budget_thresholds(tmp_path, with_model(keys)) == {
        ("1h", "availability"): (0.0144, "critical"),
        ("1h", "latency_1s"): (0.144, "critical"),
        ("1h", "latency_2s"): (0.0144, "critical"),
        ("6h", "availability"): (0.006, "critical"),
        ("6h", "latency_1s"): (0.06, "critical"),
        ("6h", "latency_2s"): (0.006, "critical"),
        ("1d", "availability"): (0.003, "error"),
        ("1d", "latency_1s"): (0.03, "error"),
        ("1d", "latency_2s"): (0.003, "error"),
        ("3d", "availability"): (0.001, "warning"),
        ("3d", "latency_1s"): (0.01, "warning"),
        ("3d", "latency_2s"): (0.001, "warning"),
    }


def test_a_tier_that_nothing_could_fire_is_left_out_and_said(tmp_path: Path) -> None:
    text = with_model("slo: {availability: 90%, latency: [{threshold: 1s, target: 80%}]}")
    found = budget_thresholds(tmp_path, text)
    assert {tier for tier, objective in found if objective == "availability"} == {"6h", "1d", "3d"}
    assert {tier for tier, objective in found if objective == "latency_1s"} == {"1d", "3d"}
    assert list(unreachable(read(tmp_path, text))) == [
        (
            "a 1: no ErrorBudgetBurn1h for availability: 14.4 times its budget of 10% is more than "
            "everything; the slower tiers watch it"
        ),
        (
            "a 1: no ErrorBudgetBurn1h for latency_1s: 14.4 times its budget of 20% is more than "
            "everything; the slower tiers watch it"
        ),
        (
            "a 1: no ErrorBudgetBurn6h for latency_1s: 6 times its budget of 20% is more than "
            "everything; the slower tiers watch it"
        ),
    ]


def test_nothing_is_said_of_a_tier_that_is_off(tmp_path: Path) -> None:
    keys = "slo: {availability: 90%, latency: []}, alerts: {ErrorBudgetBurn1h: off}"
    assert list(unreachable(read(tmp_path, with_model(keys)))) == []


def test_two_promises_on_one_quantile_are_watched_at_the_stricter(tmp_path: Path) -> None:
    keys = "slo: {latency: [{threshold: 2s}, {threshold: 1s}, {threshold: 3s, target: 97%}]}"
    found = [one for one in thresholds(read(tmp_path, with_model(keys))) if "Latency" in one.alert]
    assert [(one.alert, one.value) for one in found] == [("HighLatencyP99", 1.0)]


def test_the_longest_window_is_that_of_any_model(tmp_path: Path) -> None:
    text = ONE + '  - {name: b, version: "1", task: regression, drift: {window: 31d}}\n'
    assert str(longest_window(read(tmp_path, text))) == "31d"


def test_samples_may_be_kept_for_longer_than_the_longest_period(tmp_path: Path) -> None:
    text = "stack: {retention: 105d}\n" + with_model("slo: {window: 90d}")
    assert str(read(tmp_path, text).models[0].slo.window) == "90d"
