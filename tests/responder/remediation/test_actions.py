"""Each kind of action, against something real: what is sent or run, and what counts as done."""

from __future__ import annotations

import base64
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, eventually
from tests.responder.remediation.conftest import ACT, Acting, firing
from tests.responder.remediation.receiving import Received, Receiver

DOCS = (ROOT / "docs" / "remediation.md").read_text()


def outcome(acting: Acting, receiver: Receiver, **alert: Any) -> dict[str, Any]:
    """Let the alert fire; the record of what became of the action."""
    assert acting.served.post(receiver.fires(firing(**alert))).status_code == 200
    ended = eventually(
        lambda: acting.records(step="succeeded") or acting.records(step="failed"),
        seconds=40,
        says=acting.served.running.tail,
    )
    return ended[0]


# Webhooks


def documented_check() -> Any:
    """The function of docs/remediation.md that checks a signature."""
    [source] = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    return names["is_ours"]


def test_a_webhook_is_signed_so_that_the_documented_check_takes_it(
    act: ACT, receiver: Receiver
) -> None:
    url = f"{receiver.url}/act?key=1"
    action = f"do: webhook, url: '{url}', token_file: secrets/token, data: {{to: previous}}"
    with act(action) as acting:
        assert outcome(acting, receiver)["step"] == "succeeded"
        [one] = receiver.received
        is_ours = documented_check()
        assert is_ours(b"a key", one.headers, one.body)
        assert not is_ours(b"another", one.headers, one.body)
        assert not is_ours(b"a key", one.headers, one.body + b" ")
        late = one.headers | {"webhook-timestamp": str(int(time.time()) - 301)}
        assert not is_ours(b"a key", late, one.body)
        assert (one.method, one.path) == ("POST", "/act?key=1")
        assert one.headers["authorization"] == "Bearer a token"
        assert one.headers["idempotency-key"] == one.headers["webhook-id"] == one.json["id"]
        body = one.json
        alert = body.pop("alert")
        assert body == {
            "type": "remediation.webhook",
            "id": one.headers["webhook-id"],
            "action": f"webhook {receiver.url}/act",
            "data": {"to": "previous"},
        }
        assert (alert["alertname"], alert["model"], alert["version"], alert["value"]) == (
            "HighErrorRatio",
            "fraud",
            "2",
            0.07,
        )


def test_a_key_as_standard_webhooks_writes_it_is_decoded(
    act: ACT, receiver: Receiver, tmp_path: Path
) -> None:
    with act(f"do: webhook, url: '{receiver.url}/act'") as acting:
        key = base64.b64encode(b"k" * 24).decode()
        (tmp_path / "secrets" / "key").write_text(f"whsec_{key}\n")
        outcome(acting, receiver)
        [one] = receiver.received
        assert documented_check()(b"k" * 24, one.headers, one.body)


def test_what_the_other_side_cannot_do_now_is_tried_again_with_longer_pauses(
    act: ACT, receiver: Receiver
) -> None:
    answers = [503, 500, 200]
    receiver.answer = lambda _: (answers[len(receiver.received) - 1], 0)
    with act(f"do: webhook, url: '{receiver.url}/act'") as acting:
        done = outcome(acting, receiver)
        assert (done["step"], done["detail"]) == ("succeeded", "answered 200 (attempt 3)")
        first, second, third = receiver.received
        assert 0.25 <= second.at - first.at <= 1
        assert 0.5 <= third.at - second.at <= 2
        assert first.body == second.body == third.body
        assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
        assert all(documented_check()(b"a key", one.headers, one.body) for one in (first, third))
        assert acting.steps().count("intent") == 1


def test_it_is_given_up_after_the_attempts_that_are_allowed(act: ACT, receiver: Receiver) -> None:
    receiver.answer = lambda _: (502, 0)
    with act(f"do: webhook, url: '{receiver.url}/act', attempts: 2") as acting:
        done = outcome(acting, receiver)
        assert done["step"] == "failed"
        assert done["detail"] == 'answered 502 (attempt 2): {"said": "so"}'
        assert len(receiver.received) == 2


def test_an_answer_that_takes_too_long_is_tried_again(act: ACT, receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, 2.0 if len(receiver.received) == 1 else 0)
    with act(f"do: webhook, url: '{receiver.url}/act', timeout: 500ms") as acting:
        assert outcome(acting, receiver)["detail"] == "answered 200 (attempt 2)"


