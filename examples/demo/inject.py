"""Make something go wrong in the running demo, or right again.

python -m examples.demo.inject errors --for 5m
python -m examples.demo.inject shift --model diabetes
python -m examples.demo.inject nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from examples.demo.command_line import SERVER, parse_duration, parse_url
from examples.demo.data import DATASETS

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, 1 when the server can't be asked, 2 when it refuses."""
    options = _parser().parse_args(arguments)
    url = f"{options.server}/faults"
    try:
        if options.fault == "nothing":
            chosen = {} if options.model is None else {"model": options.model}
            answer = httpx.delete(url, params=chosen, trust_env=False)
        else:
            answer = httpx.post(url, json=_change(options), trust_env=False)
    except httpx.TransportError as error:
        print(f"{options.server}: no answer ({error}); is the demo running?", file=sys.stderr)
        return 1
    if answer.is_error:
        print(f"{options.server}: {answer.json().get('detail')}", file=sys.stderr)
        return 2
    for model, switches in answer.json()["models"].items():
        on = {name: value for name, value in switches.items() if value}
        print(f"{model}: {_describe(on) if on else 'nothing'}")
    return 0


def _change(options: argparse.Namespace) -> dict[str, Any]:
    change: dict[str, Any] = {"model": options.model, "for_seconds": options.seconds}
    if options.fault == "errors":
        change["error_ratio"] = options.ratio
    elif options.fault == "latency":
        change["extra_latency_seconds"] = options.extra
    else:
        change["shift"] = {"feature": options.feature, "standard_deviations": options.by}
    return change


def _describe(switched: dict[str, Any]) -> str:
    words: dict[str, Callable[[Any], str]] = {
        "error_ratio": lambda ratio: f"{ratio:.0%} of requests fail",
        "extra_latency_seconds": lambda seconds: f"{seconds:g} s slower",
        "shift": lambda shift: f"{shift['feature']} {shift['standard_deviations']:+g} σ",
    }
    return ", ".join(words[name](value) for name, value in switched.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.inject",
        description="Make something go wrong in the running demo, or right again.",
        epilog="example: python -m examples.demo.inject errors --for 5m --model breast-cancer",
    )
    faults = parser.add_subparsers(dest="fault", required=True, metavar="FAULT")
    errors = faults.add_parser("errors", help="some requests answer HTTP 500")
    errors.add_argument("--ratio", type=float, default=0.5, help="0 to 1; default: %(default)s")
    latency = faults.add_parser("latency", help="every request takes longer")
    latency.add_argument(
        "--extra", type=parse_duration, default="800ms", help="default: %(default)s"
    )
    shift = faults.add_parser("shift", help="one feature moves away from the training data")
    shift.add_argument("--feature", metavar="NAME", help="default: mean radius, bmi")
    shift.add_argument(
        "--by", type=float, default=2.0, help="in standard deviations; default: %(default)s"
    )
    nothing = faults.add_parser("nothing", help="take everything back")
    for fault in (errors, latency, shift, nothing):
        fault.add_argument("--model", choices=DATASETS, help="default: every model")
        fault.add_argument("--server", type=parse_url, default=SERVER, help="default: %(default)s")
    for fault in (errors, latency, shift):
        fault.add_argument(
            "--for",
            dest="seconds",
            type=parse_duration,
            metavar="DURATION",
            help="take it back by itself after, for example, 5m; default: never",
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
