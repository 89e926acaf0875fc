"""What the game day found: a table for people, and the same as JSON."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from typing import Any

from gameday.run import Outcome, Result
from gameday.watch import FalseAlarm
from stack.display import render_table

__all__ = ["failed", "render_json", "render_markdown", "render_text"]

_HEAD = (
    "SCENARIO",
    "ALERT",
    "SEVERITY",
    "OF",
    "RECEIVER",
    "POSSIBLE",
    "TAKEN",
    "RATIO",
    "RESOLVED",
    "VERDICT",
)


def failed(results: Sequence[Result], alarms: Sequence[FalseAlarm]) -> bool:
    """Whether anything was missed, late, false, or could not be run."""
    bad = any(outcome.verdict != "ok" for result in results for outcome in result.outcomes)
    return bad or bool(alarms) or any(result.error for result in results)


def render_text(results: Sequence[Result], alarms: Sequence[FalseAlarm], *, seconds: float) -> str:
    """The table, what fired without a reason, and the sum of it."""
    rows = [_row(outcome) for result in results for outcome in result.outcomes]
    lines = ["", render_table(_HEAD, rows), ""]
    lines += [f"{result.scenario.name}: {result.error}" for result in results if result.error]
    lines += [f"false alarm: {alarm.text()} at {alarm.where}" for alarm in alarms]
    lines.append(_sum(results, alarms, seconds))
    return "\n".join(lines)


def render_markdown(
    results: Sequence[Result], alarms: Sequence[FalseAlarm], *, seconds: float
) -> str:
    """The same as a table of Markdown."""
    head = [name.lower() for name in _HEAD]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [
        f"| {' | '.join(_row(outcome))} |" for result in results for outcome in result.outcomes
    ]
    return "\n".join([*lines, "", _sum(results, alarms, seconds), ""])


def render_json(
    results: Sequence[Result],
    alarms: Sequence[FalseAlarm],
    *,
    seconds: float,
    time_scale: float,
) -> dict[str, Any]:
    """All of it, with what it ran on."""
    return {
        "name": "gameday",
        "passed": not failed(results, alarms),
        "seconds": round(seconds, 1),
        "time_scale": time_scale,
        "machine": {
            "cores": _cores(),
            "python": platform.python_version(),
            "prometheus": _version("prometheus"),
        },
        "scenarios": [
            {
                "name": result.scenario.name,
                "says": result.scenario.says,
                "began": round(result.began, 1),
                "ended": round(result.ended, 1),
                "error": result.error,
                "alerts": [_outcome(outcome) for outcome in result.outcomes],
            }
            for result in results
        ],
        "false_alarms": [
            {"labels": dict(alarm.labels), "where": alarm.where, "during": list(alarm.during)}
            for alarm in alarms
        ],
    }


def _row(outcome: Outcome) -> tuple[str, ...]:
    expected = outcome.expected
    about = expected.labels.get("feature_name") or expected.labels.get("objective")
    whose = expected.labels.get("job") or expected.model
    return (
        outcome.scenario,
        expected.alert,
        expected.severity,
        f"{whose} {about}" if about else whose,
        outcome.receiver,
        f"{outcome.possible:.1f} s",
        _seconds(outcome.taken),
        "" if outcome.ratio is None else f"{outcome.ratio:.2f}",
        _seconds(outcome.resolved),
        outcome.verdict,
    )


def _seconds(number: float | None) -> str:
    return "" if number is None else f"{number:.1f} s"


def _sum(results: Sequence[Result], alarms: Sequence[FalseAlarm], seconds: float) -> str:
    outcomes = [outcome for result in results for outcome in result.outcomes]
    good = sum(outcome.verdict == "ok" for outcome in outcomes)
    return (
        f"{len(results)} scenarios, {good} of {len(outcomes)} alerts as they should be, "
        f"{len(alarms)} false alarms, in {seconds / 60:.1f} minutes."
    )


def _outcome(outcome: Outcome) -> dict[str, Any]:
    def rounded(number: float | None) -> float | None:
        return None if number is None else round(number, 2)

    return {
        "alert": outcome.expected.alert,
        "severity": outcome.expected.severity,
        "model": outcome.expected.model,
        "labels": dict(outcome.expected.labels),
        "receiver": outcome.receiver,
        "possible": rounded(outcome.possible),
        "taken": rounded(outcome.taken),
        "ratio": rounded(outcome.ratio),
        "resolved": rounded(outcome.resolved),
        "verdict": outcome.verdict,
    }


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0].split(" (")[0]
