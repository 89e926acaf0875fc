"""What people read: a real Alertmanager, and receivers of every kind on loopback."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from contract.read import read_spec
from generator.outputs import render
from stack.plan import find_programs
from tests.generator.sinks import Mails, Posts, mails, posts
from tests.golden_files import Golden
from tests.processes import eventually, free_port, http, running

NOW = dt.datetime.now(dt.UTC)
SINCE = "2026-11-22T03:04:05Z"
AT_NOBODY = "http://127.0.0.1:9093"

MODELS = """
smtp: {{smarthost: "{mail}", from: alerts@example.com, require_tls: false}}
deadman: {{url: "{sink}/ping", token_file: keys/token, interval: 2m}}
maintenance:
  - {{models: [moved], from: {yesterday}, to: {tomorrow}}}
  - {{models: [over], from: {earlier}, to: {yesterday}}}
teams:
  ml-platform:
    slack: {{channel: "#ml-alerts", webhook_file: keys/slack}}
    email: {{to: [ml@example.com]}}
    pagerduty: {{routing_key_file: keys/pagerduty, url: "{sink}/v2/enqueue"}}
    opsgenie: {{api_key_file: keys/opsgenie, api_url: "{sink}/"}}
    webhook: {{url: "{sink}/hook", token_file: keys/token}}
    quiet_hours: {{times: "00:00-24:00", severities: [info]}}
