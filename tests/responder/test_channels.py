"""Channels of one's own: real functions in real processes, which may do what they want."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import ROOT, eventually
from tests.responder.conftest import START, Served, alert

DOCS = (ROOT / "docs" / "responder.md").read_text()

MODULE = """
import asyncio, json, os, time
from pathlib import Path
from responder.notification import Notification

def write(notification):
    assert type(notification) is Notification
    print("printed by a channel")
    with Path(os.environ["PAGES"]).open("a") as pages:
        pages.write(notification.fingerprint + "\\n")

async def write_later(notification):
    await asyncio.sleep(0.01)
    write(notification)

def hang(notification):
    if notification.fingerprint.startswith("hang"):
        while True:
            time.sleep(1)
    write(notification)

def fail(notification):
    raise RuntimeError("no paper")

def end(notification):
    os._exit(7)

def slow(notification):
    time.sleep(0.5)

NUMBER = 5
"""


@pytest.fixture
def module(tmp_path: Path) -> dict[str, str]:
    """The environment in which the module is found."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "acme.py").write_text(MODULE)
    return {"PYTHONPATH": str(folder), "PAGES": str(tmp_path / "pages")}


def spec(folder: Path, channels: str) -> str:
    file = folder / "models.yaml"
    file.write_text(
        f"responder: {{channels: {channels}}}\n"
        'models: [{name: fraud, version: "1.10", task: regression}]\n'
    )
    return str(file)


def pages(folder: Path) -> list[str]:
    return (folder / "pages").read_text().split() if (folder / "pages").exists() else []


def counts(served: Served, channel: str) -> dict[str, float]:
    start = f"ml_channel_notifications_total {channel} "
    found = {name: value for name, value in served.metrics().items() if name.startswith(start)}
    return {name.removeprefix(start): int(value) for name, value in found.items()}


def some(*names: str) -> list[dict[str, object]]:
    return [alert(fingerprint=name) for name in names]


@pytest.mark.parametrize("function", ["write", "write_later"])
def test_a_function_gets_every_notification_as_the_type_in_order(
    start: START, tmp_path: Path, module: dict[str, str], function: str
) -> None:
    file = spec(tmp_path, f"{{pager: {{call: 'acme:{function}'}}}}")
    with start("--models", file, env=module) as served:
        assert counts(served, "pager") == dict.fromkeys(
            ("delivered", "failed", "timeout", "dropped"), 0
        )
        served.post(*some("a", "b", "c"))
        eventually(lambda: pages(tmp_path) == ["a", "b", "c"], says=served.running.tail)
        eventually(lambda: counts(served, "pager")["delivered"] == 3)
        assert "printed by a channel" in served.running.stderr.read_text()
        assert "printed by a channel" not in served.running.stdout.read_text()


