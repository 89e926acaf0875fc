from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from contract.alerts import (
    ALERTS,
    LEAST_BUSINESS,
    MIN_REQUESTS,
    NEARLY_FULL,
    escalations,
    gpu_thresholds,
    thresholds,
)
from contract.read import read_spec
from contract.spec import ALERT_NAMES, Dialect, Spec
from generator.dashboards import render_dashboards
from generator.outputs import render
from generator.prove import prove_every_model
from generator.queries.alerting import GPU_EXPRESSIONS, MODEL_EXPRESSIONS, STACK_EXPRESSIONS
from generator.queries.compatibility import translations
from generator.rules.alerts import alert_rules, escalation_rules, promises
from generator.rules.evidence import GPU_EVIDENCE, MODEL_EVIDENCE, STACK_EVIDENCE
from generator.rules.humanized import humanize_duration, humanize_percentage
from generator.rules.needed import RuleFiles
from generator.rules.proofs import proven, render_every_proof, render_proofs
from generator.rules.recording import RULES as RECORDED
from generator.rules.recording import recorded_rules
from generator.verify import verify_rules
from generator.write import stage
from tests.processes import ROOT

RULES = "prometheus/generated/rules"


def promtool(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def spec_of(tmp_path: Path, models: str) -> Spec:
    (tmp_path / "models.yaml").write_text(f"models:\n{models}")
    return read_spec(tmp_path / "models.yaml")


# What is recorded


@pytest.mark.parametrize(
    "tests",
    [
        "recording.yml",
        "recording_gpu.yml",
        "slo.yml",
        "slo_fast.yml",
        "slo_periods.yml",
        "stack.yml",
    ],
)
def test_the_recorded_series_are_what_they_say(tests: str, tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree / RULES, tmp_path / "rules")
    does(tests, tmp_path)


def does(tests: str, folder: Path) -> None:
    shutil.copy(ROOT / "tests" / "rules" / tests, folder)
    tested = promtool("test", "rules", tests, cwd=folder)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_what_a_runtime_says_as_rates_is_counted_as_what_they_add_up_to(tmp_path: Path) -> None:
    triton = '{runtime: triton, targets: ["127.0.0.1:8002"]}'
    spec = spec_of(tmp_path, f"  - {{name: m, version: '1', task: regression, serving: {triton}}}")
    (tmp_path / "rules").mkdir()
    rules = render(spec, ["prometheus"])[f"{RULES}/recording.yml"]
    (tmp_path / "rules" / "recording.yml").write_text(rules)
    does("slo_rates.yml", tmp_path)


def test_no_series_is_recorded_twice() -> None:
    names = [str(recorded) for recorded in RECORDED]
    assert len(set(names)) == len(names)


def test_what_reads_a_recorded_series_stands_after_it() -> None:
    seen: list[str] = []
    spec = Spec.model_validate(
        {"models": [{"name": "m", "version": "1", "task": "regression"}]}, context={}
    )
    for recorded in RECORDED:
        expression = recorded.expression(spec)
        # A rule that remembers reads what it recorded itself, the last time; counts of hours, what
        # was left over then.
        seen += [str(recorded), str(recorded).replace("count_hour", "count_since_hour")]
        later = [str(r) for r in RECORDED if str(r) not in seen and str(r) in expression]
        assert later == [], recorded.name


LOOKBACK = timedelta(minutes=5)
"""For so long Prometheus finds a sample; a slow evaluation must fit in, too."""


def test_what_is_recorded_seldom_is_only_looked_at_over_a_range(everything: Spec) -> None:
    """Otherwise an alert on it would resolve before the next sample comes."""
    seldom = {
        str(rule): rule.group
        for rule in RECORDED
        if (interval := rule.group.interval(everything))
        and interval.seconds > 0.9 * LOOKBACK.total_seconds()
    }
    assert "model:ml_slo_events:count5m" in seldom
    asked = [("alerts.yml", render(everything, ["prometheus"])[f"{RULES}/alerts.yml"])]
    asked += render_dashboards(everything).items()
    asked += [(str(rule), rule.expression(everything)) for rule in RECORDED]
    groups = {str(rule): rule.group for rule in RECORDED}
    wrong = [
        (where, name)
        for where, text in asked
        for name in re.findall(rf"(?:{'|'.join(seldom)})\b(?!\w|:)(?![^,()+*/]*\[)", text)
        if groups.get(where) != seldom[name]
    ]
    assert wrong == []


def test_gpus_are_recorded_by_names_of_other_exporters_where_asked_for(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression}]\n'
        "gpu: {compatibility: [dcgm, nvidia_smi]}\n"
    )
    rules = render(read_spec(tmp_path / "models.yaml"), ["prometheus"])
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "compatibility.yml").write_text(rules[f"{RULES}/compatibility.yml"])
    shutil.copy(ROOT / "tests" / "rules" / "compatibility.yml", tmp_path)
    tested = promtool("test", "rules", "compatibility.yml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_no_names_of_other_exporters_are_recorded_unless_asked_for(everything: Spec) -> None:
    assert f"{RULES}/compatibility.yml" not in render(everything, ["prometheus"])


@pytest.mark.parametrize("dialect", ["dcgm", "nvidia_smi"])
def test_no_name_of_another_exporter_is_recorded_twice(dialect: Dialect) -> None:
    names = [str(one) for one in translations(dialect)]
    assert len(set(names)) == len(names) > 30


# What alerts


def test_every_alert_has_an_expression() -> None:
    assert {*MODEL_EXPRESSIONS, *GPU_EXPRESSIONS, *STACK_EXPRESSIONS} == set(ALERTS)


def test_every_alert_can_be_proven() -> None:
    assert {*MODEL_EVIDENCE, *GPU_EVIDENCE, *STACK_EVIDENCE, "Watchdog"} == set(ALERTS)


def test_the_spec_with_everything_has_every_alert(everything: Spec) -> None:
    found = {rule.alert for rules in alert_rules(everything) for rule in rules}
    assert found == set(ALERTS)


def test_every_rule_says_whose_it_is_what_to_do_and_where_to_look(everything: Spec) -> None:
    of_models, of_gpus, of_stack = alert_rules(everything)
    for rule in (*of_models, *of_gpus, *of_stack):
        assert {"summary", "description", "runbook_url", "dashboard_url"} <= set(rule.annotations)
        assert rule.annotations["runbook_url"].endswith(f"/runbooks/{rule.alert}")
        assert "severity" in rule.labels
    for rule in of_stack:
        if ALERTS[rule.alert].about_model:
            # The series say whose.
            assert set(rule.labels) == {"severity"}
            continue
        assert {"team", "model_name", "model_version"} <= set(rule.labels)


def test_there_is_one_rule_for_each_alert_severity_and_for(everything: Spec) -> None:
    found = {(t.alert, t.severity, str(t.hold)) for t in thresholds(everything)}
    assert len(found) == len(list(promises(everything)))
    assert {("HighErrorRatio", "error", "1m30s"), ("HighErrorRatio", "critical", "2m")} <= found


def test_the_number_of_rules_does_not_grow_with_the_number_of_models(tmp_path: Path) -> None:
    def rules(number: int) -> str:
        models = "".join(
            f'  - {{name: m{i}, version: "1", task: regression}}\n' for i in range(number)
        )
        return render(spec_of(tmp_path, models), ["prometheus"])[f"{RULES}/alerts.yml"]

    assert rules(1) == rules(300)


def test_an_alert_escalates_under_its_own_name_where_models_yaml_says_so(tmp_path: Path) -> None:
    assert (
        escalation_rules(spec_of(tmp_path, '  - {name: m, version: "1", task: regression}\n')) == []
    )
    (tmp_path / "models.yaml").write_text(
        "defaults: {escalate_after: 1h}\nmodels:\n"
        '  - {name: m, version: "1", task: regression, alerts: {TrafficVanished: off}}\n'
        '  - {name: n, version: "1", task: regression,'
        " alerts: {HighErrorRatio: {severity: info}}}\n"
    )
    spec = read_spec(tmp_path / "models.yaml")
    rules = {
        (r.alert, r.labels["escalated_from"], r.labels["severity"]) for r in escalation_rules(spec)
    }
    assert rules == {
        ("HighErrorRatio", "info", "warning"),
        ("HighLatencyP99", "error", "critical"),
        ("TrafficVanished", "error", "critical"),
        ("UnregisteredVersion", "error", "critical"),
        ("VersionMissing", "warning", "error"),
    }
    waits = {
        (one.alert, one.model_name): str(one.after) for one in escalations(spec, thresholds(spec))
    }
    assert waits == {
        ("HighErrorRatio", "n"): "1h2m",
        ("HighLatencyP99", "m"): "1h5m",
        ("HighLatencyP99", "n"): "1h5m",
        ("TrafficVanished", "n"): "1h10m",
        ("UnregisteredVersion", "m"): "1h2m",
        ("UnregisteredVersion", "n"): "1h2m",
        ("VersionMissing", "m"): "1h5m",
        ("VersionMissing", "n"): "1h5m",
    }


def test_an_alert_that_is_off_for_every_model_has_no_rule(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path, '  - {name: m, version: "1", task: regression, alerts: {TargetDown: off}}\n'
    )
    assert "TargetDown" not in {rule.alert for rule in alert_rules(spec)[0]}


def test_what_only_an_alert_reads_is_recorded_where_a_model_asks_for_it(tmp_path: Path) -> None:
    alone = {
        "LatencyAnomaly": "model:ml_inference_latency_seconds:zscore5m",
        "ThroughputDrop": "model:ml_inference_requests:of_expected5m",
        "PredictedSloBreach": "model:ml_inference_latency:breach_seconds",
        "QueueGrowing": "model:ml_queue_depth:deriv15m",
    }
    for switch, expected in (("off", set()), ("on", set(alone.values()))):
        alerts = ", ".join(f"{alert}: {switch}" for alert in alone)
        spec = spec_of(
            tmp_path, f'  - {{name: m, version: "1", task: regression, alerts: {{{alerts}}}}}\n'
        )
        names = {str(rule) for rule in recorded_rules(spec)}
        assert names & set(alone.values()) == expected


def test_an_alert_of_gpus_is_what_models_yaml_says_of_it(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression}]\n'
        "gpu: {alerts: {GpuHot: {threshold: 12.5, for: 90s, severity: error}, GpuLost: off,"
        " GpuMemoryFilling: {threshold: 2h}, GpuIdleButHeld: {threshold: 3%}}}\n"
    )
    spec = read_spec(tmp_path / "models.yaml")
    rules = {rule.alert: rule for rule in alert_rules(spec)[1]}
    assert "GpuLost" not in rules
    hot = rules["GpuHot"]
    assert (str(hot.hold), hot.labels["severity"]) == ("1m30s", "error")
    assert "< 12.5)" in hot.expression
    assert hot.annotations["threshold"] == "12.5"
    assert hot.annotations["threshold_set_by"] == "gpu.alerts.GpuHot.threshold"
    assert "< 7200\n" in rules["GpuMemoryFilling"].expression
    assert rules["GpuMemoryFilling"].annotations["threshold"] == "2h 0m 0s"
    assert "< 0.03)" in rules["GpuIdleButHeld"].expression