@pytest.mark.parametrize("status", [400, 404, 409, 429, 302])
def test_a_refusal_and_a_redirect_are_final(act: ACT, receiver: Receiver, status: int) -> None:
    """A redirect would carry the signed body and the token to somebody else."""
    receiver.answer = lambda _: (status, 0)
    with act(f"do: webhook, url: '{receiver.url}/act'") as acting:
        done = outcome(acting, receiver)
        assert done["step"] == "failed"
        assert done["detail"].startswith(f"answered {status}: ")
        assert len(receiver.received) == 1


def test_where_nobody_listens_it_is_tried_again_and_says_so(act: ACT, receiver: Receiver) -> None:
    with act("do: webhook, url: 'http://127.0.0.1:9/act', attempts: 2") as acting:
        done = outcome(acting, receiver)
        assert done["step"] == "failed"
        assert re.match(r"ConnectError: .* \(attempt 2\)", done["detail"])


def test_a_secret_that_went_away_is_a_failure_and_not_the_end(
    act: ACT, receiver: Receiver, tmp_path: Path
) -> None:
    action = f"do: webhook, url: '{receiver.url}/act', token_file: secrets/token"
    with act(action) as acting:
        (tmp_path / "secrets" / "token").unlink()
        done = outcome(acting, receiver)
        assert (done["step"], "secrets/token" in done["detail"]) == ("failed", True)
        assert receiver.received == []


def test_traffic_is_a_share_that_is_put(act: ACT, receiver: Receiver) -> None:
    with act(f"do: traffic, url: '{receiver.url}/weights', weight: 2.5%") as acting:
        assert outcome(acting, receiver)["step"] == "succeeded"
        [one] = receiver.received
        assert one.method == "PUT"
        assert (one.json["model"], one.json["version"], one.json["weight"]) == ("fraud", "2", 0.025)
        assert documented_check()(b"a key", one.headers, one.body)


# Training


def airflow(one: Received) -> None:
    assert one.path == "/api/v2/dags/train.fraud/dagRuns"
    assert one.headers["authorization"] == "Bearer a token"
    run, action = one.json["dag_run_id"], one.headers["webhook-id"]
    assert run == f"ml-observability-{action}"
    assert one.json["logical_date"] is None
    assert "logical_date" in one.json
    assert one.json["conf"] == {
        "full": True,
        "model": "fraud",
        "version": "2",
        "alert": one.json["conf"]["alert"],
    }


def airflow_2(one: Received) -> None:
    assert one.path == "/api/v1/dags/train.fraud/dagRuns"
    assert base64.b64decode(one.headers["authorization"].removeprefix("Basic ")) == b"ml:a token"
    assert set(one.json) == {"dag_run_id", "conf"}


def argo_workflows(one: Received) -> None:
    assert one.path == "/api/v1/workflows/training/submit"
    assert one.headers["authorization"] == "Bearer a token"
    assert one.json == {
        "namespace": "training",
        "resourceKind": "WorkflowTemplate",
        "resourceName": "train",
        "submitOptions": {
            "name": f"train-{one.headers['webhook-id'][:16]}",
            "parameters": ["full=true", "model=fraud", "version=2"],
        },
    }


def argo_events(one: Received) -> None:
    assert one.path == "/train"
    assert one.headers["authorization"] == "Bearer a token"
    assert (one.json["model"], one.json["version"], one.json["full"]) == ("fraud", "2", True)
    assert one.json["alert"]["alertname"] == "HighErrorRatio"


def github(one: Received) -> None:
    assert one.path == "/repos/acme/fraud/dispatches"
    assert one.headers["authorization"] == "Bearer a token"
    assert one.headers["accept"] == "application/vnd.github+json"
    assert one.headers["x-github-api-version"] == "2022-11-28"
    assert one.json["event_type"] == "retrain"
    assert len(one.json["client_payload"]) <= 10
    assert one.json["client_payload"]["model"] == "fraud"


TOKEN = "token_file: secrets/token"
PRESETS = {
    "Airflow 3": (
        f"airflow: {{url: URL, dag: train.fraud, {TOKEN}, conf: {{full: true}}}}",
        airflow,
    ),
    "Airflow 2": (
        ("airflow: {url: URL/, dag: train.fraud, api: v1, username: ml, "
        "password_file: secrets/token}"),
        airflow_2,
    ),
    "Argo Workflows": (
        (f"argo_workflows: {{url: URL, namespace: training, template: train, {TOKEN}, "
        "parameters: {full: true}}"),
        argo_workflows,
    ),
    "Argo Events": (f"argo_events: {{url: URL/train, {TOKEN}, data: {{full: true}}}}", argo_events),
    "GitHub": (f"github: {{repository: acme/fraud, api_url: URL, {TOKEN}}}", github),
}  # fmt: skip


