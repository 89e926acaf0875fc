"""A real responder on a free port."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Running, free_port, http, running

START = Callable[..., AbstractContextManager["Served"]]


@dataclass(frozen=True, slots=True)
class Served:
    """A running responder, a client for it and its log."""

    running: Running
    web: httpx.Client
    url: str
    log: Path

    def post(self, *alerts: dict[str, Any], **fields: Any) -> httpx.Response:
        """Post a webhook call with these alerts."""
        return self.web.post("/v1/alertmanager", json=payload(*alerts, **fields))

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        *lines, rest = self.log.read_bytes().split(b"\n") if self.log.exists() else [b""]
        assert rest == b""
        return [json.loads(line) for line in lines]

    def metrics(self) -> dict[str, float]:
        """Samples by name and label values: `ml_notifications_total firing critical`."""
        families = text_string_to_metric_families(self.web.get("/metrics").text)
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for family in families
            for sample in family.samples
        }


def payload(*alerts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A webhook call as Alertmanager 0.25 makes it."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRatio"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "log",
        "groupLabels": {"alertname": "HighErrorRatio"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts),
        **fields,
    }


def alert(**changes: Any) -> dict[str, Any]:
    """An alert of a webhook call; `changes` replace whole fields."""
    return {
        "status": "firing",
        "labels": {
            "alertname": "HighErrorRatio",
            "severity": "critical",
            "team": "risk",
            "model_name": "fraud",
            "model_version": "1.10",
            "region": "eu",
        },
        "annotations": {
            "summary": "fraud 1.10 fails 7% of its requests",
            "description": "Of the requests, 7% failed.",
            "value": "0.07",
            "threshold": "0.05",
            "runbook_url": "http://127.0.0.1:9104/runbooks/HighErrorRatio",
            "dashboard_url": "http://127.0.0.1:3000/d/model",
            "ticket": "OPS-1",
        },
        "startsAt": "2026-10-01T12:00:00.123456789+02:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up",
        "fingerprint": "c0ffee",
        **changes,
    }


@pytest.fixture
def start(tmp_path: Path) -> START:
    """Start a responder that writes to `log` under the test's folder."""

    @contextmanager
    def starting(
        *options: str,
        log: Path = tmp_path / "notifications.jsonl",
        stdout: str = "",
        env: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> Iterator[Served]:
        address = f"127.0.0.1:{port or free_port()}"
        argv = [sys.executable, "-m", "responder", "serve", "--listen", address]
        argv += ["--log", str(log), *options]
        if stdout:
            argv = ["sh", "-c", f'exec "$@" > {stdout}', "sh", *argv]
        url = f"http://{address}"
        with running(argv, ready_url=f"{url}/healthz", env=env) as process, http() as web:
            web.base_url = httpx.URL(url)
            yield Served(process, web, url, log)

    return starting
