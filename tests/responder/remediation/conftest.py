"""A real responder that acts by a models.yaml, and the other side."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import eventually
from tests.responder.conftest import START, Served, alert
from tests.responder.remediation.receiving import Receiver, receiving

ACT = Callable[..., AbstractContextManager["Acting"]]

MODEL = 'task: binary_classification, performance: {accuracy: {min: "90%"}}'


@dataclass(frozen=True, slots=True)
class Acting:
    """A running responder that acts, its models.yaml and its audit log."""

    served: Served
    models: Path
    audit: Path

    def records(self, **fields: Any) -> list[dict[str, Any]]:
        """The records of the audit log with these fields."""
        lines = self.audit.read_bytes().splitlines() if self.audit.exists() else []
        found = [json.loads(line) for line in lines]
        return [one for one in found if fields.items() <= one.items()]

    def steps(self, **fields: Any) -> list[str]:
        """What happened, in order."""
        return [one["step"] for one in self.records(**fields)]

    def shown(self) -> dict[str, Any]:
        """GET /v1/remediation."""
        found: dict[str, Any] = self.served.web.get("/v1/remediation").json()
        return found

    def until(self, *steps: str, seconds: float = 20) -> list[dict[str, Any]]:
        """Wait until just these steps are in the audit log; its records."""
        eventually(
            lambda: self.steps() == list(steps) or None,
            seconds=seconds,
            says=lambda: f"{self.steps()} {self.records()}\n{self.served.running.tail()}",
        )
        return self.records()


def firing(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An alert that began just now; `model` and `name` are its labels."""
    began = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    labels = {
        "alertname": changes.pop("name", "HighErrorRatio"),
        "severity": changes.pop("severity", "critical"),
        "team": "ml-platform",
        "model_name": changes.pop("model", "fraud"),
        "model_version": "2",
    }
    return alert(labels=labels, startsAt=began, fingerprint=f"{number:016x}", **changes)


def resolved(one: dict[str, Any]) -> dict[str, Any]:
    """The same alert once it is over."""
    return {**one, "status": "resolved", "endsAt": dt.datetime.now(dt.UTC).isoformat()}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def write_models(
    folder: Path, receiver: Receiver, *actions: str, rules: str = "", models: str = "fraud"
) -> Path:
    """A models.yaml whose models have these actions; Alertmanager is the receiver."""
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "key").write_text("a key\n")
    (folder / "secrets" / "token").write_text("a token\n")
    listed = ", ".join(f"{{on: HighErrorRatio, {action}}}" for action in actions)
    lines = "".join(
        f'  - {{name: {name}, version: "2", {MODEL}, remediation: [{listed}]}}\n'
        for name in models.split()
    )
    file = folder / "models.yaml"
    file.write_text(
        f'stack: {{alertmanager: "{receiver.address}"}}\n'
        f"remediation: {{signing_key_file: secrets/key, {rules or 'dry_run: false'}}}\n"
        f"models:\n{lines}"
    )
    return file


@pytest.fixture
def act(start: START, receiver: Receiver, tmp_path: Path) -> ACT:
    """Start a responder whose models have these actions about HighErrorRatio."""

    @contextmanager
    def acting(
        *actions: str, rules: str = "", models: str = "fraud", options: tuple[str, ...] = ()
    ) -> Iterator[Acting]:
        file = write_models(tmp_path, receiver, *actions, rules=rules, models=models)
        with start("--models", str(file), *options) as served:
            yield Acting(served, file, tmp_path / "remediation.jsonl")

    return acting