def test_an_alert_of_the_stack_is_what_models_yaml_says_of_it(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression}]\n'
        "stack: {alerts: {ExporterStale: {threshold: 20m, for: 90s, severity: warning},"
        " ExporterDown: {escalate_after: 30m}, SpecRefused: off}}\n"
        "gpu: {alerts: {GpuLost: {severity: error, escalate_after: 10m},"
        " GpuHot: {escalate_after: 1h}}}\n"
    )
    spec = read_spec(tmp_path / "models.yaml")
    rules = {rule.alert: rule for rule in alert_rules(spec)[2]}
    assert "SpecRefused" not in rules
    stale = rules["ExporterStale"]
    assert (str(stale.hold), stale.labels["severity"]) == ("1m30s", "warning")
    assert "> 1200\n" in stale.expression
    assert "more than 20m 0s ago" in stale.annotations["description"]
    assert {(rule.alert, rule.labels["severity"]) for rule in escalation_rules(spec)} == {
        ("ExporterDown", "critical"),
        ("GpuLost", "critical"),
        ("GpuHot", "error"),
    }
    files = render(spec, ["prometheus"])
    tests = "prometheus/generated/tests"
    assert "SpecRefused" not in {Path(path).stem for path in files if path.startswith(tests)}
    assert "ExporterDown escalates" in files[f"{tests}/ExporterDown.yml"]
    assert "GpuLost escalates" in files[f"{tests}/GpuLost.yml"]
    with stage(tmp_path, files) as staged:
        proofs = [f"{tests}/{name}.yml" for name in ("ExporterStale", "ExporterDown", "GpuLost")]
        verify_rules(staged / "prometheus/generated", [staged / path for path in proofs])


