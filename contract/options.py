"""The options of every command that reads models.yaml, and reading it by them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from contract.quantity import HostPort
from contract.read import read_spec
from contract.spec import Spec, Stack

__all__ = ["add_spec_arguments", "read_spec_by"]

_ADDRESSES: Final = tuple(
    name for name, field in Stack.model_fields.items() if isinstance(field.default, str | tuple)
)
"""What has a host and port where nobody says otherwise, or several of them."""


def add_spec_arguments(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Which models.yaml, and what differs from it in this run; it may be left out if `optional`."""
    parser.add_argument(
        "--models",
        type=Path,
        default=None if optional else Path("models.yaml"),
        metavar="FILE",
        help="default: do without" if optional else "default: %(default)s",
    )
    parser.add_argument(
        "--address",
        action="append",
        type=_address,
        default=[],
        metavar="NAME=HOST:PORT",
        help="another address of stack: for this run, such as drift=127.0.0.1:9202",
    )
    parser.add_argument(
        "--time-scale",
        type=_time_scale,
        default=1.0,
        metavar="N",
        help="divide windows, waits and intervals by N, for tests and game days (default: 1)",
    )


def read_spec_by(options: argparse.Namespace) -> Spec:
    """The spec that these options mean. Raises ProblemsError."""
    return read_spec(options.models, time_scale=options.time_scale, addresses=dict(options.address))


def _address(text: str) -> tuple[str, str]:
    name, _, address = text.partition("=")
    if name not in _ADDRESSES:
        raise argparse.ArgumentTypeError(
            f"{text!r}: no address is called {name!r}; there are {', '.join(_ADDRESSES)}"
        )
    try:
        return name, TypeAdapter(HostPort).validate_python(address)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{name} {error.errors()[0]['msg']}") from None


def _time_scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 1 <= scale < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: write a number from 1 on")
    return scale
