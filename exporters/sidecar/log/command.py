"""`python -m exporters.sidecar export`: the log as a table for retraining."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from pathlib import Path
from typing import Any, Final

from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.profile import ProfileError, read_profile
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import LogError
from exporters.sidecar.log.export import Period, export
from exporters.sidecar.log.open import open_source

__all__ = ["add_export", "run_export"]

EXAMPLE: Final = """\
example:
  python -m exporters.sidecar export --model fraud --from 2026-10-01 --out fraud.parquet
"""


def add_export(commands: Any) -> None:
    """Add the command to those of the sidecar."""
    parser = commands.add_parser(
        "export",
        help="write predictions with their labels into a .csv or .parquet file",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec_arguments(parser)
    parser.add_argument("--model", required=True, metavar="NAME", help="whose predictions")
    parser.add_argument("--out", required=True, type=_table, metavar="FILE")
    for option, help_text in (("--from", "predictions from then on"), ("--to", "before then")):
        parser.add_argument(
            option,
            dest=option.strip("-") + "_time",
            type=_moment,
            metavar="TIME",
            help=f"{help_text}: 2026-10-01 or 2026-10-01T12:00:00Z",
        )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path("data"),
        help="where the sidecar keeps its log (default: %(default)s)",
    )


def run_export(options: argparse.Namespace) -> int:
    """Export; the exit status: 0, 1 where the log cannot be read, 2 for bad input."""
    try:
        spec = read_spec_by(options)
        models = [model for model in spec.versions if model.name == options.model]
        if not models:
            known = ", ".join(dict.fromkeys(model.name for model in spec.versions))
            raise ProfileError(f"--model {options.model}: no such model; there are {known}")
        layouts = {
            model.version: Layout.of(
                model, read_profile(spec.path(model.profile)) if model.profile else None
            )
            for model in models
        }
    except (ProblemsError, ProfileError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    period = Period(
        float("-inf") if options.from_time is None else options.from_time,
        float("inf") if options.to_time is None else options.to_time,
    )
    try:
        rows = export(
            open_source(spec, options.data_dir, options.model, period), layouts, options.out
        )
    except LogError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{options.out}: {rows:,} predictions\n")
    return 0


def _table(text: str) -> Path:
    path = Path(text)
    if path.suffix not in {".csv", ".parquet"}:
        raise argparse.ArgumentTypeError(f"{text} is neither a .csv nor a .parquet file")
    return path


def _moment(text: str) -> float:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time; write 2026-10-01 or 2026-10-01T12:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