def test_a_time_scale_shortens_what_is_stale_by_the_wall_clock_too() -> None:
    def age(scale: float) -> str:
        path = ROOT / "tests/generator/everything/models.yaml"
        rules = alert_rules(read_spec(path, time_scale=scale))[2]
        expression = next(rule.expression for rule in rules if rule.alert == "ExporterStale")
        return expression.splitlines()[0].rpartition("> ")[2]

    assert [age(scale) for scale in (1, 10, 60)] == ["600", "60", "30"]


def test_without_any_alert_of_gpus_the_rules_are_still_rules(tmp_path: Path) -> None:
    off = ", ".join(f"{name}: off" for name in GPU_EXPRESSIONS)
    (tmp_path / "models.yaml").write_text(
        f'models: [{{name: m, version: "1", task: regression}}]\ngpu: {{alerts: {{{off}}}}}\n'
    )
    rules = render(read_spec(tmp_path / "models.yaml"), ["prometheus"])[f"{RULES}/alerts.yml"]
    (tmp_path / "alerts.yml").write_text(rules)
    assert promtool("check", "rules", "alerts.yml", cwd=tmp_path).returncode == 0


def test_a_time_scale_shortens_windows_and_fors_and_leaves_thresholds(everything: Spec) -> None:
    scaled = read_spec(ROOT / "tests/generator/everything/models.yaml", time_scale=60)
    files = render(scaled, ["prometheus"])
    assert "rate(ml_inference_requests_total[5s])" in files[f"{RULES}/recording.yml"]
    groups = yaml.safe_load(files[f"{RULES}/alerts.yml"])["groups"]
    of_models = [rule for group in groups if "model" in group["name"] for rule in group["rules"]]
    holds = {rule["for"] for rule in of_models if "for" in rule}
    assert holds == {"1s", "1s500ms", "2s", "5s", "10s", "15s", "1m"}
    assert [t.value for t in thresholds(scaled)] == [t.value for t in thresholds(everything)]