def test_one_that_fails_hangs_or_ends_touches_neither_the_others_nor_the_log(
    start: START, tmp_path: Path, module: dict[str, str]
) -> None:
    file = spec(
        tmp_path,
        "{good: {call: 'acme:write'}, failing: {call: 'acme:fail'}, ending: {call: 'acme:end'},"
        " hanging: {call: 'acme:hang', timeout: 1s}}",
    )
    with start("--models", file, env=module) as served:
        eventually(lambda: served.running.stderr.read_text().count("channel_loaded") == 4)
        begun = time.monotonic()
        assert served.post(*some("hang1", "b")).status_code == 200
        assert served.post(*some("c")).status_code == 200
        assert time.monotonic() - begun < 1, "Alertmanager does not wait for any of them"
        assert len(served.lines()) == 3
        eventually(lambda: counts(served, "good")["delivered"] == 3)
        eventually(lambda: counts(served, "failing")["failed"] == 3)
        eventually(lambda: counts(served, "ending")["failed"] == 3)
        eventually(lambda: counts(served, "hanging") == {
            "delivered": 2, "failed": 0, "timeout": 1, "dropped": 0
        })  # fmt: skip
        # Of the good one three, and of the one that hung once the two after that.
        assert sorted(pages(tmp_path)) == ["b", "b", "c", "c", "hang1"]
        told = served.running.stderr.read_text()
        assert "RuntimeError: no paper" in told
        assert "its process ended" in told


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(
    start: START, tmp_path: Path, module: dict[str, str]
) -> None:
    file = spec(tmp_path, "{slow: {call: 'acme:slow', queue: 2}}")
    with start("--models", file, env=module) as served:
        served.post(*some(*map(str, range(10))))
        assert len(served.lines()) == 10
        eventually(lambda: sum(counts(served, "slow").values()) == 10)
        found = counts(served, "slow")
        assert (found["delivered"], found["dropped"]) in {(2, 8), (3, 7)}
        assert served.metrics()["ml_channel_pending slow"] == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("acme:nothing", "has no attribute 'nothing'"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("acme:NUMBER", "acme:NUMBER is no function"),
    ],
)
def test_one_that_cannot_be_loaded_says_so_at_once(
    start: START, tmp_path: Path, module: dict[str, str], call: str, said: str
) -> None:
    with start("--models", spec(tmp_path, f"{{x: {{call: '{call}'}}}}"), env=module) as served:
        eventually(lambda: said in served.running.stderr.read_text())
        assert served.post(*some("a")).status_code == 200
        eventually(lambda: counts(served, "x")["failed"] == 1)


def test_a_name_that_is_not_installed_and_says_no_function_is_told(
    start: START, tmp_path: Path
) -> None:
    with start("--models", spec(tmp_path, "{pager: {timeout: 5s}}")) as served:
        eventually(lambda: "does not say what to call" in served.running.stderr.read_text())


def test_channels_follow_models_yaml(start: START, tmp_path: Path, module: dict[str, str]) -> None:
    file = spec(tmp_path, "{}")
    with start("--models", file, env=module) as served:
        spec(tmp_path, "{pager: {call: 'acme:write'}}")
        eventually(lambda: "ml_channel_pending pager" in served.metrics())
        served.post(*some("a"))
        eventually(lambda: pages(tmp_path) == ["a"])
        spec(tmp_path, "{}")
        eventually(lambda: "ml_channel_pending pager" not in served.metrics())


def test_its_processes_end_with_the_responder(
    start: START, tmp_path: Path, module: dict[str, str]
) -> None:
    with start("--models", spec(tmp_path, "{x: {call: 'acme:hang'}}"), env=module) as served:
        eventually(lambda: "channel_loaded" in served.running.stderr.read_text())
        served.post(*some("hang"))
        time.sleep(0.3)
        assert served.running.stop(seconds=5) == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "responder.channels.worker acme:hang" not in listed.stdout


# The example of docs/responder.md, as a distribution that is really installed


def test_the_documented_distribution_is_found_once_it_is_installed(
    start: START, tmp_path: Path
) -> None:
    source, site = tmp_path / "acme", tmp_path / "site"
    source.mkdir()
    for language in ("toml", "python"):
        blocks = re.findall(rf"```{language}\n# (\S+)\n(.*?)```", DOCS, re.DOTALL)
        for name, text in blocks:
            (source / name).write_text(text)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    install += ["--no-build-isolation", "--disable-pip-version-check", "--target", str(site)]
    subprocess.run([*install, str(source)], check=True, capture_output=True, timeout=100)
    env = {"PYTHONPATH": str(site), "PAGES": str(tmp_path / "pages")}
    with start(env=env) as served:
        served.post(alert(), alert(status="resolved"), alert(labels={"severity": "warning"}))
        eventually(lambda: counts(served, "pager")["delivered"] == 3, says=served.running.tail)
    assert (tmp_path / "pages").read_text() == "risk: fraud 1.10 fails 7% of its requests\n"
    with start("--models", spec(tmp_path, "{pager: {enabled: false}}"), env=env) as served:
        assert "ml_channel_pending pager" not in served.metrics()
