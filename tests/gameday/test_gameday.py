"""The game day as `make gameday` runs it, with the three scenarios that are over soonest."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import eventually, running

COMMAND = [sys.executable, "-m", "gameday"]
SHORT = ("error burst", "xid", "gpu memory errors")


@pytest.mark.stack
@pytest.mark.timeout(400)
def test_what_is_broken_is_told_to_the_right_team_and_nothing_else_is(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    only = [option for name in SHORT for option in ("--only", name)]
    with running([*COMMAND, "--data-dir", tmp_path, "--json", found, *only]) as day:
        eventually(lambda: day.process.poll() is not None, seconds=350, says=day.tail)
        output = day.output
        report = json.loads(found.read_text())
        assert report["false_alarms"] == [], output
        assert {
            scenario["name"]: scenario["error"] for scenario in report["scenarios"]
        } == dict.fromkeys(SHORT, "")
        told = {
            (alert["alert"], alert["model"], alert["receiver"]): alert
            for scenario in report["scenarios"]
            for alert in scenario["alerts"]
        }
        assert told.keys() == {
            ("HighErrorRatio", "screening", "clinic"),
            ("ErrorBudgetBurn1h", "screening", "clinic"),
            ("GpuXid", "risk", "clinic"),
            ("GpuEccUncorrectable", "none", "platform"),
        }
        # How fast is the game day's own verdict; machines that run tests are busy.
        assert {alert["verdict"] for alert in told.values()} <= {"ok", "slow"}, output
        assert all(alert["taken"] and alert["resolved"] for alert in told.values())
        assert "of 4 alerts as they should be" in output


@pytest.mark.stack
@pytest.mark.timeout(200)
def test_an_interrupt_stops_everything_that_was_started(tmp_path: Path) -> None:
    with running([*COMMAND, "--data-dir", tmp_path, "--only", "xid"]) as day:
        this = psutil.Process(day.process.pid)
        eventually(lambda: len(this.children(recursive=True)) >= 15, seconds=120, says=day.tail)
        started = this.children(recursive=True)
        day.send(signal.SIGINT)
        eventually(lambda: day.process.poll() == 130, seconds=60, says=day.tail)
        gone, left = psutil.wait_procs(started, timeout=10)
        assert left == []
        assert len(gone) >= 15
        assert "Interrupted" in day.output


def test_the_list_starts_nothing(tmp_path: Path) -> None:
    with running([*COMMAND, "--list", "--data-dir", tmp_path]) as listing:
        assert listing.process.wait(60) == 0
        assert "error burst" in listing.output
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_that_is_none_is_refused() -> None:
    with running([*COMMAND, "--only", "fire"]) as refused:
        assert refused.process.wait(60) == 2
        assert "'fire' is no scenario; --list shows them" in refused.output
