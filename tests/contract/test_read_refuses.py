"""What is wrong with a models.yaml is told all at once, each at its place."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from contract.problems import Problem, ProblemsError
from contract.read import read_spec
from tests.contract.models_file import MODEL, ONE, read, with_model
from tests.golden_files import Golden


def problems(folder: Path, text: str | bytes) -> list[Problem]:
    with pytest.raises(ProblemsError) as raised:
        read(folder, text)
    return list(raised.value.problems)


def places(found: list[Problem]) -> list[str]:
    """Problems as `line:column path: message | suggestion`."""
    lines = []
    for problem in found:
        where = f"{problem.line}:{problem.column} "
        head = where + (f"{problem.path}: " if problem.path else "") + problem.message
        lines.append(f"{head} | {problem.suggestion}" if problem.suggestion else head)
    return lines


NOT_YAML: dict[str, tuple[str | bytes, str]] = {
    "an empty file": ("", "1:1 is empty | start with `models:` and one model"),
    "a file of comments": ("# hi\n", "1:1 is empty | start with `models:` and one model"),
    "a tab that indents": (
        "models:\n\t- name: a\n",
        "2:1 is not YAML: found character that cannot start any token",
    ),
    "Latin-1": (b"models: \xe9\n", "1:1 cannot be read: is not UTF-8 text"),
    "UTF-16": (ONE.encode("utf-16"), "1:1 cannot be read: is not UTF-8 text"),
    "a control character": (
        b"a:\n  b: \x00\n",
        "2:6 is not YAML: control characters are not allowed",
    ),
    "an open bracket": ("models: [\n", "2:1 is not YAML: did not find expected node content"),
    "two documents": (f"{ONE}---\n{ONE}", "3:1 is not YAML: but found another document"),
    "an alias of nothing": ("models: *x\n", "1:9 is not YAML: found undefined alias"),
    "a list": (
        "- a\n",
        (
            "1:1 should be a mapping, got a list | keys: deadman, defaults, gpu, limits, "
            "maintenance, models, remediation, responder, routing, sidecar, smtp, stack, teams"
        ),
    ),
    "a word": (
        "hello\n",
        (
            "1:1 should be a mapping, got 'hello' | keys: deadman, defaults, gpu, limits, "
            "maintenance, models, remediation, responder, routing, sidecar, smtp, stack, teams"
        ),
    ),
    "brackets without end": ("models: " + "[" * 3_000 + "]" * 3_000, "1:1 is nested too deeply"),
    "a key that stands twice": (
        "models:\n  - name: a\n    name: b\n",
        "3:5 models[0].name: stands twice | keep one of them",
    ),
    "a key that is a list": (f"? [a, b]\n: 1\n{ONE}", "1:1 has a key that is not a word"),
    "a list that contains itself": (
        "models: &m\n  - *m\n",
        "1:9 models[0]: an alias refers to what contains it",
    ),
    "a mapping that contains itself": (
        "models:\n  - &m\n    name: a\n    serving: *m\n",
        "2:5 models[0].serving: an alias refers to what contains it",
    ),
    "a mapping that merges itself": (
        "models:\n  - &m\n    <<: *m\n    name: a\n",
        "2:5 models[0]: an alias refers to what contains it",
    ),
    "a merge of a word": (
        "models:\n  - <<: hello\n",
        "2:9 models[0]: << needs a mapping, or a list of mappings",
    ),
    "a tag of another program": (
        "models: !!python/object:os.system []\n",
        (
            "1:9 models: has a tag that is not known: tag:yaml.org,2002:python/object:os.system "
            "| leave it out"
        ),
    ),
    "a number that is none": (
        "models:\n  - version: !!int x\n",
        "2:14 models[0].version: is not a number that can be read",
    ),
    "a number of 5,000 digits": (
        "models:\n  - version: " + "9" * 5_000,
        "2:14 models[0].version: is not a number that can be read",
    ),
}


@pytest.mark.parametrize(("text", "expected"), NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_not_yaml_is_refused_at_its_place(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    assert places(problems(tmp_path, text)) == [expected]


def test_aliases_of_aliases_end_soon(tmp_path: Path) -> None:
    names = "abcdefghi"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]"
        for below, name in itertools.pairwise(names)
    ]
    [problem] = problems(tmp_path, "\n".join(lines))
    assert problem.message == "its aliases stand for more than 1000000 values"


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match=r"none.yaml:1:1: cannot be read: No such file"):
        read_spec(tmp_path / "none.yaml")
    with pytest.raises(ProblemsError, match="cannot be read: Is a directory"):
        read_spec(tmp_path)


REFUSED: dict[str, tuple[str, str]] = {
    "no models": ("models: []\n", "1:9 models: needs at least one item, got a list"),
    "models without a list": ("models:\n", "1:8 models: should be a list, got nothing"),
    "no models at all": ("teams: {}\n", "1:1 models: is required"),
    "a model without its task": (
        'models:\n  - {name: a, version: "1"}\n',
        "2:5 models[0].task: is required",
    ),
    "a model that is a word": (
        "models: [a]\n",
        (
            "1:10 models[0]: should be a mapping, got 'a' | keys: alerts, artifact, business, "
            "comparison, data_quality, deployed_at, drift, framework, gpu, max_age, metrics, name, "
            "performance, profile, ranges, remediation, segments, serving, slo, state, task, team, "
            "trained_at, training, version"
        ),
    ),
    "a version that YAML shortens": (
        "models:\n  - {name: a, version: 1.10, task: regression}\n",
        (
            '2:24 models[0].version: must be quoted, or YAML reads 1.10 as 1.1 | write "1.10" in '
            "quotes"
        ),
    ),
    "a name with a space": (
        'models:\n  - {name: a b, version: "1", task: regression}\n',
        "2:12 models[0].name: should be letters, digits, dots, dashes and underscores, got 'a b'",
    ),
    "an unknown key near a known one": (
        with_model("framwork: x"),
        "2:47 models[0].framwork: unknown key | did you mean framework?",
    ),
    "an unknown key near nothing": (
        "zzz: 1\n" + ONE,
        (
            "1:1 zzz: unknown key | known keys: deadman, defaults, gpu, limits, maintenance, "
            "models, remediation, responder, routing, sidecar, smtp, stack, teams"
        ),
    ),
    "a wrong choice": (
        "models:\n  - {name: a, version: '1', task: regresion}\n",
        "2:35 models[0].task: is not known: 'regresion' | did you mean regression?",
    ),
    "an availability without its unit": (
        "defaults: {slo: {availability: 99.9}}\n" + ONE,
        "1:32 defaults.slo.availability: needs a %, got 99.9 | write 99.9%",
    ),
    "a latency without its unit, one promise written without a list": (
        with_model("slo: {latency: {threshold: 250}}"),
        (
            "2:74 models[0].slo.latency.threshold: needs a unit, got 250 "
            "| write 250ms, 250s, 250m or 250d"
        ),
    ),
    "a latency without its unit in a list": (
        with_model("slo: {latency: [{threshold: 1s}, {threshold: 250, target: 50%}]}"),
        (
            "2:92 models[0].slo.latency[1].threshold: needs a unit, got 250 "
            "| write 250ms, 250s, 250m or 250d"
        ),
    ),
    "one promise twice": (
        with_model("slo: {latency: [{threshold: 1s}, {threshold: 1s, target: 99%}]}"),
        "2:62 models[0].slo.latency: promises the same twice | keep one of them",
    ),
    "a promise without an error budget": (
        with_model("slo: {availability: 100%}"),
        (
            "2:67 models[0].slo.availability: leaves no error budget: 100% "
            "| nothing never fails: write 99.9% or 99.99%"
        ),
    ),
    "a promise of nothing": (
        with_model("slo: {latency: {threshold: 1s, target: 0%}}"),
        (
            "2:86 models[0].slo.latency.target: promises nothing: 0% "
            "| write what share must be good: 99%"
        ),
    ),
    "a period of a day": (
        with_model("slo: {window: 1d}"),
        (
            "2:61 models[0].slo.window: is too short a period to judge: 1d "
            "| write 7d or more, 30d as a rule"
        ),
    ),
    "a prediction that must be fresher than a rate can tell": (
        with_model("slo: {freshness: {within: 1m}}"),
        (
            "2:73 models[0].slo.freshness.within: is below 5m: 1m "
            "| traffic is looked at over five minutes"
        ),
    ),
    "freshness without a time": (
        with_model("slo: {freshness: {target: 99%}}"),
        "2:53 models[0].slo.freshness.within: is required",
    ),
    "the accuracy of a regressor": (
        with_model("slo: {accuracy: 90%}"),
        (
            "2:63 models[0].slo.accuracy: is nothing that a regression has "
            "| promise its errors: performance: {mae: {max: 10}}"
        ),
    ),
    "drift without a profile": (
        with_model("slo: {drift_free: 99%}"),
        "2:65 models[0].slo.drift_free: needs a profile | add profile: profiles/a.json",
    ),
    "a model's period longer than samples are kept": (
        with_model("slo: {window: 90d}"),
        (
            "2:61 models[0].slo.window: stack.retention 35d is shorter than the 90d over which "
            "a 1 is judged (slo.window) | keep samples for longer: stack: {retention: 105d}"
        ),
    ),
    "a default's period longer than samples are kept": (
        "defaults: {slo: {window: 45d}}\n" + ONE,
        (
            "1:26 defaults.slo.window: stack.retention 35d is shorter than the 45d over which "
            "a 1 is judged (slo.window) | keep samples for longer: stack: {retention: 53d}"
        ),
    ),
    "a retention shorter than the default period": (
        "stack: {retention: 15d}\n" + ONE,
        (
            "1:20 stack.retention: stack.retention 15d is shorter than the 30d over which "
            "a 1 is judged (slo.window) | keep samples for longer: stack: {retention: 35d}"
        ),
    ),
    "a drift window longer than samples are kept": (
        with_model("drift: {window: 36d}"),
        (
            "2:63 models[0].drift.window: stack.retention 35d is shorter than the 36d over which "
            "a 1 is judged (drift.window) | keep samples for longer: stack: {retention: 42d}"
        ),
    ),
    "an alert that nobody knows": (
        with_model("alerts: {TargetDwn: off}"),
        "2:56 models[0].alerts.TargetDwn: no alert is called TargetDwn | did you mean TargetDown?",
    ),
    "an alert of models among those of GPUs": (
        ONE + "gpu: {alerts: {TargetDown: off}}\n",
        (
            "3:16 gpu.alerts.TargetDown: no alert is called TargetDown | alerts are: GpuLost, "
            "GpusMissing, GpuXid, GpuEccUncorrectable, GpuMemoryFilling, GpuHot, "
            "GpuThrottledAndSlow, GpuIdleButHeld"
        ),
    ),
    "an alert that is neither off nor on": (
        with_model("alerts: {TargetDown: no}"),
        (
            "2:68 models[0].alerts.TargetDown: is not known: 'no' "
            "| write off, or what differs: {for: 10m}"
        ),
    ),
    "a threshold for an alert that has none": (
        with_model("alerts: {TargetDown: {threshold: 2}}"),
        (
            "2:80 models[0].alerts.TargetDown.threshold: is not set here "
            "| it is set by models[].serving.targets"
        ),
    ),
    "a severity for an alert that has several": (
        with_model("alerts: {FeatureDrift: {severity: info}}"),
        (
            "2:81 models[0].alerts.FeatureDrift.severity: FeatureDrift has a severity for each of "
            "its thresholds: warning, critical | leave severity out"
        ),
    ),
    "a ratio's threshold without its unit": (
        with_model("alerts: {HighErrorRatio: {threshold: 5}}"),
        "2:84 models[0].alerts.HighErrorRatio.threshold: needs a %, got 5 | write 5%",
    ),
    "a ratio's threshold in minutes": (
        with_model("alerts: {HighErrorRatio: {threshold: 5m}}"),
        "2:84 models[0].alerts.HighErrorRatio.threshold: is not a ratio: '5m' | write it as 99.9%",
    ),
    "a time's threshold in percent": (
        with_model("alerts: {DriftEvaluationStale: {threshold: 5%}}"),
        (
            "2:90 models[0].alerts.DriftEvaluationStale.threshold: is not a duration: '5%' "
            "| write it as 250ms, 30s, 5m, 1h or 30d"
        ),
    ),
    "a threshold that is not a number": (
        with_model("alerts: {HighErrorRatio: {threshold: nan%}}"),
        "2:84 models[0].alerts.HighErrorRatio.threshold: should be a finite number, got nan",
    ),
    "a default's threshold, told once and not for every model": (
        "defaults: {alerts: {HighLatencyP99: {threshold: 1s}}}\n"
        + ONE
        + MODEL.replace(" a,", " b,"),
        (
            "1:49 defaults.alerts.HighLatencyP99.threshold: is not set here "
            "| it is set by models[].slo.latency"
        ),
    ),
    "a ratio that is never exceeded": (
        with_model("alerts: {HighErrorRatio: {threshold: 100%}}"),
        (
            "2:84 models[0].alerts.HighErrorRatio.threshold: can never fire: nothing is above 100% "
            "| write a threshold below 100%, or off"
        ),
    ),
    "a ratio that nothing falls below": (
        with_model("alerts: {LowConfidence: {threshold: 0%}}"),
        (
            "2:83 models[0].alerts.LowConfidence.threshold: can never fire: nothing is below 0% "
            "| write a threshold above 0%, or off"
        ),
    ),
    "an escalation of what has ended by then": (
        with_model("alerts: {TrafficVanished: {escalate_after: 8h}}"),
        (
            "2:90 models[0].alerts.TrafficVanished.escalate_after: is too long: by then "
            "TrafficVanished has ended, for what it watches has become usual "
            "| 5h at most, its for included"
        ),
    ),
    "a wait for what has ended by then": (
        with_model("alerts: {LatencyAnomaly: {for: 2h}}"),
        (
            "2:78 models[0].alerts.LatencyAnomaly.for: is too long: by then LatencyAnomaly has "
            "ended, for what it watches has become usual | 1h at most"
        ),
    ),
    "an escalation of what is critical": (
        with_model("alerts: {HighErrorRatio: {escalate_after: 1h}}"),
        (
            "2:89 models[0].alerts.HighErrorRatio.escalate_after: does nothing: HighErrorRatio is "
            "critical, and there is nothing worse | leave it out, or begin with severity: error"
        ),
    ),
    "a number where an alert of GPUs has a time": (
        ONE + "gpu: {alerts: {GpuMemoryFilling: {threshold: 2}}}\n",
        (
            "3:46 gpu.alerts.GpuMemoryFilling.threshold: needs a unit, got 2 "
            "| write 2ms, 2s, 2m or 2d"
        ),
    ),
    "a threshold that an alert of the stack does not have": (
        ONE + "stack: {alerts: {ExporterDown: {threshold: 5m}}}\n",
        (
            "3:44 stack.alerts.ExporterDown.threshold: is not set here "
            "| it is set by nothing: it has no threshold"
        ),
    ),
    "no alert that always fires": (
        ONE + "stack: {alerts: {Watchdog: off}}\n",
        (
            "3:18 stack.alerts.Watchdog: no alert is called Watchdog | alerts are: ExporterDown, "
            "PromisesMissing, ExporterStale, SpecRefused, RuleFailures, NotificationsFailing, "
            "ConfigReloadFailed, NotificationsNotWritten, RemediationFailing"
        ),
    ),
    "an escalation of a tier": (
        with_model("alerts: {ErrorBudgetBurn1d: {escalate_after: 1h}}"),
        (
            "2:92 models[0].alerts.ErrorBudgetBurn1d.escalate_after: does nothing: the tiers of an "
            "error budget are an escalation already | leave it out"
        ),
    ),
    "a threshold of GPUs that is never exceeded": (
        ONE + "gpu: {alerts: {GpuThrottledAndSlow: {threshold: 100%}}}\n",
        (
            "3:49 gpu.alerts.GpuThrottledAndSlow.threshold: can never fire: nothing is above 100% "
            "| write a threshold below 100%, or off"
        ),
    ),
    "a share of drifted features that is never exceeded": (
        with_model("drift: {share: 100%}"),
        "2:62 models[0].drift.share: is never exceeded: 100% | write less than 100%",
    ),
    "an age of nothing": (
        with_model("max_age: 90d"),
        "2:56 models[0].max_age: needs trained_at | say when it was trained",
    ),
    "a sum that is none": (
        with_model("artifact: {path: a.bin, sha256: abc}"),
        (
            "2:79 models[0].artifact.sha256: is not a SHA-256: 'abc' "
            "| write the 64 digits of sha256sum FILE"
        ),
    ),
    "a warning above critical": (
        with_model("drift: {warning: 0.5}"),
        (
            "2:54 models[0].drift: warns at 0.5, above critical at 0.25 "
            "| the warning threshold must be the lower one"
        ),
    ),
    "a default's warning above critical": (
        "defaults: {drift: {warning: 0.5}}\n" + ONE + MODEL.replace(" a,", " b,"),
        (
            "1:19 defaults.drift: warns at 0.5, above critical at 0.25 "
            "| the warning threshold must be the lower one"
        ),
    ),
    "an endless score": (
        with_model("drift: {critical: 1e999}"),
        "2:65 models[0].drift.critical: should be a finite number, got inf",
    ),
    "a truth value for a number": (
        with_model("drift: {min_samples: true}"),
        "2:68 models[0].drift.min_samples: should be a whole number, got True",
    ),
    "zero where something is needed": (
        with_model("drift: {warning: 0}"),
        "2:64 models[0].drift.warning: input should be greater than 0, got 0",
    ),
    "a date that is none": (
        with_model("trained_at: 2026-13-01"),
        (
            "2:59 models[0].trained_at: is not a date: '2026-13-01' "
            "| write 2026-10-01 or 2026-10-01T12:00:00Z"
        ),
    ),
    "a target that is no host:port": (
        with_model("serving: {targets: [localhost]}"),
        (
            "2:67 models[0].serving.targets[0]: is not host:port: 'localhost' "
            "| write it as 127.0.0.1:9101"
        ),
    ),
    "a profile that is not there": (
        with_model("profile: profiles/none.json"),
        (
            "2:56 models[0].profile: no such file: profiles/none.json "
            "| build it: python -m exporters.drift profile --data train.csv --model NAME"
        ),
    ),
    "a profile that is none": (
        with_model("profile: models.yaml"),
        (
            "2:56 models[0].profile: is not a profile: models.yaml: the file: Invalid JSON: "
            "expected value at line 1 column 1 "
            "| build it: python -m exporters.drift profile --data train.csv --model NAME"
        ),
    ),
    "a secret that is not there": (
        'teams: {ml-platform: {slack: {channel: "#x", webhook_file: no/file}}}\n' + ONE,
        (
            "1:60 teams.ml-platform.slack.webhook_file: no such file: no/file "
            "| paths start at the folder of {file}"
        ),
    ),
    "a team that nobody described": (
        with_model("team: risk"),
        "2:53 models[0].team: no team is called risk | describe it under teams: risk: {}",
    ),
    "a default team that nobody described": (
        f"defaults: {{team: risks}}\nteams: {{risk: {{}}}}\n{ONE}",
        "1:18 defaults.team: no team is called risks | did you mean risk?",
    ),
    "teams without the default one": (
        "teams: {risk: {}}\n" + with_model("team: risk"),
        (
            "1:1 teams: the default team ml-platform is not among them "
            "| add ml-platform: {} or set defaults.team"
        ),
    ),
    "a channel that the team does not have": (
        "routing: {critical: [log, slack]}\n" + ONE,
        (
            "1:21 routing.critical: names slack, which team ml-platform does not have "
            "| add teams.ml-platform.slack, or take slack out"
        ),
    ),
    "mail without a server": (
        "teams: {ml-platform: {email: {to: [a@example.com]}}}\n" + ONE,
        (
            "1:23 teams.ml-platform.email: needs a mail server "
            "| add smtp: {smarthost: mail.example.com:587, from: alerts@example.com}"
        ),
    ),
    "a model that stands twice": (
        ONE + MODEL,
        (
            "3:12 models[1].name: a 1 is already models[0] "
            "| give it another version, or take one of them out"
        ),
    ),
    "braces in a value": (
        with_model("slo: {window: '{x}'}"),
        (
            "2:61 models[0].slo.window: is not a duration: '{x}' "
            "| write it as 250ms, 30s, 5m, 1h or 30d"
        ),
    ),
    "columns counted in characters": (
        'teams: {"Größe ☃": {phone: 1}, ml-platform: {}}\n' + ONE,
        (
            "1:21 teams.Größe ☃.phone: unknown key "
            "| known keys: email, opsgenie, pagerduty, quiet_hours, slack, webhook"
        ),
    ),
}


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_is_refused_at_its_place_with_a_suggestion(
    tmp_path: Path, text: str, expected: str
) -> None:
    found = places(problems(tmp_path, text))
    assert found == [expected.replace("{file}", str(tmp_path / "models.yaml"))]


EVERYTHING_WRONG = """\
defaults:
  team: platfrom
  slo: {window: 30, availability: 99.9, latency: {threshold: 250, target: 100%}}
  drift: {method: chi, warnning: 0.1}
teams:
  platform: {slack: {channel: "#x", webhook_file: secrets/none}, phone: 5}
routing: {critical: [log, pager]}
stack: {prometheus: "http://localhost:9090/", gpu: [nohost], responder: "a:99999"}
models:
  - name: "über model"
    version: 1.10
    task: classification
    serving: {targets: [localhost, "[::1]:91"]}
    profile: profiles/none.json
    alerts: {TargetDwn: off, HighErrorRatio: {for: 5, threshold: 5, severity: crit}}
    slo: {latency: [{threshold: 1s}, {threshold: 1s}]}
    foo: 1
  - {name: a, version: "1", task: regression, team: nobody}
  - {name: a, version: "1", task: regression}
  - 5
"""


def test_everything_wrong_is_told_at_once_each_with_its_line_and_a_caret(
    tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models.yaml").write_text(EVERYTHING_WRONG)
    with pytest.raises(ProblemsError) as raised:
        read_spec(Path("models.yaml"))
    golden("contract/everything_wrong.txt", f"{raised.value}\n")
