"""What docs/responder.md says of a notification is what the type has."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
import yaml
from pydantic import TypeAdapter

from contract.remediation import reaches
from contract.spec import TrafficAction
from contract.spec.remediation import Actions
from responder.notification import Links, Notification
from responder.own_alert import OwnAlert
from responder.remediation.audit import Record
from tests.processes import ROOT

RESPONDER = (ROOT / "docs" / "responder.md").read_text()
REMEDIATION = (ROOT / "docs" / "remediation.md").read_text()


def table(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table below a heading: what the first cell names → the others."""
    below = text.split(f"\n{heading}\n", 1)[1].split("\n## ", maxsplit=1)[0]
    rows = [line.strip("|").split("|") for line in below.splitlines() if line.startswith("| `")]
    return {
        name: [cell.strip() for cell in rest]
        for first, *rest in rows
        for name in re.findall(r"`(\w+)`", first)
    }


def words(kind: Any) -> str:
    plain = {str: "text", int: "number", float: "number", dt.datetime: "time"}
    if kind in plain:
        return plain[kind]
    if get_origin(kind) is Literal:
        return "text"
    if type(None) in get_args(kind):
        [some] = [each for each in get_args(kind) if each is not type(None)]
        return f"{words(some)} or null"
    return "object"


def test_every_field_of_a_notification_is_documented_in_order_and_with_its_type() -> None:
    hints = get_type_hints(Notification)
    documented = {name: cells[0] for name, cells in table(RESPONDER, "## A notification").items()}
    assert list(documented.items()) == [
        (name, words(hints[name])) for name in Notification.__struct_fields__
    ]
    for link in Links.__struct_fields__:
        assert f"`{link}`" in table(RESPONDER, "## A notification")["links"][1]


def test_the_issue_of_a_stable_schema_names_nothing_that_is_missing() -> None:
    wanted = {
        "fingerprint", "status", "severity", "team", "model", "version", "value", "threshold",
        "starts_at", "ends_at", "links", "group_key",
    }  # fmt: skip
    assert wanted <= set(Notification.__struct_fields__)


def test_every_field_of_an_own_alert_is_documented() -> None:
    assert set(table(RESPONDER, "## An alert of your own")) == set(OwnAlert.__struct_fields__)


def test_every_field_of_the_audit_log_is_documented() -> None:
    documented = table(REMEDIATION, "## What it tells of itself")
    assert set(documented) == set(Record.__struct_fields__)


def test_a_notification_survives_its_line() -> None:
    now = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    fields: dict[str, Any] = {
        "time": now, "level": "error", "status": "firing", "alertname": "A", "severity": "critical",
        "team": "t", "model": "m", "version": "1", "value": 0.5, "threshold": None, "summary": "s",
        "description": "d", "starts_at": now, "ends_at": None, "fingerprint": "f",
        "group_key": "g", "receiver": "log", "labels": {"a": "b"}, "annotations": {},
        "links": Links(runbook="http://a"),
    }  # fmt: skip
    one = Notification(**fields)
    assert msgspec.json.decode(one.line(), type=Notification) == one


@pytest.mark.parametrize(
    ("severity", "least", "does"),
    [("critical", "error", True), ("error", "error", True), ("warning", "error", False),
     ("page", "error", False), ("page", None, True)],
)  # fmt: skip
def test_an_action_is_for_alerts_that_are_grave_enough(
    severity: str, least: Any, does: bool
) -> None:
    action = TrafficAction.model_validate(
        {"on": "TargetDown", "do": "traffic", "url": "http://a/b", "weight": "0%",
         "severity": least}
    )  # fmt: skip
    assert reaches(severity, action) is does


def documented_actions() -> list[Any]:
    """The actions that docs/remediation.md shows by themselves."""
    blocks = re.findall(r"```yaml\n(- \{.*?)```", REMEDIATION, re.DOTALL)
    return [action for block in blocks for action in yaml.load(block, Loader=yaml.BaseLoader)]


@pytest.mark.parametrize("shown", documented_actions(), ids=lambda shown: str(shown["do"]))
def test_every_action_that_is_shown_can_be_written_so(shown: dict[str, Any]) -> None:
    if "replicas" in shown:
        shown = {**shown, "replicas": int(shown["replicas"])}
    [action] = TypeAdapter(Actions).validate_python([shown], context={})
    assert action.do == shown["do"]


def test_every_kind_of_action_is_shown() -> None:
    kinds = {"webhook", "traffic", "command", "kubernetes", "retrain"}
    assert {action["do"] for action in documented_actions()} == kinds
