"""The whole stack, as `make up` runs it: real Prometheus, Alertmanager, exporters and traffic.

One run serves all tests of this file, in their order: it is up, everything is scraped and
evaluated, an injected error burst arrives as a notification, and so does its end. TIME_SCALE
makes a minute of windows and waits pass in two seconds; nothing else differs from a user's run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil
import pytest

from stack.record import find_process, read_record
from stack.settings import PORT_VARIABLES
from tests.processes import ROOT, Running, eventually, free_port, http, running

MODELS: Final = ("breast-cancer", "diabetes")
T = TypeVar("T")


@dataclass(frozen=True)
class Stack:
    """A running stack: what runs it, its data folder and where each part listens."""

    up: Running
    data: Path
    environ: dict[str, str]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.environ[PORT_VARIABLES[name]]}"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of a PromQL expression."""
        result: list[dict[str, Any]] = self.prometheus("query", query=expression)["result"]
        return result

    def prometheus(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus's API."""
        with http() as client:
            answer = client.get(f"{self.url('prometheus')}/api/v1/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()["data"]

    def notifications(self, **wanted: str) -> list[dict[str, Any]]:
        """The lines of the responder's log that have these values."""
        log = self.data / "notifications.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        found = [json.loads(line) for line in lines]
        return [n for n in found if all(n.get(key) == value for key, value in wanted.items())]

    def logs(self) -> str:
        """The last lines of every process, for a failing test's message."""
        files = sorted((self.data / "logs").glob("*.log"))
        return "\n".join(f"{f.name}: {line}" for f in files for line in _tail(f))

    def inject(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "examples.demo.inject", *arguments, "--server", self.url("web")],
            check=True,
            cwd=ROOT,
        )


def _tail(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-8:]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data = tmp_path_factory.mktemp("stack")
    environ = {
        **{variable: str(free_port()) for variable in PORT_VARIABLES.values()},
        "DATA_DIR": str(data),
        "TIME_SCALE": "30",
    }
    with running([sys.executable, "-m", "stack", "up"], env=environ) as up:
        stack = Stack(up, data, environ)
        eventually(lambda: is_ready(stack), seconds=120, says=up.tail)
        yield stack


def is_ready(stack: Stack) -> bool:
    record = read_record(stack.data)
    return stack.up.process.poll() is None and record is not None and record.ready


def wait_until(check: Callable[[], T | None], what: str, stack: Stack, *, seconds: float = 60) -> T:
    """What `check` gives once it is true. A limit, not a measurement: machines are shared."""
    return eventually(check, seconds=seconds, says=lambda: f"{what}\n{stack.logs()}")


@pytest.mark.timeout(200)
def test_every_target_is_scraped(stack: Stack) -> None:
    def up() -> bool:
        targets = stack.prometheus("targets", state="active")["activeTargets"]
        return len(targets) >= 6 and all(target["health"] == "up" for target in targets)

    wait_until(up, "all targets are up", stack)
    jobs = {series["metric"]["job"] for series in stack.query("up == 1")}
    assert jobs == {
        "ml-sidecar",
        "ml-drift",
        "ml-gpu",
        "ml-responder",
        "prometheus",
        "alertmanager",
    }


def test_every_rule_evaluates_without_an_error(stack: Stack) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in stack.prometheus("rules")["groups"] for rule in group["rules"]]

    wait_until(
        lambda: rules() and all(rule["health"] != "unknown" for rule in rules()),
        "every rule was evaluated",
        stack,
    )
    assert [rule for rule in rules() if rule["health"] != "ok" or rule.get("lastError")] == []


@pytest.mark.parametrize("model", MODELS)
def test_the_demo_models_serve_traffic_that_is_counted(stack: Stack, model: str) -> None:
    rate = f'model:ml_inference_requests:rate5m{{model_name="{model}"}} > 0'
    wait_until(lambda: stack.query(rate), f"{model} has traffic", stack)
    labels = f'ml_labels_total{{model_name="{model}",result="matched"}} > 0'
    wait_until(lambda: stack.query(labels), f"labels of {model} find their predictions", stack)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("model", MODELS)
def test_drift_is_evaluated_and_replayed_held_out_rows_have_not_drifted(
    stack: Stack, model: str
) -> None:
    wait_until(
        lambda: stack.query(f'ml_feature_drift_score{{model_name="{model}"}}'),
        f"{model} has drift scores",
        stack,
        seconds=120,
    )
    assert stack.query(f'ml_drift_detected{{model_name="{model}"}} == 1') == []


def test_without_a_gpu_the_exporter_says_so_and_keeps_serving(stack: Stack) -> None:
    (nvml,) = stack.query("ml_gpu_nvml_up")
    devices = stack.query("ml_gpu_devices")
    assert (nvml["value"][1] == "0") == (devices == [])


def test_only_the_watchdog_fires_while_nothing_is_wrong(stack: Stack) -> None:
    wait_until(lambda: stack.notifications(alertname="Watchdog"), "the watchdog arrives", stack)
    firing = {s["metric"]["alertname"] for s in stack.query('ALERTS{alertstate="firing"}')}
    assert firing == {"Watchdog"}


@pytest.mark.timeout(300)
def test_an_error_burst_becomes_a_notification_and_its_end_another(stack: Stack) -> None:
    wanted = {"alertname": "HighErrorRatio", "model": "breast-cancer"}

    stack.inject("errors", "--model", "breast-cancer")
    (fired, *_) = wait_until(
        lambda: stack.notifications(**wanted, status="firing"), "the alert arrives", stack
    )
    assert (fired["severity"], fired["team"], fired["version"]) == (
        "critical",
        "ml-platform",
        "1.0.0",
    )
    assert fired["summary"]
    assert fired["links"]["dashboard"]
    with http() as client:
        assert client.get(fired["links"]["runbook"]).status_code == 200

    stack.inject("nothing")
    wait_until(
        lambda: stack.notifications(**wanted, status="resolved"),
        "the end of the alert arrives",
        stack,
        seconds=120,
    )
    assert stack.notifications(alertname="HighErrorRatio", model="diabetes") == []


def test_stopping_leaves_no_process_behind(stack: Stack) -> None:
    record = read_record(stack.data)
    assert record is not None
    processes = [p for entry in record.processes if (p := find_process(entry)) is not None]
    assert len(processes) == len(record.processes)

    status = stack.up.stop(seconds=60)

    assert status == 0, stack.up.tail()
    gone, alive = psutil.wait_procs(processes, timeout=5)
    assert (len(gone), alive) == (len(processes), [])