def test_no_window_is_too_short_for_the_scrapes(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression}]\nstack: {scrape_interval: 15s}\n'
    )
    scaled = read_spec(tmp_path / "models.yaml", time_scale=1000)
    recording = render(scaled, ["prometheus"])[f"{RULES}/recording.yml"]
    assert "rate(ml_inference_requests_total[4s])" in recording


# What proves them


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_of_the_spec_with_everything_waits_fires_and_resolves(
    alert: str, tree: Path
) -> None:
    folder = tree / "prometheus/generated"
    verify_rules(folder, [folder / f"tests/{alert}.yml"])


def test_every_alert_has_a_file_of_proofs(tree: Path) -> None:
    names = sorted(path.stem for path in (tree / "prometheus/generated/tests").iterdir())
    assert names == sorted(ALERTS)


def test_every_rule_has_a_proof(everything: Spec) -> None:
    assert len(proven(everything)) == len(promises(everything))
    names = [
        test["name"]
        for text in render_proofs(everything).values()
        for test in yaml.safe_load(text)["tests"]
    ]
    fires = [name for name in names if name.endswith("waits, fires and resolves")]
    of_gpus = len(list(gpu_thresholds(everything)))
    assert len(fires) == len(promises(everything)) + of_gpus + len(STACK_EVIDENCE)
    assert len(set(names)) == len(names)


def test_an_alert_that_cannot_fire_has_no_proof(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        '  - {name: m, version: "1", task: regression,'
        " alerts: {PredictedSloBreach: {threshold: 1m}}}\n",
    )
    assert "PredictedSloBreach" not in render_proofs(spec)


def test_a_model_without_any_target_left_is_told_as_one(tmp_path: Path) -> None:
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in (9101, 9201))
    spec = spec_of(
        tmp_path,
        f'  - {{name: m, version: "1", task: regression, serving: {{targets: [{targets}]}}}}\n',
    )
    files = render(spec, ["prometheus"])
    proof = yaml.safe_load(files["prometheus/generated/tests/TargetDown.yml"])
    [test] = [test for test in proof["tests"] if test["name"].endswith("fires and resolves")]
    test["input_series"] = [
        {**one, "values": "0+0x20"} if one["series"].startswith("up{") else one
        for one in test["input_series"]
    ]
    [fires] = [moment for moment in test["alert_rule_test"] if moment["exp_alerts"]]
    [first] = fires["exp_alerts"]
    fires["exp_alerts"] = [
        yaml.safe_load(yaml.safe_dump(first).replace("127.0.0.1:9101", target))
        for target in ("127.0.0.1:9101", "127.0.0.1:9201", "all 2 targets")
    ]
    test["alert_rule_test"] = [fires]
    files["prometheus/generated/tests/TargetDown.yml"] = yaml.safe_dump({**proof, "tests": [test]})
    with stage(tmp_path, files) as staged:
        folder = staged / "prometheus/generated"
        verify_rules(folder, [folder / "tests/TargetDown.yml"])


