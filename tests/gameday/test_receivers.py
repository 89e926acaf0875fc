"""Receivers take what Alertmanager posts, and read on in the responder's log."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gameday.receivers import LOG, Receivers
from responder.notification import read_notifications
from responder.webhook import read_payload
from tests.processes import eventually, free_port, http

NOW = "2026-11-29T16:00:00Z"


def payload(alertname: str, status: str = "firing") -> dict[str, Any]:
    labels = {"alertname": alertname, "severity": "critical", "team": "clinic"}
    labels |= {"model_name": "screening", "objective": "availability"}
    alert = {"status": status, "labels": labels, "startsAt": NOW, "endsAt": NOW}
    return {"version": "4", "receiver": "clinic/webhook", "alerts": [alert]}


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def receivers(tmp_path: Path, address: str) -> Iterator[Receivers]:
    made = Receivers(tmp_path / "notifications.jsonl")
    with made.running(address):
        yield made


def test_a_notification_arrives_at_the_team_that_it_was_posted_to(
    receivers: Receivers, address: str
) -> None:
    with http() as client:
        client.post(f"http://{address}/clinic", json=payload("HighErrorRatio")).raise_for_status()
        client.post(f"http://{address}/research", json=payload("GpuXid", "resolved"))
    found = [(d.receiver, d.notification.alertname, d.notification.status) for d in receivers.get()]
    assert found == [("clinic", "HighErrorRatio", "firing"), ("research", "GpuXid", "resolved")]
    assert receivers.get()[0].notification.labels == {"objective": "availability"}
    assert receivers.get(receivers.get()[1].at) == receivers.get()[1:]


def test_what_is_no_notification_is_refused_and_not_kept(
    receivers: Receivers, address: str
) -> None:
    with http() as client:
        assert client.post(f"http://{address}/clinic", content=b"{}").status_code == 400
    assert receivers.get() == []


def test_whole_lines_of_the_log_are_deliveries_to_the_log(
    receivers: Receivers, tmp_path: Path
) -> None:
    body = json.dumps(payload("Watchdog")).encode()
    [notification] = read_notifications(read_payload(body), now=dt.datetime.now(dt.UTC))
    line = notification.line()
    with (tmp_path / "notifications.jsonl").open("ab") as log:
        log.write(line + line[:20])
        log.flush()
        eventually(lambda: len(receivers.get()) == 1)
        log.write(line[20:])
    eventually(lambda: len(receivers.get()) == 2)
    assert {(d.receiver, d.notification.alertname) for d in receivers.get()} == {(LOG, "Watchdog")}
