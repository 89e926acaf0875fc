"""What models.yaml says about an alert is done once, at its time, within limits, and checked."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.processes import eventually
from tests.responder.conftest import START
from tests.responder.remediation.conftest import ACT, Acting, firing, resolved, write_models
from tests.responder.remediation.receiving import Receiver


def webhook(receiver: Receiver, more: str = "", path: str = "act") -> str:
    return f"do: webhook, url: '{receiver.url}/{path}'" + (f", {more}" if more else "")


def tell(acting: Acting, *alerts: dict[str, object]) -> None:
    assert acting.served.post(*alerts).status_code == 200


def quiet(acting: Acting) -> None:
    """Two looks at what is due."""
    time.sleep(2.2)
    assert acting.served.running.process.poll() is None


def test_an_action_is_done_once_and_is_on_record_before_and_after(
    act: ACT, receiver: Receiver
) -> None:
    with act(webhook(receiver)) as acting:
        one = receiver.fires(firing())
        tell(acting, one)
        intent, done = acting.until("intent", "succeeded")
        [request] = receiver.received
        assert request.headers["webhook-id"] == intent["id"] == done["id"]
        assert intent["time"] < done["time"]
        assert done["detail"] == "answered 200"
        assert (done["model"], done["version"], done["alertname"]) == (
            "fraud",
            "2",
            "HighErrorRatio",
        )
        tell(acting, one)  # Alertmanager repeats itself
        quiet(acting)
        assert acting.steps() == ["intent", "succeeded"]
        label = f"fraud 2 webhook {receiver.url}/act"
        metrics = acting.served.metrics()
        assert metrics[f"ml_remediation_actions_total {label} succeeded"] == 1
        assert metrics[f"ml_remediation_actions_total {label} failed"] == 0
        assert metrics["ml_remediation_dry_run"] == 0


def test_nothing_is_done_until_dry_run_is_turned_off(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver), rules="dry_run: true") as acting:
        tell(acting, receiver.fires(firing()))
        [record] = acting.until("dry_run")
        assert record["detail"] == f"would do: webhook {receiver.url}/act"
        assert record["dry_run"]
        quiet(acting)
        shown = acting.shown()
        assert shown["dry_run"]
        assert shown["last"][0]["step"] == "dry_run"
        assert acting.steps() == ["dry_run"]
        assert receiver.received == []
        assert acting.served.metrics()["ml_remediation_dry_run"] == 1


def test_one_action_can_stay_dry_while_others_are_done(act: ACT, receiver: Receiver) -> None:
    dry = webhook(receiver, "dry_run: true", path="dry")
    with act(dry, webhook(receiver, path="wet")) as acting:
        tell(acting, receiver.fires(firing()))
        acting.until("dry_run", "intent", "succeeded")
        assert [one.path for one in receiver.received] == ["/wet"]


def test_turning_dry_run_off_begins_with_the_next_incident(act: ACT, receiver: Receiver) -> None:
    """Whoever turns it off does not want to be surprised by what was written down before."""
    with act(webhook(receiver), rules="dry_run: true") as acting:
        tell(acting, receiver.fires(firing(1)))
        acting.until("dry_run")
        acting.models.write_text(acting.models.read_text().replace("true", "false"))
        eventually(lambda: not acting.shown()["dry_run"])
        quiet(acting)
        assert acting.steps() == ["dry_run"]
        tell(acting, receiver.fires(firing(2)))
        acting.until("dry_run", "intent", "succeeded")


def test_it_waits_for_its_time_and_is_left_out_where_the_alert_resolves_before(
    act: ACT, receiver: Receiver
) -> None:
    with act(webhook(receiver, "after: 3s"), models="fraud churn") as acting:
        one, other = receiver.fires(firing(1)), receiver.fires(firing(2, model="churn"))
        tell(acting, one, other)
        waiting = acting.shown()["waiting"]
        assert [w["model"] for w in waiting] == ["fraud", "churn"]
        assert re.fullmatch(r"due at \d\d:\d\d:\d\d UTC", waiting[0]["why"])
        assert acting.served.metrics()["ml_remediation_pending"] == 2
        tell(acting, resolved(other))
        acting.until("intent", "succeeded")
        [request] = receiver.received
        assert request.json["alert"]["model"] == "fraud"
        quiet(acting)
        assert acting.shown()["waiting"] == []


@pytest.mark.parametrize(
    ("state", "why"), [("suppressed", "silenced or inhibited in Alertmanager"), ("gone", None)]
)
def test_only_what_fires_by_alertmanager_itself_is_acted_upon(
    act: ACT, receiver: Receiver, state: str, why: str | None
) -> None:
    """A notification that it resolved may be lost, and people silence what they are at."""
    with act(webhook(receiver)) as acting:
        one = firing()
        if state != "gone":
            receiver.fires(one, state)
        tell(acting, one)
        eventually(lambda: receiver.asked)
        quiet(acting)
        assert acting.steps() == []
        assert [waiting["why"] for waiting in acting.shown()["waiting"]] == ([why] if why else [])


def test_another_beginning_is_another_incident(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "cooldown: 1ms")) as acting:
        one = receiver.fires(firing(7))
        tell(acting, one)
        acting.until("intent", "succeeded")
        tell(acting, resolved(one))
        acting.until("intent", "succeeded", "resolved")
        tell(acting, receiver.fires(firing(7)))
        acting.until("intent", "succeeded", "resolved", "intent", "succeeded")
        first, second = (one.headers["webhook-id"] for one in receiver.received)
        assert first != second


def test_it_waits_while_alertmanager_cannot_be_asked(
    start: START, receiver: Receiver, tmp_path: Path
) -> None:
    file = write_models(tmp_path, receiver, webhook(receiver))
    file.write_text(file.read_text().replace(f'"{receiver.address}"', '"127.0.0.1:9"'))
    with start("--models", str(file)) as served:
        acting = Acting(served, file, tmp_path / "remediation.jsonl")
        tell(acting, receiver.fires(firing()))
        eventually(lambda: "cannot be reached" in acting.shown()["waiting"][0]["why"])
        assert acting.steps() == []
        assert served.metrics()["ml_exporter_errors_total responder alertmanager"] >= 1
        file.write_text(file.read_text().replace("127.0.0.1:9", receiver.address))
        acting.until("intent", "succeeded")


def test_nothing_is_done_twice_within_the_cooldown(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver), models="fraud churn") as acting:
        tell(acting, receiver.fires(firing(1)), receiver.fires(firing(2)))
        acting.until("intent", "succeeded", "cooldown")
        tell(acting, receiver.fires(firing(3, model="churn")))  # of another model
        acting.until("intent", "succeeded", "cooldown", "intent", "succeeded")
        [fraud, _] = acting.shown()["actions"]
        assert fraud["cooling_until"]


def test_no_more_is_done_within_an_hour_than_the_limits_say(act: ACT, receiver: Receiver) -> None:
    rules = "dry_run: false, cooldown: 1ms, max_per_hour: 3, max_per_hour_per_model: 2"
    with act(webhook(receiver), rules=rules, models="fraud churn") as acting:
        for number, model in enumerate(["fraud"] * 3 + ["churn"] * 2):
            tell(acting, receiver.fires(firing(number, model=model)))
            steps = 2 * min(number + 1, 2) if model == "fraud" else 5 + 2
            eventually(lambda steps=steps: len(acting.steps()) >= steps)  # type: ignore[misc]
        eventually(lambda: len(acting.records(step="limit")) == 2)
        assert [one["detail"] for one in acting.records(step="limit")] == [
            "2 of the model within an hour",
            "3 of all models within an hour",
        ]
        assert len(receiver.received) == 3


def test_two_actions_are_never_under_way_at_once_on_one_model(act: ACT, receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, 1.0)
    actions = [webhook(receiver, path=path) for path in "abc"]
    with act(*actions, models="fraud churn") as acting:
        tell(acting, receiver.fires(firing(1)), receiver.fires(firing(2, model="churn")))
        eventually(lambda: len(receiver.received) == 2, seconds=5)
        eventually(lambda: len(acting.shown()["under_way"]) == 2)
        assert {one["why"] for one in acting.shown()["waiting"]} == {
            f"after webhook {receiver.url}/a"
        }
        eventually(lambda: acting.steps().count("succeeded") == 6)
    for model in ("fraud", "churn"):
        steps = acting.steps(model=model)
        assert steps == ["intent", "succeeded"] * 3
        assert [one.path for one in receiver.received if one.json["alert"]["model"] == model] == [
            "/a",
            "/b",
            "/c",
        ]


def test_afterwards_it_is_seen_whether_it_helped(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "verify_within: 2s"), models="fraud churn") as acting:
        one, other = firing(1), firing(2, model="churn")
        for each in (one, other):
            tell(acting, receiver.fires(each))
        eventually(lambda: acting.steps().count("succeeded") == 2)
        tell(acting, resolved(one))
        eventually(lambda: acting.steps(model="fraud") == ["intent", "succeeded", "resolved"])
        eventually(lambda: acting.steps(model="churn") == ["intent", "succeeded", "unresolved"])
        for key in ("fraud 2 {} resolved", "churn 2 {} unresolved"):
            name = "ml_remediation_verified_total " + key.format(f"webhook {receiver.url}/act")
            eventually(lambda name=name: acting.served.metrics()[name] == 1)  # type: ignore[misc]


def test_that_it_helped_is_seen_although_nobody_told(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "verify_within: 2s")) as acting:
        one = receiver.fires(firing())
        tell(acting, one)
        acting.until("intent", "succeeded")
        receiver.states.clear()
        acting.until("intent", "succeeded", "resolved")


def test_what_keeps_failing_is_no_longer_tried_until_one_attempt_succeeds(
    act: ACT, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (400, 0)
    rules = (
        "dry_run: false, cooldown: 1ms, max_per_hour_per_model: 99, "
        "breaker: {failures: 2, pause: 3s}"
    )
    with act(webhook(receiver), rules=rules) as acting:
        name = f"ml_remediation_breaker_open fraud 2 ml-platform webhook {receiver.url}/act"
        assert acting.served.metrics()[name] == 0
        for number in (1, 2):
            tell(acting, receiver.fires(firing(number)))
            eventually(lambda n=number: acting.steps().count("failed") == n)  # type: ignore[misc]
        eventually(lambda: acting.served.metrics()[name] == 1)
        assert acting.shown()["actions"][0]["breaker_open_until"]
        tell(acting, receiver.fires(firing(3)))
        acting.until("intent", "failed", "intent", "failed", "breaker")
        eventually(lambda: acting.served.metrics()[name] == 0)
        receiver.answer = lambda _: (200, 0)
        one = receiver.fires(firing(4))
        tell(acting, one)
        eventually(lambda: acting.steps()[-1] == "succeeded")
        tell(acting, resolved(one))
        eventually(lambda: acting.steps()[-1] == "resolved")
        eventually(lambda: acting.shown()["actions"][0]["failures"] == 0)


def test_an_action_that_does_not_help_opens_the_breaker_too(act: ACT, receiver: Receiver) -> None:
    rules = "dry_run: false, breaker: {failures: 1}"
    with act(webhook(receiver, "verify_within: 1s"), rules=rules) as acting:
        tell(acting, receiver.fires(firing(1)))
        acting.until("intent", "succeeded", "unresolved")
        tell(acting, receiver.fires(firing(2)))
        acting.until("intent", "succeeded", "unresolved", "breaker")


def test_only_an_alert_that_is_grave_enough_is_acted_upon(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "severity: critical")) as acting:
        tell(acting, receiver.fires(firing(1, severity="warning")))
        tell(acting, receiver.fires(firing(2, name="TargetDown")))
        quiet(acting)
        assert acting.steps() == []
        tell(acting, receiver.fires(firing(3)))
        acting.until("intent", "succeeded")


def test_nothing_is_done_while_people_are_at_work_on_the_model(
    act: ACT, receiver: Receiver
) -> None:
    ended = "{from: 2020-01-01T00:00Z, to: 2021-01-01T00:00Z}"
    lasting = "{from: 2020-01-01T00:00Z, to: 2099-01-01T00:00Z, models: [fraud]}"
    rules = f"dry_run: false}}\nmaintenance: [{ended}, {lasting}]\nlimits: {{series: 1000000"
    with act(webhook(receiver), rules=rules, models="fraud churn") as acting:
        tell(acting, receiver.fires(firing(1)), receiver.fires(firing(2, model="churn")))
        eventually(lambda: acting.steps(model="churn") == ["intent", "succeeded"])
        quiet(acting)
        assert acting.steps(model="fraud") == []
        [waiting] = acting.shown()["waiting"]
        assert waiting["why"] == "under maintenance until 2099-01-01 00:00 UTC"


def test_what_waits_is_not_forgotten_by_a_restart(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "after: 4s")) as acting:
        tell(acting, receiver.fires(firing()))
        acting.served.running.kill()
    with act(webhook(receiver, "after: 4s")) as acting:
        assert len(acting.shown()["waiting"]) == 1
        acting.until("intent", "succeeded")


def test_what_was_done_is_not_done_again_after_a_restart_but_still_checked(
    act: ACT, receiver: Receiver
) -> None:
    one = receiver.fires(firing())
    with act(webhook(receiver, "verify_within: 4s")) as acting:
        tell(acting, one)
        acting.until("intent", "succeeded")
        acting.served.running.kill()
    with act(webhook(receiver, "verify_within: 4s")) as acting:
        tell(acting, one)
        acting.until("intent", "succeeded", "unresolved")
        assert len(receiver.received) == 1


def test_a_key_of_idempotency_lets_it_be_sent_again_after_a_kill(
    act: ACT, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (200, 3 if len(receiver.received) == 1 else 0)
    one = receiver.fires(firing())
    for more in ("idempotent: true", "idempotent: true"):
        with act(webhook(receiver, more)) as acting:
            tell(acting, one)
            eventually(lambda: receiver.received)
            if len(receiver.received) == 1 and not acting.records(step="unknown"):
                acting.served.running.kill()
                continue
            acting.until("intent", "unknown", "intent", "succeeded")
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_without_one_it_is_not_and_that_it_is_unknown_is_on_record(
    act: ACT, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (200, 3)
    one = receiver.fires(firing())
    with act(webhook(receiver)) as acting:
        tell(acting, one)
        eventually(lambda: receiver.received)
        acting.served.running.kill()
    with act(webhook(receiver)) as acting:
        tell(acting, one)
        quiet(acting)
        assert acting.steps() == ["intent", "unknown"]
        assert len(receiver.received) == 1
        name = f"ml_remediation_actions_total fraud 2 webhook {receiver.url}/act unknown"
        assert acting.served.metrics()[name] == 1


def test_being_stopped_ends_what_is_under_way_within_seconds_and_says_so(
    act: ACT, receiver: Receiver
) -> None:
    receiver.answer = lambda _: (200, 30)
    with act(webhook(receiver, "timeout: 40s")) as acting:
        tell(acting, receiver.fires(firing()))
        eventually(lambda: receiver.received)
        assert acting.served.running.stop() == 0
        assert acting.steps() == ["intent", "unknown"]


def test_nothing_is_done_while_it_cannot_be_written_down(
    act: ACT, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "remediation.jsonl").mkdir()
    with act(webhook(receiver)) as acting:
        tell(acting, receiver.fires(firing()))
        quiet(acting)
        assert receiver.received == []
        assert "cannot write" in acting.served.web.get("/readyz").text
        (tmp_path / "remediation.jsonl").rmdir()
        acting.until("intent", "succeeded")
        eventually(lambda: acting.served.web.get("/readyz").status_code == 200)


def test_a_browser_gets_a_page_that_says_what_is_what(act: ACT, receiver: Receiver) -> None:
    browser = {"Accept": "text/html"}
    with act(webhook(receiver, "after: 1h"), webhook(receiver, path="b")) as acting:
        text = acting.served.web.get("/v1/remediation", headers=browser).text
        assert "Actions are done" in text
        assert "Nothing was done yet" in text
        tell(acting, receiver.fires(firing(summary="<b>")))
        acting.until("intent", "succeeded")
        text = acting.served.web.get("/v1/remediation", headers=browser).text
        assert "due at" in text
        assert "cooling down until" in text
        assert "HighErrorRatio" in text


def test_a_models_yaml_that_is_broken_leaves_the_one_before_in_force(
    act: ACT, receiver: Receiver
) -> None:
    with act(webhook(receiver)) as acting:
        acting.models.write_text("models: 5\n")
        eventually(lambda: acting.served.metrics()["ml_exporter_spec_ok responder"] == 0)
        tell(acting, receiver.fires(firing()))
        acting.until("intent", "succeeded")


def test_every_series_is_there_from_the_start(act: ACT, receiver: Receiver) -> None:
    with act(webhook(receiver, "name: rollback")) as acting:
        metrics = acting.served.metrics()
    for outcome in ("succeeded", "failed", "unknown", "dry_run", "cooldown", "limit", "breaker"):
        assert metrics[f"ml_remediation_actions_total fraud 2 rollback {outcome}"] == 0
    for result in ("resolved", "unresolved"):
        assert metrics[f"ml_remediation_verified_total fraud 2 rollback {result}"] == 0
    assert metrics["ml_remediation_breaker_open fraud 2 ml-platform rollback"] == 0
    assert metrics["ml_remediation_pending"] == 0
