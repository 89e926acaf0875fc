"""An alert of one's own reaches the people whom an alert of the stack would reach."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.read import read_spec
from generator.outputs import render
from stack.plan import find_programs
from tests.generator.sinks import Posts, posts
from tests.processes import eventually, free_port, running
from tests.responder.conftest import START, Served

MODELS = """
stack: {{alertmanager: "{alertmanager}", responder: "{responder}"}}
responder: {{token_file: token}}
teams:
  ml-platform: {{webhook: {{url: "{sink}/platform"}}}}
  risk: {{webhook: {{url: "{sink}/risk"}}}}
routing: {{info: [log], warning: [log, webhook]}}
models:
  - {{name: fraud, version: "1", task: regression, team: risk}}
  - {{name: churn, version: "1", task: regression}}
  - {{name: churn, version: "2", task: regression}}
"""
TOKEN = "a-token"


@pytest.fixture
def own(start: START, tmp_path: Path) -> Iterator[tuple[Served, Posts]]:
    """A responder and an Alertmanager with the generated file; teams are told at the sink."""
    ports = {name: free_port() for name in ("alertmanager", "responder")}
    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    with posts() as sink:
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        models = tmp_path / "models.yaml"
        models.write_text(MODELS.format(sink=sink.address, **addresses))
        with (
            start("--models", str(models), port=ports["responder"]) as served,
            alertmanager(tmp_path, models, addresses["alertmanager"]),
        ):
            served.web.headers["Authorization"] = f"Bearer {TOKEN}"
            yield served, sink


@contextmanager
def alertmanager(folder: Path, models: Path, address: str) -> Iterator[None]:
    """Started in the folder that the generated tree lies in, as the stack does."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for path, text in render(read_spec(models, time_scale=300), ["alertmanager"]).items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
    finally:
        os.chdir(before)
    program = find_programs().alertmanager
    argv = [program, "--config.file=alertmanager/generated/alertmanager.yml"]
    argv += [f"--web.listen-address={address}", "--storage.path=am", "--cluster.listen-address="]
    with running(argv, cwd=folder, ready_url=f"http://{address}/-/ready"):
        yield


def send(served: Served, **fields: Any) -> httpx.Response:
    return served.web.post("/v1/alerts", json=fields)


BACKUP = {
    "severity": "warning",
    "message": "The backup of fraud failed.",
    "alertname": "BackupFailed",
    "model": "fraud",
    "data": {"host": "db1", "value": 3, "tables": ["a", "b"]},
}


def test_it_arrives_at_the_receiver_of_the_models_team_and_in_the_log(
    own: tuple[Served, Posts],
) -> None:
    served, sink = own
    answer = send(served, **BACKUP)
    assert answer.status_code == 202, answer.text
    assert answer.json()["labels"] == {
        "alertname": "BackupFailed",
        "severity": "warning",
        "team": "risk",
        "model_name": "fraud",
        "model_version": "1",
    }
    [line] = eventually(served.lines, says=served.running.tail)
    assert line["fingerprint"] == answer.json()["fingerprint"], "by which it is found"
    assert (line["team"], line["model"], line["version"]) == ("risk", "fraud", "1")
    assert (line["summary"], line["value"]) == ("The backup of fraud failed.", 3)
    assert line["annotations"] == {"host": "db1", "tables": '["a","b"]'}
    assert line["links"]["runbook"].endswith("/runbooks/BackupFailed")
    assert "ml-model?var-model=fraud&var-version=1" in line["links"]["dashboard"]
    [told] = eventually(lambda: sink.to("/risk"))
    assert told.body["alerts"][0]["annotations"]["summary"] == "The backup of fraud failed."
    assert sink.to("/platform") == []
    assert send(served, **{**BACKUP, "message": "", "resolve": True}).status_code == 202
    eventually(lambda: [one["status"] for one in served.lines()] == ["firing", "resolved"])
    assert served.lines()[1]["fingerprint"] == line["fingerprint"]


def test_without_a_model_the_default_team_is_told_and_a_severity_goes_where_it_is_routed(
    own: tuple[Served, Posts],
) -> None:
    served, sink = own
    assert send(served, severity="warning", message="w").json()["labels"]["alertname"] == "Reported"
    eventually(lambda: sink.to("/platform"))
    # Of the same name, the warning would keep it still.
    assert send(served, severity="info", message="i", alertname="Other").status_code == 202
    eventually(lambda: len(served.lines()) == 2)
    assert len(sink.to("/platform")) == 1, "info goes to the log alone"


