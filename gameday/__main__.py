"""python -m gameday: break everything that alerts claim to catch, and see who is told when."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from gameday.display import Display
from gameday.environment import Environment
from gameday.receivers import Receivers
from gameday.report import failed, render_json, render_markdown, render_text
from gameday.run import Result, Run
from gameday.scenario import Scenario
from gameday.scenarios import SCENARIOS
from gameday.watch import Watch
from stack.display import render_table
from stack.plan import MissingProgramError
from stack.supervisor import StackError
from stack.up import RefusedError

TIME_SCALE: Final = 30.0
SETTLED: Final = 20.0
"""Seconds that everything runs before anything is broken."""
WATCHDOG: Final = 90.0
"""Seconds within which the alert that always fires has to arrive."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, 1 where an alert was missed, late or false, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    chosen = [s for s in SCENARIOS if not options.only or s.name in options.only]
    if options.list:
        rows = [
            (s.name, ", ".join(dict.fromkeys(e.alert for e in s.expects)), s.says) for s in chosen
        ]
        print(render_table(("SCENARIO", "ALERTS", "WHAT IS BROKEN"), rows))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _gameday(options, chosen)
    except KeyboardInterrupt:
        print("Interrupted; everything has stopped.", file=sys.stderr)
        return 130
    except (MissingProgramError, RefusedError, StackError) as error:
        print(error, file=sys.stderr)
        return 1


def _gameday(options: argparse.Namespace, chosen: Sequence[Scenario]) -> int:
    began = time.monotonic()
    data = options.data_dir.resolve() / "gameday"
    shutil.rmtree(data, ignore_errors=True)
    display = Display()
    display.say(f"{len(chosen)} scenarios; starting the stack, its logs are in {data / 'logs'} ...")
    environment = Environment(data, time_scale=options.time_scale, say=display.say)
    receivers = Receivers(data / "notifications.jsonl")
    watch = Watch(environment, receivers, display.say)
    run = Run(environment, receivers, watch, display.say)
    with receivers.running(environment.receiver), environment.running():
        _settle(environment, receivers, display)
        watch.start()

        def tick() -> None:
            told = sum(bool(result.outcomes) for result in run.results)
            display.show(run.status, f"{told} of {len(chosen)} scenarios done")

        results = run.all(chosen, tick)
        watch.stop()
        display.close()
    return _report(options, results, watch, time.monotonic() - began)


def _settle(environment: Environment, receivers: Receivers, display: Display) -> None:
    """Wait until nothing starts any more, and the alert that always fires has come."""
    while environment.uptime < SETTLED:
        display.show({}, f"everything runs; {SETTLED - environment.uptime:.0f} s until it settled")
        time.sleep(0.25)
    while not any(told.notification.alertname == "Watchdog" for told in receivers.get()):
        if environment.uptime > WATCHDOG:
            raise StackError(f"no Watchdog at the responder within {WATCHDOG:g} s: nobody is told")
        time.sleep(0.25)


def _report(
    options: argparse.Namespace, results: list[Result], watch: Watch, seconds: float
) -> int:
    alarms = watch.false_alarms
    print(render_text(results, alarms, seconds=seconds))
    if options.json:
        found = render_json(results, alarms, seconds=seconds, time_scale=options.time_scale)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text(render_markdown(results, alarms, seconds=seconds))
    return 1 if failed(results, alarms) else 0


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _scenario(name: str) -> str:
    if name not in (scenario.name for scenario in SCENARIOS):
        raise argparse.ArgumentTypeError(f"{name!r} is no scenario; --list shows them")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gameday",
        description="Start a stack of its own with simulated GPUs on free ports, break everything "
        "that alerts claim to catch, and see whether the right people are told, how fast, and "
        "nobody else.",
        epilog="example: python -m gameday --only 'error burst' --only xid. Ctrl-C stops it all.",
    )
    add = parser.add_argument
    add("--list", action="store_true", help="show the scenarios, and start nothing")
    add("--only", action="append", type=_scenario, metavar="NAME", help="may be repeated")
    add("--json", type=Path, metavar="FILE", help="write what was found there")
    add("--markdown", type=Path, metavar="FILE", help="the same, as a table")
    add(
        "--time-scale",
        type=float,
        default=TIME_SCALE,
        metavar="N",
        help="divide windows, waits and intervals by N; default: %(default)g",
    )
    add(
        "--data-dir",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="everything goes to its folder gameday, which is emptied; default: %(default)s",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
