"""Whoever has mended what made an action fail need not wait for the breaker's pause."""

from __future__ import annotations

import datetime as dt
import getpass
import subprocess
import sys
from typing import Any

import pytest

from tests.processes import ROOT, eventually
from tests.responder.remediation.conftest import ACT, Acting, firing, resolved
from tests.responder.remediation.receiving import Receiver

RULES = "dry_run: false, cooldown: 1ms, max_per_hour_per_model: 99, breaker: {failures: 1}"
OPEN = "ml_remediation_breaker_open fraud 2 ml-platform rollback"


def rollback(receiver: Receiver) -> str:
    return f"do: webhook, url: '{receiver.url}/act', name: rollback"


def fail_once(acting: Acting, receiver: Receiver) -> None:
    receiver.answer = lambda _: (400, 0)
    assert acting.served.post(receiver.fires(firing(1))).status_code == 200
    acting.until("intent", "failed")
    eventually(lambda: acting.served.metrics()[OPEN] == 1)
    receiver.answer = lambda _: (200, 0)


def reset(acting: Acting, **asked: Any) -> Any:
    return acting.served.web.post("/v1/remediation/reset", json=asked)


def command(acting: Acting, *more: str) -> subprocess.CompletedProcess[str]:
    address = acting.served.url.removeprefix("http://")
    options = ["--models", str(acting.models), "--address", f"responder={address}"]
    return subprocess.run(
        [sys.executable, "-m", "responder", "remediation", "reset", *options, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_tried_at_the_next_incident_and_who_said_so_is_on_record(
    act: ACT, receiver: Receiver
) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        fail_once(acting, receiver)
        asked = {"by": "anna", "reason": "renewed the token"}
        answer = reset(acting, model="fraud", action="rollback", **asked)
        assert answer.status_code == 200, answer.text
        [record] = acting.records(step="reset")
        assert answer.json() == {"reset": [record]}
        assert (record["by"], record["detail"]) == ("anna", "renewed the token")
        assert dt.datetime.fromisoformat(record["time"]) <= dt.datetime.now(dt.UTC)
        [failed] = acting.records(step="failed")
        assert record["id"] != failed["id"]
        [action] = acting.shown()["actions"]
        assert (action["failures"], action["breaker_open_until"]) == (0, None)
        assert action["reset"] == {"time": record["time"], "by": "anna"}
        assert acting.shown()["last"][0] == record
        assert acting.served.metrics()[OPEN] == 0
        page = acting.served.web.get("/v1/remediation", headers={"Accept": "text/html"}).text
        assert "by anna: renewed the token" in page
        assert acting.served.post(receiver.fires(firing(2))).status_code == 200
        acting.until("intent", "failed", "reset", "intent", "succeeded")


def test_it_is_not_forgotten_by_a_restart(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        fail_once(acting, receiver)
        assert reset(acting, model="fraud", by="anna").status_code == 200
        acting.served.running.kill()
    with act(rollback(receiver), rules=RULES) as acting:
        eventually(lambda: acting.shown()["actions"][0]["reset"])
        assert acting.served.metrics()[OPEN] == 0


def test_what_was_left_out_stays_left_out(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        fail_once(acting, receiver)
        left = receiver.fires(firing(2))
        acting.served.post(left)
        acting.until("intent", "failed", "breaker")
        reset(acting, model="fraud", by="anna")
        acting.served.post(left)
        acting.served.post(receiver.fires(firing(3)))
        acting.until("intent", "failed", "breaker", "reset", "intent", "succeeded")


def test_what_did_not_fail_needs_none_and_nothing_is_written(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        eventually(lambda: reset(acting, model="fraud", by="anna").json() == {"reset": []})
        one = receiver.fires(firing(1))
        acting.served.post(one)
        acting.until("intent", "succeeded")
        acting.served.post(resolved(one))
        acting.until("intent", "succeeded", "resolved")
        assert reset(acting, model="fraud", by="anna").json() == {"reset": []}
        assert acting.steps() == ["intent", "succeeded", "resolved"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nobody says it": ({"model": "fraud"}, "by: is missing"),
    "nobody has no name": ({"model": "fraud", "by": " "}, "by: should say who resets it"),
    "another model": (
        {"model": "frau", "by": "anna"},
        "model: is not known; did you mean fraud?",
    ),
    "another action": (
        {"model": "fraud", "action": "restart", "by": "anna"},
        "action: is not known; there are rollback",
    ),
    "another field": (
        {"model": "fraud", "by": "anna", "reson": "x"},
        "reson: is not known; did you mean reason?",
    ),
    "a novel": (
        {"model": "fraud", "by": "anna", "reason": "x" * 2001},
        "reason: should have at most 2000 characters",
    ),
}


def test_what_is_wrong_is_refused_with_what_to_write(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        for case, (asked, says) in REFUSED.items():
            answer = reset(acting, **asked)
            assert (answer.status_code, answer.json()["error"]) == (400, says), case
        assert acting.steps() == []


def test_nothing_is_reset_while_it_cannot_be_written_down(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        fail_once(acting, receiver)
        acting.served.running.kill()
    acting.audit.rename(acting.audit.with_suffix(".away"))
    acting.audit.mkdir()
    with act(rollback(receiver), rules=RULES) as acting:
        answer = eventually(
            lambda: (
                (asked := reset(acting, model="fraud", by="anna")).status_code == 503
                and "cannot write" in asked.text
                and asked
            )
        )
        assert answer.json()["error"].endswith("; not reset, send it again")


def test_the_command_says_what_it_did(act: ACT, receiver: Receiver) -> None:
    with act(rollback(receiver), rules=RULES) as acting:
        fail_once(acting, receiver)
        done = command(acting, "fraud", "rollback", "--reason", "renewed the token")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "fraud: rollback is tried again at the next incident.\n"
        [record] = acting.records(step="reset")
        assert (record["by"], record["detail"]) == (getpass.getuser(), "renewed the token")
        again = command(acting, "fraud", "--by", "anna")
        assert again.returncode == 0
        assert again.stdout == (
            "fraud: nothing has failed since it last helped; all is as it was.\n"
        )
        wrong = command(acting, "churn")
        assert (wrong.returncode, wrong.stderr) == (
            2,
            "model: is not known; there are fraud\n",
        )
    gone = command(acting, "fraud")
    assert gone.returncode == 1
    assert "is the responder running?" in gone.stderr


@pytest.mark.parametrize("token", ["a token", ""])
def test_only_who_has_the_token_resets(act: ACT, receiver: Receiver, token: str) -> None:
    rules = f"{RULES}}}\nresponder: {{token_file: secrets/token"
    with act(rollback(receiver), rules=rules) as acting:
        acting.served.web.headers["Authorization"] = "Bearer a token"
        fail_once(acting, receiver)
        del acting.served.web.headers["Authorization"]
        if token:
            assert command(acting, "fraud", "--by", "anna").returncode == 0
        else:
            assert reset(acting, model="fraud", by="anna").status_code == 401
        assert len(acting.records(step="reset")) == bool(token)