def test_it_fires_for_as_long_as_it_says(own: tuple[Served, Posts]) -> None:
    served, _ = own
    before = dt.datetime.now(dt.UTC)
    ends = dt.datetime.fromisoformat(send(served, **BACKUP, lasts="12h").json()["ends_at"])
    assert dt.timedelta(hours=11.9) < ends - before < dt.timedelta(hours=12.1)
    assert send(served, severity="info", message="short", lasts="2s").status_code == 202
    eventually(
        lambda: "resolved" in [one["status"] for one in served.lines() if one["summary"] == "short"]
    )


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no severity": ({"message": "a"}, "severity", "is missing"),
    "a severity that is none": (
        {"severity": "critcal", "message": "a"},
        "severity",
        "'critcal' is not known; did you mean critical?",
    ),
    "no message": ({"severity": "info"}, "message", "is missing: say in a sentence what is wrong"),
    "a field that is none": (
        {"severity": "info", "message": "a", "modle": "fraud"},
        "modle",
        "is not known; did you mean model?",
    ),
    "a model that is none": (
        {"severity": "info", "message": "a", "model": "fruad"},
        "model",
        "'fruad' is not known; did you mean fraud?",
    ),
    "a version that is none": (
        {"severity": "info", "message": "a", "model": "fraud", "version": "7"},
        "version",
        "'7' is not known; there are 1",
    ),
    "one of several versions": (
        {"severity": "info", "message": "a", "model": "churn"},
        "version",
        "is missing: churn has 1, 2",
    ),
    "a version of no model": (
        {"severity": "info", "message": "a", "version": "1"},
        "version",
        "is of no model: add model",
    ),
    "a team that is none": (
        {"severity": "info", "message": "a", "team": "rsk"},
        "team",
        "'rsk' is not known; did you mean risk?",
    ),
    "the name of an alert of the stack": (
        {"severity": "info", "message": "a", "alertname": "HighErrorRatio"},
        "alertname",
        "HighErrorRatio is an alert of the stack's own rules; take another name",
    ),
    "a name of two words": (
        {"severity": "info", "message": "a", "alertname": "two words"},
        "alertname",
        "should be a word such as BackupFailed, got 'two words'",
    ),
    "a time without a unit": (
        {"severity": "info", "message": "a", "lasts": "5"},
        "lasts",
        "is not a duration: '5'; write 30m, 1h or 1d",
    ),
    "data that would stand for an annotation of rules": (
        {"severity": "info", "message": "a", "data": {"summary": "b"}},
        "data",
        "has a key that cannot be used: 'summary'",
    ),
    "a message that is a number": (
        {"severity": "info", "message": 5},
        "message",
        "expected str, got int",
    ),
}  # fmt: skip


def test_what_is_wrong_is_refused_with_its_field_and_what_to_write(
    own: tuple[Served, Posts],
) -> None:
    served, _ = own
    for sentence, (fields, field, message) in REFUSED.items():
        answer = send(served, **fields)
        assert answer.status_code == 400, sentence
        assert answer.json() == {"error": f"{field}: {message}", "field": field}, sentence
    assert served.web.post("/v1/alerts", content=b"[").status_code == 400
    assert served.web.post("/v1/alerts", content=b"x" * (2**20 + 1)).status_code == 413


def test_who_has_no_token_writes_nothing_and_may_read(own: tuple[Served, Posts]) -> None:
    served, _ = own
    del served.web.headers["Authorization"]
    for path in ("/v1/alerts", "/v1/alertmanager"):
        for headers in ({}, {"Authorization": "Bearer another"}):
            answer = served.web.post(path, json=BACKUP, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/v1/notifications", "/v1/remediation", "/metrics", "/runbooks"):
        assert served.web.get(path).status_code == 200


def test_an_alertmanager_that_is_down_is_a_503_that_says_what_to_do(
    start: START, tmp_path: Path
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text(
        f'stack: {{alertmanager: "127.0.0.1:{free_port()}"}}\n'
        'models: [{name: fraud, version: "1", task: regression}]\n'
    )
    with start("--models", str(models)) as served:
        answer = send(served, **BACKUP)
        assert answer.status_code == 503
        assert "stack.alertmanager" in answer.json()["error"]
        assert "was not sent" in answer.json()["error"]
        assert answer.headers["retry-after"] == "10"


def test_an_alertmanager_that_refuses_is_a_502(start: START, tmp_path: Path) -> None:
    models = tmp_path / "models.yaml"
    with start() as other:  # answers 404, as whatever else may listen there
        models.write_text(
            f'stack: {{alertmanager: "{other.url.removeprefix("http://")}"}}\n'
            'models: [{name: fraud, version: "1", task: regression}]\n'
        )
        with start("--models", str(models), log=tmp_path / "second.jsonl") as served:
            answer = send(served, **BACKUP)
            assert answer.status_code == 502
            assert "answered 404" in answer.json()["error"]


def test_without_models_yaml_it_says_what_is_missing(start: START) -> None:
    with start() as served:
        answer = send(served, **BACKUP)
        assert answer.status_code == 503
        assert "--models" in answer.json()["error"]