@pytest.mark.parametrize(("preset", "check"), PRESETS.values(), ids=PRESETS)
def test_a_training_is_started_as_its_place_wants_it(
    act: ACT, receiver: Receiver, preset: str, check: Any
) -> None:
    with act(f"do: retrain, {preset.replace('URL', receiver.url)}") as acting:
        assert outcome(acting, receiver)["step"] == "succeeded"
        [one] = receiver.received
        assert one.method == "POST"
        check(one)


@pytest.mark.parametrize("name", PRESETS)
def test_a_training_is_tried_again_only_where_it_cannot_begin_twice(
    act: ACT, receiver: Receiver, name: str
) -> None:
    receiver.answer = lambda _: (500 if len(receiver.received) == 1 else 409, 0)
    named = name in {"Airflow 3", "Airflow 2", "Argo Workflows"}
    with act(f"do: retrain, {PRESETS[name][0].replace('URL', receiver.url)}") as acting:
        done = outcome(acting, receiver)
        # Of what has a name, a 409 says that it has begun.
        assert (done["step"], len(receiver.received)) == (
            ("succeeded", 2) if named else ("failed", 1)
        )


# Commands


def command(folder: Path, script: str, more: str = "") -> str:
    file = folder / "script.sh"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return f"do: command, command: ['{file}', 'two words', '$(id)']" + (f", {more}" if more else "")


def test_a_command_gets_its_arguments_and_the_alert_and_nothing_else(
    act: ACT, receiver: Receiver, tmp_path: Path
) -> None:
    script = 'printf "%s|" "$@"; pwd; env | sort'
    text = "environment: {PATH: /usr/bin:/bin, MORE: 'a=b'}, directory: secrets"
    with act(command(tmp_path, script, text)) as acting:
        done = outcome(acting, receiver)
    assert done["step"] == "succeeded"
    first, *lines = done["detail"].removeprefix("exited with 0: ").splitlines()
    assert first == f"two words|$(id)|{tmp_path / 'secrets'}"
    variables = dict(line.split("=", 1) for line in lines)
    own = {name for name in variables if name.startswith("ALERT_")}
    assert set(variables) - own <= {"PATH", "MORE", "PWD", "_", "SHLVL", "OLDPWD"}
    assert variables["MORE"] == "a=b"
    assert variables["ALERT_MODEL"] == "fraud"
    assert variables["ALERT_VALUE"] == "0.07"
    assert variables["ALERT_ACTION_ID"] == done["id"]
    documented = set(re.findall(r"`(ALERT_\w+)`", DOCS))
    assert own == documented


def test_a_command_that_fails_says_how(act: ACT, receiver: Receiver, tmp_path: Path) -> None:
    with act(command(tmp_path, "echo no room >&2; exit 3")) as acting:
        done = outcome(acting, receiver)
    assert (done["step"], done["detail"]) == ("failed", "exited with 3: no room")


def test_a_program_that_is_not_there_is_a_failure(act: ACT, receiver: Receiver) -> None:
    with act("do: command, command: [/no/such/program]") as acting:
        done = outcome(acting, receiver)
    assert done["step"] == "failed"
    assert "No such file or directory: /no/such/program in " in done["detail"]


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("script", "step", "said"),
    [
        ("sleep 300 & echo $!; wait", "failed", "took longer than 1s and was killed: "),
        ("trap '' TERM; sleep 300 & echo $!; wait", "failed", "took longer than 1s"),
        ("sleep 300 & echo $!", "succeeded", "exited with 0: "),
    ],
    ids=["at its time limit", "however it resists", "when it leaves something behind"],
)
def test_a_command_is_killed_with_all_that_it_started(
    act: ACT, receiver: Receiver, tmp_path: Path, script: str, step: str, said: str
) -> None:
    with act(command(tmp_path, script, "timeout: 1s")) as acting:
        done = outcome(acting, receiver)
        assert done["step"] == step
        assert done["detail"].startswith(said)
        assert done["seconds"] < 4
        pid = int(done["detail"].split()[-1])
        eventually(lambda: not alive(pid))
        assert pid != os.getpid()


def test_of_much_output_the_end_is_kept(act: ACT, receiver: Receiver, tmp_path: Path) -> None:
    script = "/usr/bin/yes 0123456789 | /usr/bin/head -c 3000000; echo the end"
    with act(command(tmp_path, script)) as acting:
        done = outcome(acting, receiver)
    assert done["step"] == "succeeded"
    assert done["detail"].endswith("the end")
    assert len(done["detail"]) < 4_100
