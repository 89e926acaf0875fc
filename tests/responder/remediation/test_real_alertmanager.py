"""A real Alertmanager between the alert and the action: what fires, is silenced, and resolves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.plan import find_programs
from tests.processes import eventually, free_port, http, running
from tests.responder.conftest import START
from tests.responder.remediation.conftest import Acting, write_models
from tests.responder.remediation.receiving import Receiver

CONFIG = """\
route: {{receiver: log, group_by: ['...'], group_wait: 0s, group_interval: 1s}}
receivers:
  - name: log
    webhook_configs: [{{url: "http://{responder}/v1/alertmanager", send_resolved: true}}]
"""


@dataclass(frozen=True, slots=True)
class Real:
    """A responder that acts, and the Alertmanager that it hears from."""

    acting: Acting
    web: httpx.Client

    def send(self, began: dt.datetime, *, ended: bool = False) -> None:
        """Tell Alertmanager of an alert, as Prometheus does."""
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0 if ended else 300)
        labels = {
            "alertname": "HighErrorRatio",
            "severity": "critical",
            "team": "ml-platform",
            "model_name": "fraud",
            "model_version": "2",
        }
        alert: dict[str, Any] = {
            "labels": labels,
            "annotations": {"summary": "it fails", "value": "7%"},
            "startsAt": began.isoformat(),
            "endsAt": ends.isoformat(),
        }
        self.web.post("/api/v2/alerts", json=[alert]).raise_for_status()

    def silence(self) -> str:
        """Silence the model; the silence's id."""
        now = dt.datetime.now(dt.UTC)
        matcher = {"name": "model_name", "value": "fraud", "isRegex": False, "isEqual": True}
        content = {
            "matchers": [matcher],
            "startsAt": now.isoformat(),
            "endsAt": (now + dt.timedelta(hours=1)).isoformat(),
            "createdBy": "somebody",
            "comment": "at it",
        }
        answer = self.web.post("/api/v2/silences", json=content)
        found: str = answer.json()["silenceID"]
        return found


@pytest.fixture
def real(start: START, receiver: Receiver, tmp_path: Path) -> Iterator[Real]:
    responder, address = free_port(), f"127.0.0.1:{free_port()}"
    action = f"do: webhook, url: '{receiver.url}/act', after: 3s, verify_within: 1h"
    models = write_models(tmp_path, receiver, action)
    models.write_text(models.read_text().replace(f'"{receiver.address}"', f'"{address}"'))
    (tmp_path / "alertmanager.yml").write_text(CONFIG.format(responder=f"127.0.0.1:{responder}"))
    program = find_programs().alertmanager
    argv = [program, f"--config.file={tmp_path / 'alertmanager.yml'}"]
    argv += [f"--storage.path={tmp_path / 'am'}", f"--web.listen-address={address}"]
    with (
        running([*argv, "--cluster.listen-address="], ready_url=f"http://{address}/-/ready"),
        start("--models", str(models), port=responder) as served,
        http() as web,
    ):
        web.base_url = httpx.URL(f"http://{address}")
        yield Real(Acting(served, models, tmp_path / "remediation.jsonl"), web)


def test_what_fires_is_acted_upon_once_and_seen_to_resolve(real: Real, receiver: Receiver) -> None:
    began = dt.datetime.now(dt.UTC)
    real.send(began)
    real.acting.until("intent", "succeeded")
    real.send(began)
    real.send(began, ended=True)
    real.acting.until("intent", "succeeded", "resolved")
    [one] = receiver.received
    assert one.json["alert"]["value"] == 0.07


def test_what_somebody_silenced_is_left_to_them_until_the_silence_ends(
    real: Real, receiver: Receiver
) -> None:
    real.send(dt.datetime.now(dt.UTC))
    eventually(lambda: real.acting.shown()["waiting"], says=real.acting.served.running.tail)
    silence = real.silence()
    why = "silenced or inhibited in Alertmanager"
    eventually(lambda: [one["why"] for one in real.acting.shown()["waiting"]] == [why])
    assert receiver.received == []
    real.web.delete(f"/api/v2/silence/{silence}").raise_for_status()
    real.acting.until("intent", "succeeded")


def test_what_resolved_before_its_time_is_not_acted_upon(real: Real, receiver: Receiver) -> None:
    began = dt.datetime.now(dt.UTC)
    real.send(began)
    eventually(lambda: real.acting.shown()["waiting"])
    real.send(began, ended=True)
    eventually(lambda: not real.acting.shown()["waiting"])
    assert real.acting.steps() == []
    assert receiver.received == []
