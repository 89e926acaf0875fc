"""Make something go wrong in the running demo, or right again.

python -m examples.demo.inject errors --for 5m
python -m examples.demo.inject shift --model diabetes
python -m examples.demo.inject nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from examples.demo.command_line import SERVER, parse_duration, parse_url
from examples.demo.faults import Switches

__all__ = ["FAULTS", "Fault", "main"]

Option = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One word of the command: the options beside --model, and the switches that they mean."""

    help: str
    change: Callable[[argparse.Namespace], dict[str, Any]]
    options: Mapping[str, Option]


def _share(default: float, what: str = "0 to 1") -> Option:
    return {"type": float, "default": default, "help": f"{what}; default: %(default)s"}


def _seconds(default: str, what: str = "") -> Option:
    text = f"{what}; default: %(default)s" if what else "default: %(default)s"
    return {"type": parse_duration, "default": default, "metavar": "DURATION", "help": text}


_FEATURE: Final[Option] = {"metavar": "NAME", "help": "default: the model's usual one"}

FAULTS: Final = {
    "errors": Fault(
        help="some requests answer HTTP 500",
        change=lambda given: {"error_ratio": given.ratio},
        options={"--ratio": _share(0.5)},
    ),
    "latency": Fault(
        help="every request takes longer",
        change=lambda given: {"extra_latency_seconds": given.extra},
        options={"--extra": _seconds("800ms")},
    ),
    "leak": Fault(
        help="requests take longer and longer",
        change=lambda given: {"latency_growth": given.growth / 60},
        options={"--growth": _seconds("60ms", "by how much every minute")},
    ),
    "drop": Fault(
        help="fewer requests come",
        change=lambda given: {"throughput": given.to},
        options={"--to": _share(0.1, "the share that still comes, 0 to 1")},
    ),
    "shift": Fault(
        help="one feature moves away from the training data",
        change=lambda given: {"shift": {"feature": given.feature, "standard_deviations": given.by}},
        options={
            "--feature": {**_FEATURE, "help": "default: the model's usual one; * is every one"},
            "--by": {
                "type": float,
                "default": 2.0,
                "help": "in standard deviations; default: %(default)s",
            },
        },
    ),
    "missing": Fault(
        help="one feature has no value in some requests",
        change=lambda given: {"missing": {"feature": given.feature, "ratio": given.ratio}},
        options={"--feature": _FEATURE, "--ratio": _share(0.5)},
    ),
    "unseen": Fault(
        help="one feature has a category that was not in the training data",
        change=lambda given: {"unseen": {"feature": given.feature, "ratio": given.ratio}},
        options={"--feature": _FEATURE, "--ratio": _share(0.3)},
    ),
    "doubt": Fault(
        help="a classifier is less sure of the same predictions",
        change=lambda given: {"flat_confidence": given.by},
        options={"--by": _share(0.9, "0 is as it is, 1 is not at all")},
    ),
    "wrong": Fault(
        help="some predictions of a classifier are wrong, and as sure as ever",
        change=lambda given: {"wrong_ratio": given.ratio},
        options={"--ratio": _share(0.3)},
    ),
    "late-labels": Fault(
        help="labels come later",
        change=lambda given: {"label_delay_seconds": given.delay},
        options={"--delay": _seconds("5m", "from a prediction to its label")},
    ),
    "lost-labels": Fault(
        help="labels do not come",
        change=lambda given: {"lost_labels": given.ratio},
        options={"--ratio": _share(1.0)},
    ),
    "unconfirmed": Fault(
        help="biopsies confirm nothing",
        change=lambda given: {"unconfirmed": given.ratio},
        options={"--ratio": _share(0.5)},
    ),
}
"""By the word that the command knows them by."""

_WORDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "error_ratio": lambda ratio: f"{ratio:.0%} of requests fail",
    "extra_latency_seconds": lambda seconds: f"{seconds:.3g} s slower",
    "latency_growth": lambda growth: f"{growth * 60:.3g} s more every minute",
    "flat_confidence": lambda by: f"confidences {by:.0%} flatter",
    "wrong_ratio": lambda ratio: f"{ratio:.0%} of predictions are wrong",
    "throughput": lambda share: f"{share:.0%} of the requests",
    "shift": lambda shift: f"{shift['feature']} {shift['standard_deviations']:+g} σ",
    "missing": lambda it: f"{it['feature']} missing in {it['ratio']:.0%}",
    "unseen": lambda it: f"{it['feature']} is {it['category']} in {it['ratio']:.0%}",
    "label_delay_seconds": lambda seconds: f"labels after {seconds:g} s",
    "lost_labels": lambda share: f"{share:.0%} of labels are lost",
    "unconfirmed": lambda share: f"{share:.0%} of biopsies are not confirmed",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0, 1 when the server can't be asked, 2 when it refuses."""
    options = _parser().parse_args(arguments)
    url = f"{options.server}/faults"
    try:
        if options.fault == "nothing":
            chosen = {} if options.model is None else {"model": options.model}
            answer = httpx.delete(url, params=chosen, trust_env=False)
        else:
            change = FAULTS[options.fault].change(options)
            asked = {"model": options.model, "for_seconds": options.seconds, **change}
            answer = httpx.post(url, json=asked, trust_env=False)
    except httpx.TransportError as error:
        print(f"{options.server}: no answer ({error}); is the demo running?", file=sys.stderr)
        return 1
    if answer.is_error:
        print(f"{options.server}: {answer.json().get('detail')}", file=sys.stderr)
        return 2
    for model, switches in answer.json()["models"].items():
        print(f"{model}: {_describe(Switches.model_validate(switches))}")
    return 0


def _describe(switches: Switches) -> str:
    usual, now = Switches().model_dump(), switches.model_dump()
    on = [_WORDS[name](value) for name, value in now.items() if value != usual[name]]
    return ", ".join(on) or "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.inject",
        description="Make something go wrong in the running demo, or right again.",
        epilog="example: python -m examples.demo.inject errors --for 5m --model breast-cancer",
    )
    faults = parser.add_subparsers(dest="fault", required=True, metavar="FAULT")
    for word, fault in FAULTS.items():
        command = faults.add_parser(word, help=fault.help)
        for option, details in fault.options.items():
            command.add_argument(option, **details)
        command.add_argument(
            "--for",
            dest="seconds",
            type=parse_duration,
            metavar="DURATION",
            help="take it back by itself after, for example, 5m; default: never",
        )
    faults.add_parser("nothing", help="take everything back")
    for command in faults.choices.values():
        command.add_argument("--model", metavar="NAME", help="default: every model")
        command.add_argument(
            "--server", type=parse_url, default=SERVER, help="default: %(default)s"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
