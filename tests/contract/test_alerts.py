"""Which promise of which model every alert watches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.alerts import ALERTS, Alert, CommonThreshold, Threshold, gpu_thresholds, thresholds
from contract.profile import build_profile, write_profile
from contract.quantity import Duration
from contract.spec import ALERT_NAMES, GPU_ALERT_NAMES, SEVERITIES
from tests.contract.models_file import ONE, read, with_model

PLACEHOLDERS = {
    "model", "feature", "objective", "value", "threshold", "job", "instance", "target",
    "rule_group", "integration", "name", "unregistered",
    "baseline", "older", "newer_samples", "older_samples", "action",
}  # fmt: skip
OF_GPUS = {"model", "value", "threshold", "instance", "gpu", "holder", "codes"}


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_an_alert_is_whole(alert: Alert) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]+", alert.name)
    assert alert.severities
    assert set(alert.severities) <= set(SEVERITIES)
    assert alert.description.endswith(".")
    assert not alert.summary.endswith(".")
    named = set(re.findall(r"{(\w*)}", alert.summary + alert.description))
    assert named <= (OF_GPUS if alert.scope == "gpu" else PLACEHOLDERS)
    if alert.display == "none":
        assert not {"value", "threshold"} & named, "there is no number to show"
    if alert.promised is not None:
        assert alert.set_by.startswith("models[].")
    if alert.scope == "gpu":
        assert alert.set_by == f"gpu.alerts.{alert.name}.threshold"


def test_models_and_gpus_can_change_just_their_own_alerts() -> None:
    assert {name for name, alert in ALERTS.items() if alert.scope == "model"} == set(ALERT_NAMES)
    assert {name for name, alert in ALERTS.items() if alert.scope == "gpu"} == set(GPU_ALERT_NAMES)


def found(folder: Path, text: str) -> dict[tuple[str, str], tuple[float, str]]:
    """Thresholds as {(alert, severity): (value, hold)}, but for error budgets (test_slo.py)."""
    return {
        (one.alert, one.severity): (one.value, str(one.hold))
        for one in thresholds(read(folder, text))
        if not one.alert.startswith("ErrorBudgetBurn")
    }


def test_a_model_has_the_thresholds_of_its_promises(tmp_path: Path) -> None:
    assert found(tmp_path, ONE) == {
        ("TargetDown", "critical"): (1.0, "2m"),
        ("HighErrorRatio", "critical"): (0.05, "2m"),
        ("HighLatencyP99", "error"): (0.25, "5m"),
        ("TrafficVanished", "error"): (10.0, "10m"),
        ("UnregisteredVersion", "error"): (10.0, "2m"),
        ("VersionMissing", "warning"): (3600.0, "5m"),
    }


def test_each_promise_of_latency_is_an_alert_of_its_quantile(tmp_path: Path) -> None:
    pairs = "slo: {latency: [{threshold: 50ms, target: 50%}, {threshold: 2s, target: 99.9%}]}"
    latency = {
        alert: value for (alert, _), (value, _) in found(tmp_path, with_model(pairs)).items()
        if alert.startswith("HighLatency")
    }  # fmt: skip
    assert latency == {"HighLatencyP50": 0.05, "HighLatencyP999": 2.0}


def test_drift_is_watched_where_there_is_a_profile(tmp_path: Path) -> None:
    write_profile(build_profile({"x": [1.0]}, model_name="a"), tmp_path / "a.json")
    keys = "profile: a.json, drift: {warning: 0.15}"
    drift = {
        key: value for key, value in found(tmp_path, with_model(keys)).items() if "Drift" in key[0]
    }
    assert drift == {
        ("FeatureDrift", "warning"): (0.15, "15m"),
        ("FeatureDrift", "critical"): (0.25, "15m"),
        ("DriftShare", "warning"): (0.3, "15m"),
        ("DriftEvaluationStale", "warning"): (900.0, "5m"),
        ("PredictionDrift", "warning"): (0.15, "15m"),
        ("PredictionDrift", "critical"): (0.25, "15m"),
        ("ConceptDrift", "warning"): (0.0, "15m"),
    }


def test_each_metric_of_performance_that_is_promised_is_held_to_the_stricter_promise(
    tmp_path: Path,
) -> None:
    performance = (
        "performance: {auc: {baseline: 0.99, max_drop: 0.05}, brier: {max: 0.2},"
        " accuracy: {baseline: 0.9, max_drop: 0.1, min: 85%}}"
    )
    text = with_model(performance).replace("regression", "binary_classification")
    bounds = {
        one.objective: round(one.value, 9)
        for one in thresholds(read(tmp_path, text))
        if one.alert == "AccuracyDecay"
    }
    assert bounds == {"auc": 0.94, "brier": 0.2, "accuracy": 0.85}


def test_rows_are_watched_where_they_are_kept(tmp_path: Path) -> None:
    write_profile(build_profile({"x": [1.0]}, model_name="a"), tmp_path / "a.json")
    (tmp_path / "a.csv").write_text("x\n1\n")
    rows = "drift: {multivariate: {data: a.csv, warning: 0.65}}"
    assert {
        key: value
        for key, value in found(tmp_path, with_model(f"profile: a.json, {rows}")).items()
        if key[0] == "MultivariateDrift"
    } == {
        ("MultivariateDrift", "warning"): (0.65, "15m"),
        ("MultivariateDrift", "critical"): (0.75, "15m"),
    }


def by_objective(folder: Path, alert: str, keys: str) -> dict[str, float]:
    spec = read(folder, with_model(keys))
    return {one.objective: round(one.value, 9) for one in thresholds(spec) if one.alert == alert}


def test_a_business_ratio_is_watched_where_something_is_expected_of_it(tmp_path: Path) -> None:
    ratios = ", ".join(
        f"{{name: {name}, numerator: click, denominator: view{least}}}"
        for name, least in {"ctr": ", min: 5%", "any": "", "none": ", min: 0%"}.items()
    )
    assert by_objective(tmp_path, "BusinessRatioLow", f"business: [{ratios}]") == {"ctr": 0.05}


PAIRS = (
    "slo: {latency: [{threshold: 50ms, target: 50%}, {threshold: 1s, target: 95%},"
    " {threshold: 2s, target: 99.9%}]}"
)


def test_ten_times_as_many_slow_requests_as_promised_are_too_many_but_never_all(
    tmp_path: Path,
) -> None:
    assert by_objective(tmp_path, "SlowRequests", f"{PAIRS}, alerts: {{SlowRequests: on}}") == {
        "latency_50ms": 0.75,
        "latency_1s": 0.5,
        "latency_2s": 0.01,
    }


def test_a_model_says_for_all_its_promises_how_many_slow_requests_are_too_many(
    tmp_path: Path,
) -> None:
    alerts = "alerts: {SlowRequests: {threshold: 20%}}"
    assert set(by_objective(tmp_path, "SlowRequests", f"{PAIRS}, {alerts}").values()) == {0.2}


CHANGES: dict[str, tuple[str, dict[tuple[str, str], tuple[float, str]]]] = {
    "off": ("TargetDown: off, HighErrorRatio: off, HighLatencyP99: off", {}),
    "a threshold": (
        "TargetDown: off, HighErrorRatio: {threshold: 1%}, HighLatencyP99: off",
        {("HighErrorRatio", "critical"): (0.01, "2m")},
    ),
    "a severity": (
        "TargetDown: off, HighErrorRatio: {severity: warning}, HighLatencyP99: off",
        {("HighErrorRatio", "warning"): (0.05, "2m")},
    ),
    "a for": (
        "TargetDown: {for: 30s}, HighErrorRatio: off, HighLatencyP99: off",
        {("TargetDown", "critical"): (1.0, "30s")},
    ),
    "all of it, and switched off": (
        (
            "TargetDown: off, HighLatencyP99: off, "
            "HighErrorRatio: {enabled: false, threshold: 1%, for: 1h, severity: info}"
        ),
        {},
    ),
}


@pytest.mark.parametrize(("alerts", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_model_changes_an_alert(
    tmp_path: Path, alerts: str, expected: dict[tuple[str, str], tuple[float, str]]
) -> None:
    others = "TrafficVanished: off, UnregisteredVersion: off, VersionMissing: off"
    assert found(tmp_path, with_model(f"alerts: {{{others}, {alerts}}}")) == expected


ASKED = [name for name, alert in ALERTS.items() if alert.asked]


@pytest.mark.parametrize("name", ASKED)
def test_an_alert_on_what_may_be_nothing_is_there_where_it_is_asked_for(
    tmp_path: Path, name: str
) -> None:
    def there(alerts: str) -> bool:
        return any(alert == name for alert, _ in found(tmp_path, with_model(alerts)))

    assert not there("alerts: {}")
    assert there(f"alerts: {{{name}: on}}")
    assert there(f"alerts: {{{name}: {{for: 1h}}}}")
    assert not there(f"alerts: {{{name}: off}}")


def test_an_alert_that_defaults_ask_for_is_there_for_all_models_but_those_that_refuse(
    tmp_path: Path,
) -> None:
    text = "defaults: {alerts: {LatencyAnomaly: {threshold: 6}}}\n"
    asked = {("LatencyAnomaly", "warning"): (6.0, "15m")}
    assert asked.items() <= found(tmp_path, text + ONE).items()
    refused = found(tmp_path, text + with_model("alerts: {LatencyAnomaly: off}"))
    assert not asked.items() <= refused.items()


def test_the_state_of_a_model_is_watched_where_somebody_tells_it(tmp_path: Path) -> None:
    names = {"ModelNotLoaded", "StaleModel", "ArtifactChanged"}
    assert not names & {alert for alert, _ in found(tmp_path, ONE)}
    keys = (
        'serving: {upstream: "http://127.0.0.1:8001"}, trained_at: 2026-01-01, max_age: 90d,'
        f" artifact: {{path: a.bin, sha256: {'a' * 64}}}"
    )
    told = found(tmp_path, with_model(keys))
    assert told["ModelNotLoaded", "critical"] == (1.0, "2m")
    assert told["StaleModel", "warning"] == (90 * 86400.0, "1h")
    assert told["ArtifactChanged", "error"] == (1.0, "1m")


def test_gpus_have_the_built_in_thresholds_where_nothing_is_said(tmp_path: Path) -> None:
    found = list(gpu_thresholds(read(tmp_path, ONE)))
    assert [one.alert for one in found] == list(GPU_ALERT_NAMES)
    for one in found:
        alert = ALERTS[one.alert]
        assert (one.value, one.hold) == (alert.default, alert.hold)
        assert (one.severity,) == alert.severities


def test_gpu_alerts_are_changed_for_all_gpus(tmp_path: Path) -> None:
    others = ", ".join(f"{name}: off" for name in GPU_ALERT_NAMES if name != "GpuHot")
    hot = "GpuHot: {threshold: 10, for: 1h, severity: error}"
    text = ONE + f"gpu: {{alerts: {{{hot}, {others}}}}}\n"
    assert list(gpu_thresholds(read(tmp_path, text))) == [
        CommonThreshold("GpuHot", "error", Duration.parse("1h"), 10.0)
    ]


def test_a_threshold_says_whose_it_is(tmp_path: Path) -> None:
    keys = "alerts: {TargetDown: off, HighLatencyP99: off, TrafficVanished: off}, team: risk"
    text = "defaults: {team: risk}\nteams: {risk: {}}\n" + with_model(keys)
    assert next(iter(thresholds(read(tmp_path, text)))) == (
        Threshold("HighErrorRatio", "critical", Duration.parse("2m"), "a", "1", "risk", 0.05)
    )