def test_escalations_look_no_model_up_among_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a thousand models that took half of the time that rendering takes."""

    def slow(*_: object) -> None:
        raise AssertionError("a search through all models, for each threshold")

    (tmp_path / "models.yaml").write_text(
        "defaults: {escalate_after: 1h}\n"
        'models: [{name: m, version: "1", task: regression}, '
        '{name: m, version: "0", task: regression, state: retired}]\n'
    )
    spec = read_spec(tmp_path / "models.yaml")
    monkeypatch.setattr(Spec, "model", slow)
    assert {one.model_version for one in escalations(spec, thresholds(spec))} == {"0", "1"}


def test_what_ends_by_itself_escalates_before_that_or_not_at_all(tmp_path: Path) -> None:
    def escalating(after: str) -> set[str]:
        (tmp_path / "models.yaml").write_text(
            f"defaults: {{escalate_after: {after}}}\n"
            'models: [{name: m, version: "1", task: regression, alerts: {LatencyAnomaly: on}}]\n'
        )
        spec = read_spec(tmp_path / "models.yaml")
        ending = {"TrafficVanished", "LatencyAnomaly"}
        proofs = render_proofs(spec)
        found = {rule.alert for rule in escalation_rules(spec)} & ending
        assert {name for name in ending if "escalates" in proofs[name]} <= found
        return found

    assert escalating("30m") == {"TrafficVanished", "LatencyAnomaly"}
    assert escalating("4h") == {"TrafficVanished"}
    assert escalating("8h") == set()


ROUNDED = {
    "LatencyAnomaly": "77",
    "QueueGrowing": "1.5",
    "LowConfidence": "12.5%",
    "TrafficVanished": "77",
    "UnregisteredVersion": "1.5",
}


@pytest.mark.parametrize(("alert", "threshold"), ROUNDED.items(), ids=ROUNDED)
def test_a_value_that_could_be_rounded_either_way_is_proven(
    alert: str, threshold: str, tmp_path: Path
) -> None:
    off = ", ".join(f"{name}: off" for name in ALERT_NAMES if name != alert)
    text = f"alerts: {{{alert}: {{threshold: {threshold}}}, {off}}}"
    model = f'  - {{name: m, version: "1", task: regression, {text}}}\n'
    assert prove_every_model(spec_of(tmp_path, model)) == 1


def test_a_time_that_grows_between_two_samples_is_proven(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression, profile: profile.json, alerts:'
        " {DriftEvaluationStale: {for: 30s, threshold: 5m, escalate_after: 10m}}}]\n"
    )
    shutil.copy(ROOT / "tests/generator/everything/profile.json", tmp_path)
    files = render(read_spec(tmp_path / "models.yaml"), ["prometheus"])
    with stage(tmp_path, files) as staged:
        verify_rules(
            staged / "prometheus/generated",
            [staged / "prometheus/generated/tests/DriftEvaluationStale.yml"],
        )


def test_a_tier_that_waits_longer_than_its_window_is_no_reason_to_refuse(tmp_path: Path) -> None:
    text = "alerts: {ErrorBudgetBurn1h: {for: 3h}}"
    spec = spec_of(tmp_path, f'  - {{name: m, version: "1", task: regression, {text}}}\n')
    assert "ErrorBudgetBurn1h" not in render_proofs(spec)


def test_a_breach_is_foreseen_as_early_as_its_threshold_asks(tmp_path: Path) -> None:
    off = ", ".join(f"{name}: off" for name in ALERT_NAMES if name != "PredictedSloBreach")
    text = f"alerts: {{PredictedSloBreach: {{threshold: 3d, for: 5m}}, {off}}}"
    model = f'  - {{name: m, version: "1", task: regression, {text}}}\n'
    assert prove_every_model(spec_of(tmp_path, model)) == 1


def test_a_breach_of_any_promise_on_latency_is_foreseen(tmp_path: Path) -> None:
    """Also of one that no HighLatency alert watches: of another quantile, or where it is off."""
    pairs = {
        "another quantile": "{threshold: 300ms, target: 97%}",
        "the strictest of two": "[{threshold: 1s, target: 99.95%}, {threshold: 9ms, target: 50%}]",
        "its own alert is off": "{threshold: 250ms, target: 99%}",
        "two of one quantile": "[{threshold: 9s, target: 99%}, {threshold: 1s, target: 99%}]",
    }
    models = "".join(
        f'  - {{name: m{index}, version: "1", task: regression, slo: {{latency: {latency}}},'
        f" alerts: {{PredictedSloBreach: {{for: {10 + index}m}}"
        f"{', HighLatencyP99: off' if 'off' in case else ''}}}}}\n"
        for index, (case, latency) in enumerate(pairs.items())
    )
    files = render(spec_of(tmp_path, models), ["prometheus"])
    proof = yaml.safe_load(files["prometheus/generated/tests/PredictedSloBreach.yml"])
    fires = [test["name"] for test in proof["tests"] if test["name"].endswith("fires and resolves")]
    assert len(fires) == len(pairs)
    for path in (f"{RULES}/recording.yml", f"{RULES}/alerts.yml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(files[path])
    folder = tmp_path / "prometheus/generated"
    (folder / "tests").mkdir()
    (folder / "tests/breach.yml").write_text(
        files["prometheus/generated/tests/PredictedSloBreach.yml"]
    )
    verify_rules(folder, [folder / "tests/breach.yml"])


ASKED = ", ".join(f"{name}: on" for name, alert in ALERTS.items() if alert.asked)
EVERY_ALERT = f"""\
  - {{name: m, version: "0", task: regression, state: retired}}
  - {{name: m, version: "0.9", task: regression}}
  - name: m
    version: "1"
    task: binary_classification
    profile: profile.json
    serving: {{upstream: "http://127.0.0.1:8001"}}
    trained_at: 2026-01-01
    max_age: 90d
    artifact: {{path: m.bin, sha256: {"a" * 64}}}
    performance: {{accuracy: {{min: 90%}}, brier: {{max: 0.2}}}}
    drift: {{multivariate: {{data: rows.csv}}}}
    business: [{{name: ctr, numerator: click, denominator: impression, min: 5%}}]
    alerts: {{{ASKED}, HighErrorRatio: {{severity: warning, escalate_after: 1h}}}}
