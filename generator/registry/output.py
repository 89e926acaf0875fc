"""What commands on models.yaml have in common: their options, and how they say what they did."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from generator.registry.register import Outcome

__all__ = ["add_common", "add_writing", "finish", "to_json"]


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command has."""
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("models.yaml"),
        metavar="FILE",
        help="default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_writing(parser: argparse.ArgumentParser) -> None:
    """What every command has that changes models.yaml."""
    add_common(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the change as a unified diff; write nothing"
    )


def finish(options: argparse.Namespace, outcome: Outcome, **more: Any) -> str:
    """Write the change, unless it is a dry run, and say so."""
    change = outcome.change
    if not options.dry_run:
        change.write()
    if options.json:
        return to_json(
            {
                "command": options.models_command,
                "file": str(options.models),
                **more,
                "changed": bool(change.diff),
                "written": bool(change.diff) and not options.dry_run,
                "said": outcome.said,
                "notes": list(outcome.notes),
                "diff": change.diff,
            }
        )
    if options.dry_run:
        return change.diff.removesuffix("\n") or f"{outcome.said}: nothing would change"
    return "\n".join([outcome.said, *(f"  {note}" for note in outcome.notes)])


def to_json(data: object) -> str:
    """Data as people can read it, too."""
    return json.dumps(data, indent=2, ensure_ascii=False)
