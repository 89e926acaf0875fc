"""Killed at any moment, the responder does nothing twice for one incident and forgets none.

It is forked from a process that has imported it already, so that hundreds of kills fit into a
minute; it is the real one, with real HTTP on both sides. What the receiving end saw is held
against the audit log.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from responder.__main__ import main
from tests.processes import eventually, free_port
from tests.responder.conftest import payload
from tests.responder.remediation.conftest import firing, write_models
from tests.responder.remediation.receiving import Receiver

KILLS: Final = int(os.environ.get("KILLS", "100"))
MODELS: Final = ("fraud", "churn", "mail", "price")
ENDS: Final = ("succeeded", "unknown")

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["responder.__main__"])


@dataclass
class Teller:
    """Tells of incidents as Alertmanager does: each again and again until it was taken."""

    model: str
    port: int
    receiver: Receiver
    stop: threading.Event
    told: list[str] = field(default_factory=list)

    def run(self) -> None:
        number = MODELS.index(self.model) * 1_000_000
        made = random.Random(self.model)
        while not self.stop.is_set():
            some = [
                self.receiver.fires(firing(number + place, model=self.model))
                for place in range(made.choice((1, 1, 3)))
            ]
            number += len(some)
            self._send(json.dumps(payload(*some)))
            self.told += [one["fingerprint"] for one in some]
            time.sleep(made.uniform(0.1, 0.5))

    def _send(self, body: str) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("POST", "/v1/alertmanager", body)
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
            finally:
                connection.close()


@contextmanager
def telling(port: int, receiver: Receiver) -> Iterator[list[Teller]]:
    """Incidents of all models keep coming while the block runs."""
    stop = threading.Event()
    tellers = [Teller(model, port, receiver, stop) for model in MODELS]
    threads = [threading.Thread(target=teller.run) for teller in tellers]
    for thread in threads:
        thread.start()
    try:
        yield tellers
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def records(audit: Path) -> list[dict[str, Any]]:
    lines = audit.read_bytes().split(b"\n")[:-1] if audit.exists() else []
    return [json.loads(line) for line in lines]


def kill_again_and_again(
    folder: Path, receiver: Receiver, more: str
) -> tuple[set[str], list[dict[str, Any]]]:
    """Kill it KILLS times under load, then let it come to rest: the incidents, and the records."""
    action = f"do: webhook, url: '{receiver.url}/act', timeout: 5s, {more}"
    rules = (
        "dry_run: false, cooldown: 1ms, max_per_hour: 9999999, max_per_hour_per_model: 9999999, "
        "breaker: {failures: 9999999}"
    )
    models = write_models(folder, receiver, action, rules=rules, models=" ".join(MODELS))
    port, audit = free_port(), folder / "remediation.jsonl"
    arguments = ["serve", "--models", str(models), "--listen", f"127.0.0.1:{port}"]
    arguments += ["--log", str(folder / "log.jsonl"), "--log-format", "json"]
    made = random.Random(1)
    receiver.answer = lambda _: (200, made.uniform(0, 0.02))
    with telling(port, receiver) as tellers:
        for _ in range(KILLS):
            process = CONTEXT.Process(target=main, args=(arguments,), daemon=True)
            process.start()
            if made.random() < 0.8:
                before = len(receiver.received)
                eventually(lambda before=before: len(receiver.received) > before)  # type: ignore[misc]
            time.sleep(made.uniform(0, 0.1))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join(10)
            assert process.exitcode == -signal.SIGKILL
        last = CONTEXT.Process(target=main, args=(arguments,), daemon=True)
        last.start()
    told = {name for teller in tellers for name in teller.told}
    # What the kills left behind is worked off first.
    eventually(
        lambda: {one["fingerprint"] for one in records(audit) if one["step"] in ENDS} >= told,
        seconds=120,
        says=lambda: f"forgotten: {told - {one['fingerprint'] for one in records(audit)}}",
    )
    # What is unknown may be repeated where that is safe.
    settled = 0
    while len(records(audit)) > settled:
        settled = len(records(audit))
        time.sleep(3)
    assert last.pid is not None
    os.kill(last.pid, signal.SIGTERM)
    last.join(20)
    return told, records(audit)


@pytest.mark.timeout(400)
def test_what_was_done_for_an_incident_is_done_once_and_is_on_record(
    tmp_path: Path, receiver: Receiver
) -> None:
    told, found = kill_again_and_again(tmp_path, receiver, "idempotent: false")
    assert len(told) > KILLS
    intents = Counter(one["fingerprint"] for one in found if one["step"] == "intent")
    assert intents == Counter(told), "each begun exactly once, none forgotten"
    seen = Counter(one.json["alert"]["fingerprint"] for one in receiver.received)
    assert max(seen.values()) == 1, "nothing reaches the other side twice"
    ends = {one["fingerprint"]: one["step"] for one in found if one["step"] != "intent"}
    assert set(ends.values()) <= {"succeeded", "unknown"}
    assert {name for name, step in ends.items() if step == "succeeded"} <= set(seen)
    unknown = {name for name, step in ends.items() if step == "unknown"}
    assert told - set(seen) <= unknown, "what did not arrive is said to be unknown"
    order = {one["id"]: position for position, one in enumerate(found) if one["step"] == "intent"}
    assert all(
        order[one["id"]] < position for position, one in enumerate(found) if one["step"] != "intent"
    )
    print(
        f"{KILLS} kills, {len(told)} incidents, {len(unknown)} unknown, of which "
        f"{len(unknown & set(seen))} had arrived"
    )


@pytest.mark.timeout(400)
def test_what_may_be_repeated_arrives_in_the_end_under_one_key(
    tmp_path: Path, receiver: Receiver
) -> None:
    told, found = kill_again_and_again(tmp_path, receiver, "idempotent: true")
    keys: dict[str, set[str]] = {}
    for one in receiver.received:
        keys.setdefault(one.json["alert"]["fingerprint"], set()).add(one.headers["webhook-id"])
    assert {name for name, found in keys.items() if len(found) > 1} == set()
    last = {one["fingerprint"]: one for one in found}
    unknown = {name for name, one in last.items() if one["step"] == "unknown"}
    # Killed in the repetition, too: then people are asked.
    assert all(last[name]["attempt"] == 2 for name in unknown)
    assert set(keys) >= told - unknown
    print(f"{KILLS} kills, {len(told)} incidents, {len(unknown)} unknown after a repetition")
