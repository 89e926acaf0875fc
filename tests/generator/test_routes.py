from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.read import read_spec
from contract.spec import Spec
from contract.spec.teams import Routing
from generator.__main__ import main
from generator.outputs import render
from generator.routes import TEMPLATES, receiver_name, render_routes
from generator.routes.inhibition import ABOUT
from generator.verify import VerificationError, verify_alertmanager, verify_routes
from stack.plan import find_programs
from tests.processes import ROOT, eventually, free_port, http, running

CONFIG = "alertmanager/generated/alertmanager.yml"


def spec_of(folder: Path, head: str) -> Spec:
    (folder / "models.yaml").write_text(
        f'{head}\nmodels: [{{name: m, version: "1", task: regression}}]\n'
    )
    return read_spec(folder / "models.yaml")


# Who is told

HEARD = {
    "what is good to know": ("team=fraud severity=info", "log"),
    "a warning, which quiet hours may hold back from people": (
        "team=fraud severity=warning",
        "log,fraud/slack+webhook",
    ),
    "an error, which the weekend holds back": (
        "team=fraud severity=error",
        "log,fraud/slack+email+webhook",
    ),
    "what cannot wait": (
        "team=fraud severity=critical",
        "fraud/log+slack+email+pagerduty+opsgenie+webhook",
    ),
    "a team with fewer channels": ("team=search severity=critical", "search/log+slack"),
    "a model with a maintenance": (
        "team=search severity=critical model_name=ranking",
        "log,search/slack",
    ),
    "a team without channels": ("team=idle severity=critical", "log"),
    "a severity that does not exist": ("team=fraud severity=unheard-of", "log"),
    "a team that does not exist": ("team=unheard-of severity=critical", "log"),
    "the dead man's switch": ("alertname=Watchdog team=fraud severity=info", "deadman,log"),
}


