"""`python -m generator models import`: what another registry knows."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from contract.read import read_spec
from contract.spec import Task
from generator.registry.cards import CARDS, read_cards
from generator.registry.file import opened
from generator.registry.found import Found, add_found
from generator.registry.mlflow import LIVE_ALIASES, Asked, read_mlflow
from generator.registry.output import add_writing, finish
from generator.registry.register import Outcome

__all__ = ["add_import"]


def add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its sources."""
    parser = commands.add_parser(
        "import",
        help="add versions that another registry has: an MLflow server, a folder of model cards",
        description="Add the versions that models.yaml does not have yet. What it says of those "
        "that it has stays, but for which one is live, where the other registry says that. It may "
        "be run again and again.",
    )
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    served = sources.add_parser(
        "mlflow",
        help="the registered models of an MLflow server",
        description="Versions of registered models with the metrics of their runs, the time they "
        "were trained and the SHA-256 of their files. An alias such as champion, or the stage "
        "Production, makes a version live. The usual variables of MLflow are read, such as "
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        epilog="example: python -m generator models import mlflow --uri http://127.0.0.1:5000",
    )
    add = served.add_argument
    add("--uri", required=True, metavar="URL", help="where MLflow answers")
    add(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="only this registered model; may be given again",
    )
    add(
        "--live-alias",
        action="append",
        default=[],
        metavar="ALIAS",
        help=f"the alias of what serves (default: {', '.join(LIVE_ALIASES)})",
    )
    add("--no-artifacts", action="store_true", help="download no files, and so store no hashes")
    served.set_defaults(run=_import_mlflow)
    cards = sources.add_parser(
        "cards",
        help="model cards in a folder",
        description=f"The cards in and below a folder: {', '.join(CARDS)}, the first one in each "
        "folder. A README.md is one if it begins with YAML between lines of dashes, as on Hugging "
        "Face.",
        epilog="example: python -m generator models import cards cards/",
    )
    cards.add_argument("folder", type=Path, metavar="FOLDER")
    cards.add_argument("--version", metavar="V", help="the version of cards that say none")
    cards.set_defaults(run=_import_cards)
    for command in (served, cards):
        command.add_argument(
            "--task",
            choices=get_args(Task),
            help="what models predict of which nothing says it",
        )
        add_writing(command)


def _import_mlflow(options: argparse.Namespace) -> str:
    asked = Asked(
        uri=options.uri,
        models=options.model,
        live=options.live_alias or LIVE_ALIASES,
        task=options.task,
        artifacts=not options.no_artifacts,
    )
    # All of it before the file is locked: it may take minutes.
    spec = read_spec(options.models, files=False)
    known = frozenset(model.key for model in spec.versions)
    found = list(read_mlflow(asked, known=known, told=_tell))
    return _import(options, found, f"MLflow at {options.uri}")


def _import_cards(options: argparse.Namespace) -> str:
    found = read_cards(options.folder, version=options.version, task=options.task)
    return _import(options, found, f"cards in {options.folder}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _import(options: argparse.Namespace, found: Sequence[Found], where: str) -> str:
    with opened(options.models) as file:
        change, added, notes = add_found(file, found, at=dt.datetime.now(dt.UTC))
        states = {model.key: model.state for model in change.spec.versions}
        lines = [f"{' '.join(key)}, {states[key]}" for key in added]
        said = f"{len(added)} of {len(found)} versions are new ({where})"
        outcome = Outcome(change, said, (*lines, *notes))
        return finish(options, outcome, added=[list(key) for key in added])
