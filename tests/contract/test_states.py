"""A version is registered, live or retired: who reads models.yaml is told what follows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contract.alerts import thresholds
from contract.problems import ProblemsError
from tests.contract.models_file import read

KEYS = "task: regression, trained_at: 2026-10-01, max_age: 30d, slo: {freshness: {within: 1h}}"
UP = f'serving: {{upstream: "http://a:1"}}, artifact: {{path: a.bin, sha256: {"a" * 64}}}'


def versions(*states: str, keys: str = "") -> str:
    lines = [
        f'  - {{name: a, version: "{number}", {KEYS}, state: {state}{keys}}}\n'
        for number, state in enumerate(states, start=1)
    ]
    return "models:\n" + "".join(lines)


def test_what_says_no_state_is_live(tmp_path: Path) -> None:
    [model] = read(tmp_path, 'models: [{name: a, version: "1", task: regression}]').models
    assert (model.state, model.deployed_at, dict(model.training.metrics)) == ("live", None, {})


def test_what_is_retired_is_kept_and_not_watched(tmp_path: Path) -> None:
    spec = read(tmp_path, versions("retired", "live", "retired"))
    assert [model.version for model in spec.models] == ["2"]
    assert [model.version for model in spec.versions] == ["1", "3", "2"]
    watched = {one.model_version for one in thresholds(spec) if one.alert != "RetiredVersion"}
    assert watched == {"2"}
    assert spec.model("a", "1") is not None


def test_of_what_is_retired_only_its_traffic_is_watched(tmp_path: Path) -> None:
    spec = read(tmp_path, versions("retired", "live", "registered"))
    assert [(one.alert, one.value) for one in thresholds(spec) if one.model_version == "1"] == [
        ("RetiredVersion", 10.0)
    ]
    assert {one.model_version for one in thresholds(spec) if one.alert == "RetiredVersion"} == {"1"}


def test_without_a_version_the_last_live_one_is_meant(tmp_path: Path) -> None:
    spec = read(tmp_path, versions("live", "live", "registered", "retired"))
    assert [model.version for model in spec.models] == ["3", "1", "2"]
    meant = spec.model("a")
    assert meant is not None
    assert meant.version == "2"


def test_what_is_registered_is_told_of_only_by_its_traffic(tmp_path: Path) -> None:
    spec = read(tmp_path, versions("live", "registered", keys=", " + UP))
    alerts: dict[str, set[tuple[str, str]]] = {"1": set(), "2": set()}
    for one in thresholds(spec):
        alerts[one.model_version].add((one.alert, one.objective.partition("_")[0]))
    without = {alert for alert, _ in alerts["1"] - alerts["2"]}
    silent = {"TargetDown", "ModelNotLoaded", "TrafficVanished", "StaleModel", "ArtifactChanged"}
    silent.add("VersionMissing")
    assert {alert for alert in without if not alert.startswith("ErrorBudgetBurn")} == silent
    budgets = {objective for alert, objective in alerts["1"] - alerts["2"] if alert not in silent}
    assert budgets == {"freshness"}
    assert alerts["2"] < alerts["1"]


def test_the_time_of_a_deployment_is_a_time(tmp_path: Path) -> None:
    keys = ", deployed_at: 2026-11-01T12:30:00Z"
    [model] = read(tmp_path, versions("live", keys=keys)).models
    assert model.deployed_at == dt.datetime(2026, 11, 1, 12, 30, tzinfo=dt.UTC)


REFUSED = {
    "a state that is none": (versions("on-air"), "write one of retired, registered, live"),
    "a state that is misspelt": (versions("registerd"), "did you mean registered?"),
    "a file in which nothing is watched": (versions("retired"), "are all retired"),
    "a time that is none": (versions("live", keys=", deployed_at: soon"), "is not a date: 'soon'"),
    "a metric that is none": (
        versions("live", keys=", training: {metrics: {mae: high}}"),
        "models[0].training.metrics.mae: should be a number, got 'high'",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_version_can_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProblemsError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


def test_a_period_that_is_too_long_is_found_at_its_version(tmp_path: Path) -> None:
    text = versions("retired", "registered", "live", keys=", drift: {window: 2d}")
    text = text.replace('"2", ', '"2", performance: {windows: 90d}, ')
    with pytest.raises(ProblemsError, match=r"models\[1\]\.performance\.windows") as refused:
        read(tmp_path, text)
    assert "a 2 is judged" in str(refused.value)


def test_a_version_that_is_gone_takes_no_proxy(tmp_path: Path) -> None:
    text = "models:\n" + "".join(
        f'  - {{name: a, version: "{port}", task: regression, state: {state}, '
        f'serving: {{upstream: "http://a:{port}", proxy: "b:1"}}}}\n'
        for port, state in ((1, "retired"), (2, "live"))
    )
    assert [model.version for model in read(tmp_path, text).models] == ["2"]


SERVERS = {
    "a server that names no version": ("runtime: vllm", "runtime: vllm", []),
    "one that names another version": (
        'runtime: triton, version: "1"', 'runtime: triton, version: "2"', ["t:1", "t:2"],
    ),
    "one that names the same version": (
        'runtime: triton, version: "1"', 'runtime: triton, version: "1"', ["t:2"],
    ),
    "another model of the server": (
        "runtime: triton, model: a", "runtime: triton, model: b", ["t:1", "t:2"],
    ),
    "the same figures of one's own server": (
        "runtime: custom, expressions: {requests: \"sum(x{$model})\"}",
        "runtime: custom, expressions: {requests: \"sum(x{$model})\"}",
        ["t:2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("live", "waiting", "left"), SERVERS.values(), ids=SERVERS)
def test_a_server_whose_metrics_are_those_of_the_live_version_is_not_read_for_a_waiting_one(
    tmp_path: Path, live: str, waiting: str, left: list[str]
) -> None:
    own = "[t:1]" if not left else "[t:1, t:2]"
    text = "models:\n" + "".join(
        f'  - {{name: a, version: "{version}", task: regression, state: {state}, '
        f"serving: {{{serving}, targets: {targets}}}}}\n"
        for version, state, serving, targets in (
            ("1", "live", live, "[t:1]"),
            ("2", "registered", waiting, own),
        )
    )
    by_version = {model.version: model.serving.targets for model in read(tmp_path, text).models}
    assert by_version == {"1": ("t:1",), "2": tuple(left)}
