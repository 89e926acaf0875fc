"""The command, the status page and the way it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.exporters.sidecar.serving import Sidecar, serving, write_spec
from tests.processes import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporters.sidecar", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )


def test_the_status_tells_a_program_what_came_and_what_was_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as sidecar:
        sidecar.predict([{"model_name": "mail", "prediction_id": "a", "prediction": "ham"}])
        sidecar.predict({"model_name": "mail", "features": {"lenght": 3, "links": 1}, "latncy": 1})
        for number in range(25):
            sidecar.predict({"model_name": "mail", "confidence": number + 2})
        status = sidecar.status()
    mail = status["models"][1]
    last_event = mail.pop("last_event")
    assert last_event.endswith("Z")
    assert mail == {
        "model_name": "mail",
        "model_version": "2",
        "task": "binary_classification",
        "state": "live",
        "upstream": None,
        "artifacts": {"declared": "ab" * 32, "loaded": []},
        "events": {"success": 2, "error": 0, "rejected": 0},
        "labels": {"matched": 0, "unmatched": 0, "duplicate": 0, "late": 0},
        "pids": [],
        "ignored_features": {"lenght": 1},
        "notes": [],
    }
    assert status["models"][0]["last_event"] is None
    assert status["events"] == {"accepted": 2, "rejected": 25}
    reasons = ("auth", "decode", "field", "model", "size", "log")
    assert status["rejected"] == dict.fromkeys(reasons, 0) | {"field": 25}
    assert status["log"]["duplicates"] == 0
    assert status["ignored_fields"] == {"latncy": 1}
    assert len(status["last_refused"]) == 20
    newest = status["last_refused"][0]
    assert newest.pop("time") >= last_event
    assert newest == {
        "path": "/v1/predictions",
        "reason": "field",
        "index": 0,
        "problems": [{"field": "confidence", "message": "should be a number from 0 to 1, got 26"}],
    }


def test_names_that_come_from_outside_are_bounded(sidecar: Sidecar) -> None:
    sidecar.predict({"model_name": "mail", "features": {f"{n}{'x' * 500}": 1 for n in range(99)}})
    ignored = sidecar.status()["models"][1]["ignored_features"]
    assert len(ignored) == 50
    assert max(map(len, ignored)) == 100


def test_the_status_is_a_page_in_a_browser(sidecar: Sidecar) -> None:
    sidecar.predict({"model_name": "<script>alert(1)</script>"})
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = sidecar.client.get(sidecar.url + "/v1/status", headers={"Accept": browser})
    assert page.headers["content-type"].startswith("text/html")
    assert "<td>mail 1</td>" in page.text
    assert "<script>" not in page.text


ACCEPTS = {
    "nothing": ("", "application/json"),
    "anything": ("*/*", "application/json"),
    "JSON before HTML": ("application/json, text/html;q=0.5", "application/json"),
    "HTML before JSON": ("text/html, application/json;q=0.5", "text/html; charset=utf-8"),
    "nonsense": ("text/html;q=x", "application/json"),
}


@pytest.mark.parametrize(("accept", "kind"), ACCEPTS.values(), ids=ACCEPTS)
def test_the_status_follows_what_is_accepted(sidecar: Sidecar, accept: str, kind: str) -> None:
    page = sidecar.client.get(sidecar.url + "/v1/status", headers={"Accept": accept})
    assert page.headers["content-type"] == kind


def test_one_model_alone_can_be_served(tmp_path: Path) -> None:
    with serving(tmp_path, options=("--model", "price")) as own:
        assert own.predict({"model_name": "mail"}).status_code == 404
        assert own.predict({"model_name": "price"}).status_code == 200


def test_a_model_that_is_not_in_the_file_is_an_error(tmp_path: Path) -> None:
    ended = run("serve", "--models", str(write_spec(tmp_path)), "--model", "nobody")
    assert ended.returncode == 2
    assert ended.stderr == (
        "--model nobody: no such model; there are mail, price, plain, plain-number\n"
    )


def test_problems_of_the_file_are_told_all_at_once(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, "models: [{name: a, version: 1, task: gues, profile: none.json}]\n")
    ended = run("serve", "--models", str(spec))
    assert ended.returncode == 2
    assert ended.stdout == ""
    for place in ("models[0].version", "models[0].task", "models[0].profile"):
        assert place in ended.stderr


def test_help_teaches_with_an_example() -> None:
    ended = run("serve", "--help")
    assert ended.returncode == 0
    assert "curl" in ended.stdout