@pytest.mark.parametrize(("labels", "receivers"), HEARD.values(), ids=HEARD)
def test_an_alert_goes_where_team_and_severity_say(labels: str, receivers: str, tree: Path) -> None:
    tested = subprocess.run(
        [
            *("amtool", "config", "routes", "test", f"--config.file={tree / CONFIG}"),
            *(f"--verify.receivers={receivers}", *labels.split()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_generated_test_of_the_routes_holds(tree: Path) -> None:
    verify_alertmanager(tree / "alertmanager/generated")


def test_without_any_one_route_a_generated_test_fails(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    shutil.copytree(tree / "alertmanager/generated", folder)
    text = (folder / "alertmanager.yml").read_text()
    tried, unnoticed = 0, []
    for path in paths_of(yaml.safe_load(text)["route"]):
        config = yaml.safe_load(text)
        removed = remove(config["route"], path)
        if removed["receiver"] == "log" and not {"routes", "continue"} & removed.keys():
            continue  # The root has the same receiver.
        tried += 1
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
        try:
            verify_routes(folder)
        except VerificationError:
            continue
        unnoticed.append(removed)
    assert tried > 10
    assert unnoticed == []


def paths_of(route: dict[str, Any], above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for index, inner in enumerate(route.get("routes", [])):
        yield (*above, index)
        yield from paths_of(inner, (*above, index))


def remove(route: dict[str, Any], path: tuple[int, ...]) -> dict[str, Any]:
    for index in path[:-1]:
        route = route["routes"][index]
    removed: dict[str, Any] = route["routes"].pop(path[-1])
    return removed


def test_a_severity_goes_only_where_routing_says(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("http://127.0.0.1:1/\n")
    spec = spec_of(
        tmp_path,
        'teams: {ml-platform: {slack: {channel: "#x", webhook_file: hook}}}\n'
        "routing: {warning: [slack]}",
    )
    config = yaml.safe_load(render_routes(spec))
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    assert set(by_name["ml-platform/slack"]) == {"name", "slack_configs"}
    assert set(by_name["ml-platform/log+slack"]) == {"name", "slack_configs", "webhook_configs"}


def test_a_severity_that_a_team_has_no_channel_for_goes_to_the_log(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("http://127.0.0.1:1/\n")
    spec = spec_of(
        tmp_path,
        'teams: {ml-platform: {slack: {channel: "#x", webhook_file: hook}}, idle: {}}\n'
        "routing: {critical: [slack]}",
    )
    routes = yaml.safe_load(render_routes(spec))["route"]["routes"]
    idle = next(route for route in routes if route["matchers"] == ['team="idle"'])
    assert idle == {"receiver": "log", "matchers": ['team="idle"']}


def test_every_team_and_severity_has_a_receiver(everything: Spec) -> None:
    config = yaml.safe_load(render_routes(everything))
    known = {receiver["name"] for receiver in config["receivers"]}

    def used(route: dict[str, Any]) -> Iterator[str]:
        yield route["receiver"]
        for inner in route.get("routes", []):
            yield from used(inner)

    assert set(used(config["route"])) == known
    assert receiver_name("search", ("log", "slack")) in known


def test_a_team_with_an_awkward_name_is_still_one_team(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, r"""teams: {ml-platform: {}, "it's \"us\" \\ them": {}}""")
    text = render_routes(spec)
    matchers = [r["matchers"] for r in yaml.safe_load(text)["route"]["routes"]]
    assert [r'team="it' + "'" + r's \"us\" \\ them"'] in matchers
    (tmp_path / "alertmanager.yml").write_text(text)
    (tmp_path / TEMPLATES).parent.mkdir()
    (tmp_path / TEMPLATES).write_text("")
    checked = subprocess.run(
        ["amtool", "check-config", "alertmanager.yml"], cwd=tmp_path, check=False
    )
    assert checked.returncode == 0


def test_notifications_wait_as_long_as_the_time_scale_says(tmp_path: Path) -> None:
    spec_of(tmp_path, "")
    scaled = read_spec(tmp_path / "models.yaml", time_scale=10)
    route = yaml.safe_load(render_routes(scaled))["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == (
        "3s",
        "30s",
        "24m",
    )


def test_no_secret_is_in_the_file(tree: Path, everything: Spec) -> None:
    text = (tree / CONFIG).read_text()
    for secret in ("slack", "pagerduty", "smtp", "opsgenie", "token"):
        assert everything.path(f"keys/{secret}").read_text().strip() not in text


# What a real Alertmanager makes of it


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An Alertmanager with the generated file; its Slack is a port where nobody listens."""
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "slack").write_text(f"http://127.0.0.1:{free_port()}/\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where it is rendered and where Alertmanager is started
        Path("models.yaml").write_text(
            'models: [{name: m, version: "1", task: regression}]\n'
            "teams: {ml-platform: {slack: {channel: '#x', webhook_file: secrets/slack}}}\n"
        )
        spec = read_spec(
            Path("models.yaml"),
            time_scale=60,
            addresses={"responder": f"127.0.0.1:{free_port()}"},
        )
        for path, text in render(spec, ["alertmanager"]).items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
    port = free_port()
    program = find_programs().alertmanager
    command = [program, f"--config.file={CONFIG}", f"--web.listen-address=127.0.0.1:{port}"]
    command += ["--storage.path=data", "--cluster.listen-address="]
    url = f"http://127.0.0.1:{port}"
    with running(command, cwd=folder, ready_url=f"{url}/-/ready", logs=folder / "logs"):
        yield url


def state(url: str, alerts: list[dict[str, str]]) -> dict[str, str]:
    """Post the alerts; what Alertmanager makes of each, by its label `id`."""
    with http() as client:
        posted = client.post(f"{url}/api/v2/alerts", json=[{"labels": labels} for labels in alerts])
        assert posted.status_code == 200, posted.text

        def settled() -> dict[str, str] | None:
            states = {
                alert["labels"]["id"]: alert["status"]["state"]
                for alert in client.get(f"{url}/api/v2/alerts").json()
                if alert["labels"]["id"] in {labels["id"] for labels in alerts}
            }
            done = len(states) == len(alerts) and "unprocessed" not in states.values()
            return states if done else None

        return eventually(settled, says=lambda: client.get(f"{url}/api/v2/alerts").text)


def labels(name: str, severity: str, model: str, **more: str) -> dict[str, str]:
    return {
        "alertname": name,
        "severity": severity,
        "model_name": model,
        "model_version": "1",
        "team": "ml-platform",
        **more,
    }


def test_critical_silences_the_lesser_severities_of_the_same_feature_only(
    alertmanager: str,
) -> None:
    assert state(
        alertmanager,
        [
            labels("FeatureDrift", "critical", "a", feature_name="age", id="critical"),
            labels("FeatureDrift", "warning", "a", feature_name="age", id="same feature"),
            labels("FeatureDrift", "warning", "a", feature_name="sex", id="other feature"),
            labels("FeatureDrift", "warning", "b", feature_name="age", id="other model"),
            labels("HighErrorRatio", "warning", "a", id="other alert"),
        ],
    ) == {
        "critical": "active",
        "same feature": "suppressed",
        "other feature": "active",
        "other model": "active",
        "other alert": "active",
    }


def test_a_model_that_is_down_silences_its_symptoms_unless_a_replica_is_left(
    alertmanager: str,
) -> None:
    stack = {"model_name": "none", "model_version": "none"}
    assert state(
        alertmanager,
        [
            labels("TargetDown", "critical", "c", targets="1", id="down"),
            labels("HighErrorRatio", "critical", "c", id="its symptom"),
            labels("TargetDown", "critical", "d", targets="3", id="one of three down"),
            labels("HighErrorRatio", "critical", "d", id="what the others see"),
            labels("TargetDown", "critical", "e", target="all 3 targets", targets="3", id="all"),
            labels("TargetDown", "critical", "e", target="a:1", targets="3", id="one of all"),
            labels("HighErrorRatio", "critical", "e", id="the symptom of all"),
            labels("ExporterDown", "error", "c", id="the stack's own") | stack,
            labels("TargetDown", "critical", "none", targets="1", id="a model called none"),
        ],
    ) == {
        "down": "active",
        "its symptom": "suppressed",
        "one of three down": "active",
        "what the others see": "active",
        "all": "active",
        "one of all": "suppressed",
        "the symptom of all": "suppressed",
        "the stack's own": "active",
        "a model called none": "active",
    }


def test_of_the_tiers_that_burn_a_budget_the_fastest_is_heard(alertmanager: str) -> None:
    def burn(tier: str, objective: str, severity: str) -> dict[str, str]:
        more = {"slo_tier": tier, "objective": objective, "id": f"{tier} {objective}"}
        return labels(f"ErrorBudgetBurn{tier}", severity, "burning", **more)

    assert state(
        alertmanager,
        [
            burn("6h", "availability", "critical"),
            burn("1d", "availability", "error"),
            burn("3d", "availability", "warning"),
            burn("3d", "latency", "warning"),
            labels("HighErrorRatio", "warning", "burning", id="another alert"),
        ],
    ) == {
        "6h availability": "active",
        "1d availability": "suppressed",
        "3d availability": "suppressed",
        "3d latency": "active",
        "another alert": "active",
    }


def test_a_worse_severity_silences_what_is_about_the_same_only(alertmanager: str) -> None:
    gpu = {"gpu_id": "0", "gpu_uuid": "GPU-1", "instance": "a:9103"}
    assert state(
        alertmanager,
        [
            labels("GpuHot", "critical", "g", **gpu, id="escalated"),
            labels("GpuHot", "warning", "g", **gpu, id="the same GPU"),
            labels("GpuHot", "warning", "g", **{**gpu, "gpu_uuid": "GPU-2"}, id="another GPU"),
            labels("AccuracyDecay", "critical", "g", objective="auc", id="auc"),
            labels("AccuracyDecay", "warning", "g", objective="recall", id="recall"),
        ],
    ) == {
        "escalated": "active",
        "the same GPU": "suppressed",
        "another GPU": "active",
        "auc": "active",
        "recall": "active",
    }


def test_every_label_of_an_alert_is_told_apart_or_known_not_to_matter(tree: Path) -> None:
    found: set[str] = set()
    for path in (tree / "prometheus/generated/tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for moment in test["alert_rule_test"]:
                found |= {name for alert in moment["exp_alerts"] for name in alert["exp_labels"]}
    follows = {"team", "targets", "method", "window"}  # from what it is about
    assert found - {*ABOUT, *follows, "severity", "slo_tier", "escalated_from"} == set()


def test_secrets_are_found_from_where_alertmanager_is_started(
    alertmanager: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    state(alertmanager, [labels("HighErrorRatio", "error", "e", id="told to Slack")])
    log = tmp_path_factory.getbasetemp().glob("alertmanager*/logs/stderr")
    path = next(log)
    # It got as far as the address in the file, where nobody listens.
    said = eventually(
        lambda: [
            line
            for line in path.read_text().splitlines()
            if "slack" in line and ("connection refused" in line or "no such file" in line)
        ]
    )
    assert "connection refused" in said[0]


# What docs/routing.md shows


def test_its_examples_can_be_written_together(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "routing.md").read_text()
    whole, nights, window, deadman = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    indented = "".join(f"    {line}\n" for line in nights.splitlines())
    whole = re.sub(r"    quiet_hours: .*\n", indented, whole)
    (tmp_path / "models.yaml").write_text(
        f"defaults: {{team: risk}}\n{whole}{window}{deadman}"
        'models: [{name: fraud, version: "1", task: regression}]\n'
    )
    (tmp_path / "secrets").mkdir()
    for path in re.findall(r"secrets/\w+", whole):
        (tmp_path / path).write_text("x")
    spec = read_spec(tmp_path / "models.yaml")
    assert len(spec.teams["risk"].quiet_hours) == 2
    assert spec.maintenance[0].reason == "the database moves"
    assert spec.routing == Routing()


# The command


def test_the_command_runs_what_was_rendered_and_says_what_fails(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tree / "alertmanager", tmp_path / "alertmanager")
    assert main(["test", "--out", str(tmp_path)]) == 0
    file = tmp_path / CONFIG
    file.write_text(file.read_text().replace('team="search"', 'team="sales"'))
    assert main(["test", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "critical of search" in said
    assert "goes to log, and should go to search/log+slack" in said


def test_the_command_does_not_pass_where_nothing_was_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["test", "--out", str(tmp_path)]) == 1
    assert "make generate" in capsys.readouterr().err