routing: {{info: [log, webhook]}}
models:
  - {{name: cards, version: "1.10", task: regression}}
  - {{name: moved, version: "1", task: regression}}
  - {{name: over, version: "1", task: regression}}
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A running Alertmanager, and everybody whom it tells."""

    url: str
    web: Posts
    mail: Mails

    def fire(self, *alerts: dict[str, Any]) -> None:
        with http() as client:
            posted = client.post(f"{self.url}/api/v2/alerts", json=list(alerts))
            assert posted.status_code == 200, posted.text

    def log_of(self, model: str) -> list[Any]:
        return self._about(model, "/v1/alertmanager")

    def hook_of(self, model: str) -> list[Any]:
        return self._about(model, "/hook")

    def _about(self, model: str, path: str) -> list[Any]:
        group = {"model_name": model, "team": "ml-platform"}
        return [p.body for p in self.web.to(path) if p.body["groupLabels"] == group]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Times are divided by 300 and never below a second: a wait, an interval, the dead man's."""
    folder = tmp_path_factory.mktemp("told")
    with posts() as web, mails() as mail, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files(web, mail)
        spec = read_spec(
            Path("models.yaml"),
            time_scale=300,
            addresses={"responder": web.address.removeprefix("http://")},
        )
        for path, text in render(spec, ["alertmanager"]).items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text)
        port = free_port()
        program = find_programs().alertmanager
        command = [program, "--config.file=alertmanager/generated/alertmanager.yml"]
        command += [f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url={AT_NOBODY}"]
        command += ["--storage.path=data", "--cluster.listen-address="]
        url = f"http://127.0.0.1:{port}"
        with running(command, cwd=folder, ready_url=f"{url}/-/ready", logs=folder / "logs"):
            yield Told(url, web, mail)


def write_files(web: Posts, mail: Mails) -> None:
    days = {"earlier": -2, "yesterday": -1, "tomorrow": 1}
    moments = {
        name: (NOW + dt.timedelta(days=n)).strftime("%Y-%m-%dT%H:%MZ") for name, n in days.items()
    }
    Path("models.yaml").write_text(MODELS.format(sink=web.address, mail=mail.address, **moments))
    Path("keys").mkdir()
    secrets = {"slack": f"{web.address}/slack", "pagerduty": "a-routing-key"}
    for name, secret in {**secrets, "opsgenie": "an-api-key", "token": "a-token"}.items():
        Path("keys", name).write_text(secret if name == "opsgenie" else f"{secret}\n")


def alert(
    model: str = "cards", severity: str = "critical", *, ends: bool = False
) -> dict[str, Any]:
    later = dt.timedelta(hours=-1 if ends else 1)
    return {
        "labels": {
            "alertname": "HighErrorRatio",
            "severity": severity,
            "team": "ml-platform",
            "model_name": model,
            "model_version": "1.10",
        },
        "annotations": {
            "summary": f"{model} 1.10 fails 5.01% of its requests",
            "description": f"Of the requests to {model} 1.10 in the last 5 minutes, 5.01% failed; "
            "the limit is 5%.",
            "value": "5.01%",
            "threshold": "5%",
            "threshold_set_by": "models[].alerts.HighErrorRatio.threshold",
            "runbook_url": "http://127.0.0.1:9104/runbooks/HighErrorRatio",
            "dashboard_url": f"http://127.0.0.1:3000/d/ml-model?var-model={model}&var-version=1.10",
        },
        "startsAt": SINCE,
        "endsAt": (NOW + later).isoformat(),
    }


def drift(feature: str) -> dict[str, Any]:
    """One of several alerts of a group, with an awkward value and no threshold."""
    fired = alert()
    fired["labels"] |= {"alertname": "FeatureDrift", "feature_name": feature}
    fired["annotations"] = {
        "summary": f"The feature {feature} of cards 1.10 has drifted",
        "description": "It is far from what it was.",
        "runbook_url": "http://127.0.0.1:9104/runbooks/FeatureDrift",
        "dashboard_url": "http://127.0.0.1:3000/d/ml-model?var-model=cards&var-version=1.10",
    }
    return fired


def shown(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\\n", "\n    ")


def as_of_old(body: dict[str, Any]) -> dict[str, Any]:
    """With the channel first, as Alertmanager 0.25 writes it."""
    return {"channel": body["channel"], **body}


def mail_text(message: EmailMessage) -> str:
    head = "\n".join(f"{name}: {message[name]}" for name in ("From", "To", "Subject"))
    parts = [message.get_body([kind]) for kind in ("plain", "html")]
    texts = (part.get_content().replace("\r\n", "\n").rstrip() for part in parts if part)
    return "\n\n".join([head, *texts])


def everybody_heard(told: Told, number: int) -> bool:
    paths = ("/slack", "/v2/enqueue", "/hook")
    return min(len(told.mail.seen), *(len(told.web.to(path)) for path in paths)) >= number


def test_the_messages_read_well(told: Told, golden: Golden) -> None:
    told.fire(alert())
    eventually(lambda: everybody_heard(told, 1))
    told.fire(drift('a "b" + c\\d & é'), drift("age"))
    eventually(lambda: everybody_heard(told, 2))
    told.fire(alert(ends=True), *({**drift(f), "endsAt": SINCE[:-1] + ".1Z"} for f in ("age",)))
    eventually(lambda: everybody_heard(told, 3))
    cases = ("one fires", "two more fire", "the first and one more are resolved")
    text = ""
    for index, case in enumerate(cases):
        text += f"== {case}: Slack\n{shown(as_of_old(told.web.to('/slack')[index].body))}\n\n"
        text += f"== {case}: e-mail\n{mail_text(told.mail.seen[index])}\n\n"
    incident = told.web.to("/v2/enqueue")[0].body
    opened = next(post.body for post in told.web.seen if post.path == "/v2/alerts")
    # Alertmanager 0.35 sends what reads as a number as one, and null for what is empty.
    details = incident["payload"]["custom_details"]
    details |= {name: "" if value is None else str(value) for name, value in details.items()}
    del incident["dedup_key"], opened["alias"]
    text += f"== one fires: PagerDuty\n{shown(incident)}\n\n"
    text += f"== one fires: Opsgenie\n{shown(opened)}\n"
    golden("generator/notifications.txt", text)


def test_secrets_come_from_their_files(told: Told) -> None:
    told.fire(alert("keys"))
    hook = eventually(lambda: [p for p in told.web.to("/hook") if "keys" in str(p.body)])[0]
    assert hook.headers["authorization"] == "Bearer a-token"
    opsgenie = eventually(lambda: [p for p in told.web.seen if "/v2/alerts" in p.path])[0]
    assert opsgenie.headers["authorization"] == "GenieKey an-api-key"
    assert told.web.to("/v2/enqueue")[0].body["routing_key"] == "a-routing-key"


def test_a_maintenance_holds_back_from_people_what_the_log_still_hears(told: Told) -> None:
    told.fire(alert("moved"), alert("over"))
    eventually(lambda: told.hook_of("over") and told.log_of("over") and told.log_of("moved"))
    assert told.hook_of("moved") == []


def test_a_silence_of_an_escalated_alert_covers_the_one_before(told: Told) -> None:
    escalated = alert("long")
    escalated["labels"]["escalated_from"] = "error"
    told.fire(escalated)
    said = eventually(lambda: [p.body for p in told.web.to("/slack") if "long" in str(p.body)])[0]
    links = [word for word in str(said).split("|") if "silences/new" in word]
    assert links
    assert not [link for link in links if "escalated_from" in link.partition("?")[2]]


def test_quiet_hours_hold_back_their_severities_only(told: Told) -> None:
    told.fire(alert("calm", "info"), alert("loud", "warning"))
    eventually(lambda: told.hook_of("loud") and told.log_of("calm"))
    assert told.hook_of("calm") == []


def test_the_dead_man_hears_at_each_interval_as_long_as_watchdog_fires(told: Told) -> None:
    always = alert("none", "info")
    always["labels"] |= {"alertname": "Watchdog", "model_version": "none"}
    before = len(told.web.to("/ping"))
    begun = dt.datetime.now(dt.UTC)
    told.fire(always)
    pings = eventually(lambda: told.web.to("/ping")[before:][2:])
    took = (dt.datetime.now(dt.UTC) - begun).total_seconds()
    assert pings[0].headers["authorization"] == "Bearer a-token"
    assert took < 5, "three pings, an interval of a second apart"
