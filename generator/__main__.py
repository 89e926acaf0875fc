"""python -m generator render | check | schema: everything that follows from models.yaml."""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from contract.problems import ProblemsError
from contract.quantity import HostPort
from contract.read import read_spec
from contract.spec import Spec, Stack
from generator.outputs import PARTS, render, verify
from generator.schema import render_schema
from generator.verify import VerificationError
from generator.write import Change, compare, replace, stage

NOTHING_WRITTEN: Final = "Nothing was written."
DIFF_LINES: Final = 12


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for bad input, 1 for what else is wrong."""
    options = _parser().parse_args(arguments)
    commands = {"render": render_command, "check": check_command, "schema": schema_command}
    try:
        return commands[options.command](options)
    except ProblemsError as error:
        print(f"{error}\n{NOTHING_WRITTEN}", file=sys.stderr)
        return 2
    except (VerificationError, OSError) as error:
        print(f"{error}\n{NOTHING_WRITTEN}", file=sys.stderr)
        return 1


def render_command(options: argparse.Namespace) -> int:
    """Read → resolve → render → verify → write."""
    spec = _read(options)
    files = render(spec, options.only or tuple(PARTS))
    with stage(options.out, files) as staged:
        verify(staged)
        changes = replace(options.out, staged, files)
    print(_summary(len(files), changes))
    return 0


def check_command(options: argparse.Namespace) -> int:
    """Read → resolve → render → verify → compare with what is there."""
    spec = _read(options)
    files = render(spec)
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), files) as staged:
        verify(staged)
    changes = compare(options.out, files)
    for change in changes:
        print(_stale(change, options.out, files), file=sys.stderr)
    if changes:
        print(f"{_count(len(changes))} stale: make generate, and commit it.", file=sys.stderr)
        return 1
    print(f"All {len(files)} generated files are up to date.")
    return 0


def schema_command(_: argparse.Namespace) -> int:
    """Print the JSON Schema of models.yaml."""
    print(render_schema(), end="")
    return 0


def _read(options: argparse.Namespace) -> Spec:
    """The spec, resolved. Options that `check` does not have are at their defaults."""
    return read_spec(
        options.models,
        time_scale=getattr(options, "time_scale", 1.0),
        addresses=dict(getattr(options, "address", ())),
    )


def _summary(total: int, changes: Sequence[Change]) -> str:
    if not changes:
        return f"{total} files, all as they were."
    shown = ", ".join(f"{change.path} ({change.how})" for change in changes[:8])
    more = f" and {len(changes) - 8} more" if len(changes) > 8 else ""
    return f"{total} files, {len(changes)} changed: {shown}{more}."


def _stale(change: Change, out: Path, files: dict[str, str]) -> str:
    """One stale file: what is wrong with it, and the first lines that differ."""
    if change.how != "changed":
        missing = change.how == "added"
        return f"{change.path}: {'is missing' if missing else 'is not generated any more'}"
    there = (out / change.path).read_text(encoding="utf-8", errors="replace").splitlines()
    lines = difflib.unified_diff(there, files[change.path].splitlines(), lineterm="", n=0)
    shown = "\n".join(f"  {line}" for line in islice(lines, 2, 2 + DIFF_LINES))
    return f"{change.path}: differs\n{shown}"


def _count(number: int) -> str:
    return "1 file is" if number == 1 else f"{number} files are"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generator",
        description="Render from models.yaml what Prometheus, Alertmanager and Grafana read.",
        epilog="""\
example:
  python -m generator render --models models.yaml --out .

Nothing is replaced before promtool and amtool have accepted all of it.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    write = commands.add_parser("render", help="write everything, or --only some parts")
    check = commands.add_parser(
        "check", help="fail when what is there is not what would be written"
    )
    commands.add_parser("schema", help="print the JSON Schema of models.yaml")
    for command in (write, check):
        command.add_argument(
            "--models", type=Path, default=Path("models.yaml"), metavar="FILE", help="%(default)s"
        )
        command.add_argument(
            "--out", type=Path, default=Path(), metavar="DIR", help="the tree's folder; %(default)s"
        )
    write.add_argument(
        "--only",
        action="append",
        type=_part,
        metavar="PART",
        help=f"one of {', '.join(PARTS)}; may be repeated",
    )
    write.add_argument(
        "--address",
        action="append",
        type=_address,
        default=[],
        metavar="NAME=HOST:PORT",
        help="another address of stack: for this run, such as drift=127.0.0.1:9202",
    )
    write.add_argument(
        "--time-scale",
        type=_time_scale,
        default=1.0,
        metavar="N",
        help="divide every duration by N, for tests and game days",
    )
    return parser


def _part(text: str) -> str:
    if text not in PARTS:
        raise argparse.ArgumentTypeError(f"{text!r}: write one of {', '.join(PARTS)}")
    return text


_ADDRESSES: Final = tuple(
    name for name in Stack.model_fields if not name.endswith("_interval") and name != "retention"
)


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


if __name__ == "__main__":
    sys.exit(main())
