"""python -m stack up | down | status | doctor: the native stack."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.problems import ProblemsError
from stack.control import down, status
from stack.plan import MissingProgramError
from stack.settings import PORT_VARIABLES, SettingsError, read_settings
from stack.up import RefusedError, detach, doctor, up


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for bad input, 1 for what went wrong later."""
    options = _parser().parse_args(arguments)
    if options.command in ("down", "status"):
        data = Path(os.environ.get("DATA_DIR") or "data").resolve()
        return down(data) if options.command == "down" else status(data)
    try:
        settings = read_settings(os.environ)
        if options.command == "doctor":
            return doctor(settings, options.format)
        if options.detach:
            return detach(settings, ["--verbose"] if options.verbose else [], os.environ)
        return up(settings, verbose=options.verbose)
    except KeyboardInterrupt:  # before anything was started; later it is the way to stop
        return 130
    except (ProblemsError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    except (RefusedError, MissingProgramError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    ports = ", ".join(PORT_VARIABLES.values())
    parser = argparse.ArgumentParser(
        prog="python -m stack",
        description="Run the whole stack natively, as the Procfile has it.",
        epilog=f"""\
example:
  PROMETHEUS_PORT=19090 python -m stack up

Environment: MODELS (models.yaml), DATA_DIR (data), DEMO=0 (without the demo's model server and
traffic), TIME_SCALE=60 (a minute of windows and waits passes in a second), and for the ports
{ports}.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("up", help="start everything, wait until it answers, stay")
    start.add_argument(
        "--detach", action="store_true", help="return once it answers; keep it running"
    )
    start.add_argument("--verbose", action="store_true", help="show the log lines of all processes")
    commands.add_parser("down", help="stop a stack that runs in another terminal")
    commands.add_parser("status", help="show every process: up or down, health, pid, address")
    ask = commands.add_parser("doctor", help="ask the running stack whether all of it works")
    ask.add_argument("--format", choices=("text", "json"), default="text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