"""
"""A model that has every alert but some on latency, which are all alike."""


Mutation = Callable[[dict[str, Any]], bool]
"""Spoils a rule; False where it has nothing of the kind."""


def drop_the_hold(rule: dict[str, Any]) -> bool:
    return rule.pop("for", "1s") not in ("1s", "1m30s")


def with_literal(rule: dict[str, Any], change: Callable[[str, float], str]) -> bool:
    """Change the threshold of a rule of GPUs or of the stack: the first number compared with."""
    old = rule["expr"]
    if ALERTS[rule["alert"]].scope == "model" or "== 0" in old:
        return False
    rule["expr"] = re.sub(
        r"(?<=[\n ])([<>]) ([0-9.]+)",
        lambda found: change(found[1], float(found[2])),
        rule["expr"],
        count=1,
    )
    return bool(rule["expr"] != old)


def flip_the_comparison(rule: dict[str, Any]) -> bool:
    if with_literal(rule, lambda sign, limit: f"{'<' if sign == '>' else '>'} {limit}"):
        return True
    old = rule["expr"]
    flipped = {"> on": "< on", "< on": "> on", "== 0": "== 1", "absent(": "absent(absent("}
    for one, other in flipped.items():
        if one in old:
            closing = ")" if "absent" in one else ""
            rule["expr"] = old.replace(one, other, 1) + closing
            return True
    return False


def drop_the_guard(rule: dict[str, Any]) -> bool:
    old = rule["expr"]
    guard = AND if rule["alert"] == "BusinessRatioLow" else AND.replace(", objective", "")
    rule["expr"] = old.partition(guard)[0]
    return bool(rule["expr"] != old)


def lower_the_guard(rule: dict[str, Any]) -> bool:
    old = rule["expr"]
    rule["expr"] = re.sub(f">= ({MIN_REQUESTS}|{LEAST_BUSINESS})$", ">= 1", old)
    return bool(rule["expr"] != old)


def raise_the_threshold(rule: dict[str, Any]) -> bool:
    def later(sign: str, limit: float) -> str:
        return f"{sign} {limit * (1.1 if sign == '>' else 0.9) or 1}"

    if rule["alert"] != "GpuLost" and with_literal(rule, later):
        return True
    old = rule["expr"]
    rule["expr"] = old.replace(
        "model:ml_alert_threshold{", f"{0.9 if '< on' in old else 1.1} * model:ml_alert_threshold{{"
    )
    return "model:ml_alert_threshold{" in old and ALERTS[rule["alert"]].display != "none"


def lower_the_threshold(rule: dict[str, Any]) -> bool:
    def sooner(sign: str, limit: float) -> str:
        return f"{sign} {limit * (0.9 if sign == '>' else 1.1) or -1}"

    if with_literal(rule, sooner):
        return True
    old = rule["expr"]
    rule["expr"] = old.replace(
        "model:ml_alert_threshold{", f"{1.1 if '< on' in old else 0.9} * model:ml_alert_threshold{{"
    )
    return "model:ml_alert_threshold{" in old and ALERTS[rule["alert"]].display != "none"


def escalate_late(rule: dict[str, Any]) -> bool:
    return _escalating(rule, "2 * ")


def escalate_soon(rule: dict[str, Any]) -> bool:
    return _escalating(rule, "0.5 * ")


def _escalating(rule: dict[str, Any], factor: str) -> bool:
    old = rule["expr"]
    rule["expr"] = old.replace("model:ml_alert_esc", f"{factor}model:ml_alert_esc")
    return bool(rule["expr"] != old)


def change_the_severity(rule: dict[str, Any]) -> bool:
    rule["labels"]["severity"] = "none"
    return True


def ignore_the_verdict(rule: dict[str, Any]) -> bool:
    rule["expr"], verdict, _ = rule["expr"].partition(
        "\nand on (model_name, model_version, feature_name)\n"
    )
    return bool(verdict)


def ignore_how_full_it_is(rule: dict[str, Any]) -> bool:
    old = rule["expr"]
    rule["expr"] = old.replace(f"> {NEARLY_FULL:g})", "> 0)")
    return bool(rule["expr"] != old)


def blame_whoever_holds_nothing(rule: dict[str, Any]) -> bool:
    old = rule["expr"]
    rule["expr"] = old.replace('{model_name!="none"}', "")
    # The other rule with it asks for the model's latency, which no model has none of.
    return bool(rule["expr"] != old and rule["alert"] == "GpuIdleButHeld")


AND: Final = "\nand on (model_name, model_version, objective)\n"


def of_a_budget(rule: dict[str, Any], keep: tuple[int, int]) -> bool:
    """Keep two of the three conditions: the long window, the short one, enough events."""
    if not rule["alert"].startswith("ErrorBudgetBurn"):
        return False
    parts = rule["expr"].split(AND)
    rule["expr"] = AND.join(parts[index] for index in keep)
    return len(parts) == 3


def forget_that_it_goes_on(rule: dict[str, Any]) -> bool:
    return of_a_budget(rule, (0, 2))


def forget_that_it_matters(rule: dict[str, Any]) -> bool:
    return of_a_budget(rule, (1, 2))


def heed_single_events(rule: dict[str, Any]) -> bool:
    return of_a_budget(rule, (0, 1))


def expect_requests_at_once(rule: dict[str, Any]) -> bool:
    rule["expr"], wait, _ = rule["expr"].partition("\nunless on (model_name, model_version) (\n")
    return bool(wait and rule["alert"] == "VersionMissing")


MUTATIONS: list[Mutation] = [
    expect_requests_at_once,
    drop_the_hold,
    flip_the_comparison,
    drop_the_guard,
    lower_the_guard,
    raise_the_threshold,
    lower_the_threshold,
    escalate_late,
    escalate_soon,
    change_the_severity,
    ignore_the_verdict,
    ignore_how_full_it_is,
    blame_whoever_holds_nothing,
    forget_that_it_goes_on,
    forget_that_it_matters,
    heed_single_events,
]


UNSPOILED = {f"HighLatency{name}" for name in ("P50", "P90", "P95", "P999")}
"""They are as HighLatencyP99."""

Proof = tuple[str, str, str]
"""The recording rules and the rules of alerts that a proof needs, and the proof."""


def spoiled(alert: str, rules: str) -> Iterator[tuple[str, str]]:
    """The rules with one of those of an alert spoiled, in each way there is, and how."""
    for index in range(rules.count("- alert: ")):
        for mutate in MUTATIONS:
            data = yaml.safe_load(rules)
            rule = [rule for group in data["groups"] for rule in group["rules"]][index]
            if rule["alert"] == alert and mutate(rule):
                yield f"{mutate.__name__} {rule['labels']}", yaml.safe_dump(data)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("alert", sorted(set(ALERTS) - UNSPOILED))
def test_a_spoiled_rule_does_not_pass_its_proof(
    alert: str, proofs: dict[str, Proof], tmp_path: Path
) -> None:
    recording, rules, test = proofs[alert]
    mutants = dict(spoiled(alert, rules))
    assert mutants
    passed = [how for how, text in mutants.items() if passes(tmp_path, recording, text, test)]
    assert passed == []


def test_every_way_of_spoiling_is_of_use(proofs: dict[str, Proof]) -> None:
    found = {
        how.split()[0] for alert, proof in proofs.items() for how, _ in spoiled(alert, proof[1])
    }
    assert found == {mutate.__name__ for mutate in MUTATIONS}


def passes(folder: Path, recording: str, alerts: str, test: str) -> bool:
    (folder / "rules").mkdir(exist_ok=True)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "rules/recording.yml").write_text(recording)
    (folder / "rules/alerts.yml").write_text(alerts)
    (folder / "tests/test.yml").write_text(test)
    tested = promtool("test", "rules", "test.yml", cwd=folder / "tests")
    return tested.returncode == 0


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """By alert."""
    folder = tmp_path_factory.mktemp("proofs")
    for name in ("profile.json", "rows.csv"):
        shutil.copy(ROOT / "tests/generator/everything" / name, folder)
    files = render(spec_of(folder, EVERY_ALERT), ["prometheus"])
    names = ("recording.yml", "alerts.yml")
    rules = RuleFiles({name: files[f"{RULES}/{name}"] for name in names})
    return {
        Path(path).stem: (*(rules.needed(test)[name] for name in names), test)  # type: ignore[misc]
        for path, test in files.items()
        if "/tests/" in path
    }


def test_every_threshold_of_every_model_can_be_proven(everything: Spec) -> None:
    proofs = render_every_proof(everything)
    assert sum(number for number, _ in proofs.values()) == len(list(thresholds(everything)))


def test_a_threshold_of_the_second_model_is_proven_as_well(tmp_path: Path) -> None:
    off = ", ".join(f"{name}: off" for name in ALERT_NAMES if name != "HighErrorRatio")
    models = "".join(
        f'  - {{name: m{limit}, version: "1", task: regression,'
        f" alerts: {{HighErrorRatio: {{threshold: {limit}%}}, {off}}}}}\n"
        for limit in (1, 20)
    )
    assert prove_every_model(spec_of(tmp_path, models)) == 2


def test_promises_of_time_are_proven_where_not_one_evaluation_may_be_bad(tmp_path: Path) -> None:
    """In Prometheus 3, too, where a rate needs two samples after the window's very start."""
    off = ", ".join(f"{name}: off" for name in ALERT_NAMES if name != "ErrorBudgetBurn1d")
    shutil.copy(ROOT / "tests/generator/everything/profile.json", tmp_path)
    spec = spec_of(
        tmp_path,
        '  - {name: m, version: "1", task: regression, profile: profile.json,\n'
        f"     alerts: {{{off}}}, slo: {{drift_free: 99%, freshness: {{within: 1h}}}}}}\n",
    )
    assert prove_every_model(spec) == len(list(thresholds(spec)))


# Numbers as Prometheus writes them


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.00045, "450us"),
        (1.5, "1.5s"),
        (59.99, "59.99s"),
        (60, "1m 0s"),
        (909, "15m 9s"),
        (3600, "1h 0m 0s"),
        (90061, "1d 1h 1m 1s"),
    ],
)
def test_a_duration_reads_as_in_prometheus(seconds: float, text: str) -> None:
    assert humanize_duration(seconds) == text


def test_a_percentage_reads_as_in_prometheus() -> None:
    assert [humanize_percentage(ratio) for ratio in (0.05, 0.12345678, 1)] == [
        "5%",
        "12.35%",
        "100%",
    ]
