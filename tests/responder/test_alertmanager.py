"""A real Alertmanager sends to a real responder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from stack.plan import find_programs
from tests.processes import eventually, free_port, http, running
from tests.responder.conftest import START, Served

CONFIG = """\
route: {{receiver: log, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers:
  - name: log
    webhook_configs: [{{url: "{url}/v1/alertmanager", send_resolved: true}}]
"""


@contextmanager
def alertmanager(url: str, folder: Path) -> Iterator[httpx.Client]:
    """An Alertmanager that sends everything to the responder at `url`; a client for it."""
    program = find_programs().alertmanager
    config = folder / "alertmanager.yml"
    config.write_text(CONFIG.format(url=url))
    address = f"127.0.0.1:{free_port()}"
    argv = [program, f"--config.file={config}", f"--storage.path={folder / 'alertmanager'}"]
    argv += [f"--web.listen-address={address}", "--cluster.listen-address="]
    with running(argv, ready_url=f"http://{address}/-/ready"), http() as web:
        web.base_url = httpx.URL(f"http://{address}")
        yield web


def send(web: httpx.Client, *, ended: bool = False, **labels: str) -> None:
    """Tell Alertmanager of an alert, as Prometheus does."""
    now = dt.datetime.now(dt.UTC)
    alert: dict[str, Any] = {
        "labels": {"alertname": "HighErrorRatio", "severity": "critical", **labels},
        "annotations": {"summary": "it fails", "value": "0.07", "threshold": "0.05"},
        "startsAt": (now - dt.timedelta(minutes=5)).isoformat(),
        "endsAt": (now + dt.timedelta(seconds=-1 if ended else 300)).isoformat(),
        "generatorURL": "http://127.0.0.1:9090/graph",
    }
    web.post("/api/v2/alerts", json=[alert]).raise_for_status()


def arrived(served: Served, **fields: str) -> list[dict[str, Any]]:
    """The lines with these fields."""
    return [line for line in served.lines() if fields.items() <= line.items()]


def counted_once(served: Served, name: str) -> bool:
    """Whether a metric stands at 1."""
    return served.metrics()[name] == 1


def test_an_alert_arrives_when_it_fires_and_when_it_is_resolved(
    start: START, tmp_path: Path
) -> None:
    with start() as served, alertmanager(served.url, tmp_path) as web:
        send(web, model_name="fraud", model_version="2", team="risk")
        [fired] = eventually(lambda: arrived(served, status="firing"), says=served.running.tail)
        assert (fired["model"], fired["version"], fired["team"]) == ("fraud", "2", "risk")
        assert (fired["value"], fired["threshold"], fired["ends_at"]) == (0.07, 0.05, None)
        assert (fired["receiver"], fired["links"]["generator"]) == (
            "log",
            "http://127.0.0.1:9090/graph",
        )
        send(web, ended=True, model_name="fraud", model_version="2", team="risk")
        [resolved] = eventually(lambda: arrived(served, status="resolved"))
        assert resolved["fingerprint"] == fired["fingerprint"]
        assert resolved["starts_at"] == fired["starts_at"] < resolved["ends_at"]
        # A line is on the disk before it is counted.
        for status in ("firing", "resolved"):
            name = f"ml_notifications_total {status} critical"
            eventually(partial(counted_once, served, name))


def test_alertmanager_tries_again_until_the_line_is_written(start: START, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.touch()
    with start(log=folder / "log.jsonl") as served, alertmanager(served.url, tmp_path) as web:
        send(web, model_name="fraud")
        eventually(lambda: served.metrics()["ml_notifications_failed_total write"] >= 2)
        folder.unlink()
        [line] = eventually(served.lines)
        assert line["model"] == "fraud"
