"""`python -m generator models`: the versions in models.yaml, and changing them."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

from contract.problems import ProblemsError
from contract.quantity import parse_ratio
from contract.read import read_spec
from contract.reference import Columns
from contract.spec import STATES, Model, Spec, Task
from generator.registry.deploy import deploy, retire
from generator.registry.entry import Plain
from generator.registry.file import ModelsFile, RegistryError, opened
from generator.registry.importing import add_import
from generator.registry.listing import described, ordered, render_one, render_table
from generator.registry.output import add_common, add_writing, finish, to_json
from generator.registry.register import Data, Version, artifact_of, find, newest, register

__all__ = ["add_models", "run_models"]

NOTHING_WRITTEN: Final = "Nothing was written."

EPILOG: Final = """\
examples:
  python -m generator models list
  python -m generator models register fraud --version 2.4 --artifact models/fraud-2.4.onnx \\
      --trained-at 2026-11-28 --metric auc=0.991 --data train.csv --prediction predicted
  python -m generator models deploy fraud 2.4
  python -m generator models deploy fraud 2.3      # puts the one before back

Every command that writes keeps the comments, the order and the style of models.yaml, reads the
result before it replaces anything, and has --dry-run. Afterwards: make generate."""


def add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and those below it."""
    parser = commands.add_parser(
        "models",
        help="list the versions in models.yaml; register, deploy and retire them",
        description="The versions of models in models.yaml. A version is registered (known, need "
        "not serve), live (serves), or retired (kept for its history).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(dest="models_command", required=True, metavar="COMMAND")
    _add_reading(below)
    _add_register(below)
    _add_states(below)
    add_import(below)


def run_models(options: argparse.Namespace) -> int:
    """Run one; the exit status: 2 for bad input, 1 for what else is wrong."""
    run: Callable[[argparse.Namespace], str] = options.run
    nothing = f"\n{NOTHING_WRITTEN}" if hasattr(options, "dry_run") else ""
    try:
        print(run(options))
    except (ProblemsError, RegistryError) as error:
        print(f"{error}{nothing}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.models}: cannot be written: {error.strerror}{nothing}", file=sys.stderr)
        return 1
    return 0


# Reading


def _add_reading(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    every = commands.add_parser("list", help="one line for each version, the newest first")
    every.add_argument("name", nargs="?", metavar="NAME", help="only versions of this model")
    every.add_argument("--state", choices=STATES[::-1], help="only versions in this state")
    every.set_defaults(run=_list)
    one = commands.add_parser("show", help="all that is known of a version")
    one.add_argument("name", metavar="NAME")
    one.add_argument(
        "version", nargs="?", metavar="VERSION", help="default: the live one, else the newest"
    )
    one.set_defaults(run=_show)
    last = commands.add_parser(
        "latest",
        help="print the newest version of a model, for scripts",
        description="Print the newest version: 1.10 is newer than 1.9, 2.0.0 than 2.0.0-rc1, and "
        "dates sort as dates.",
    )
    last.add_argument("name", metavar="NAME")
    last.add_argument("--state", choices=STATES[::-1], help="the newest in this state")
    last.set_defaults(run=_latest)
    for command in (every, one, last):
        add_common(command)


def _read(options: argparse.Namespace) -> ModelsFile:
    """The file as it is, for reading: without a lock, and whatever files it names."""
    spec = read_spec(options.models, files=False)
    return ModelsFile(options.models, "", spec)


def _list(options: argparse.Namespace) -> str:
    file, now = _read(options), dt.datetime.now(dt.UTC)
    models = [model for model in ordered(file.spec) if options.state in (None, model.state)]
    if options.name is not None:
        _known(file, options.name)
        models = [model for model in models if model.name == options.name]
    if options.json:
        return to_json([described(file.spec, model, now) for model in models])
    return render_table(file.spec, models, now)


def _show(options: argparse.Namespace) -> str:
    file, now = _read(options), dt.datetime.now(dt.UTC)
    if options.version is None:
        models = _known(file, options.name)
        model = newest([one for one in models if one.state == "live"] or models)
    else:
        model = find(file, options.name, options.version)
    if options.json:
        return to_json(described(file.spec, model, now))
    return render_one(file.spec, model, now)


def _latest(options: argparse.Namespace) -> str:
    models = [
        model
        for model in _known(_read(options), options.name)
        if options.state in (None, model.state)
    ]
    if not models:
        raise RegistryError(f"{options.models}: no version of {options.name} is {options.state}")
    version = newest(models).version
    return to_json({"name": options.name, "version": version}) if options.json else version


def _known(file: ModelsFile, name: str) -> list[Model]:
    models = [model for model in file.spec.versions if model.name == name]
    if not models:
        find(file, name, "")  # says what there is
    return models


# Writing


def _add_register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "register",
        help="add a version; what is not told is taken over from the one before",
        description="Add a version to models.yaml. It is registered and not live: nobody is told "
        "that it gets no traffic. Settings, comments and style are those of the newest version of "
        "the model; times, metrics and the artifact are its own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", metavar="NAME")
    add("--version", required=True, metavar="V")
    add("--task", choices=get_args(Task), help="what it predicts; needed for a new model")
    add("--framework", metavar="TEXT", help="what it was made with: scikit-learn, onnx")
    add("--team", metavar="TEAM", help="who owns it, one of teams:")
    add("--artifact", type=Path, metavar="FILE", help="its file, whose SHA-256 is stored")
    add(
        "--artifact-path",
        metavar="PATH",
        help="where the sidecar finds that file, if elsewhere than here",
    )
    add("--trained-at", type=_time, metavar="TIME", help="2026-11-28 or 2026-11-28T12:00:00Z")
    add(
        "--metric",
        action="append",
        default=[],
        type=_metric,
        metavar="NAME=VALUE",
        help="what was measured in training, auc=0.991 or accuracy=97%%; may be given again",
    )
    add("--source", metavar="TEXT", help="where it comes from: a run, an address, a commit")
    add("--like", metavar="VERSION", help="take settings over from this version (default: newest)")
    add("--serving-version", metavar="V", help="what its server calls it (serving.version)")
    _add_data(parser)
    add_writing(parser)
    parser.set_defaults(run=_register)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the reference profile that drift is measured against")
    add = group.add_argument
    add(
        "--data", type=Path, metavar="FILE", help="training data to build it from, .csv or .parquet"
    )
    add("--prediction", metavar="COLUMN", help="the column with the model's predictions")
    add("--confidence", metavar="COLUMN", help="the column with its confidence, 0 to 1")
    add("--label", metavar="COLUMN", help="the column with the true label")
    for option, what in (("--exclude", "is no feature"), ("--category", "holds codes, no numbers")):
        add(option, action="append", default=[], metavar="COLUMN", help=f"a column that {what}")
    add("--profile", metavar="PATH", help="where it is or goes (default: profiles/NAME-V.json)")


def _register(options: argparse.Namespace) -> str:
    if options.data is None and (given := _given(options)):
        raise RegistryError(f"--{given} says what a column of training data is: add --data FILE")
    if options.artifact_path and not options.artifact:
        raise RegistryError("--artifact-path is for the file that --artifact names")
    with opened(options.models) as file:
        new = Version(
            name=options.name,
            version=options.version,
            task=options.task,
            framework=options.framework,
            team=options.team,
            trained_at=options.trained_at,
            artifact=options.artifact
            and artifact_of(file, options.artifact, options.artifact_path),
            metrics=dict(options.metric),
            source=options.source,
            profile=options.profile,
            serving_version=options.serving_version,
        )
        columns = Columns(
            prediction=options.prediction,
            confidence=options.confidence,
            label=options.label,
            exclude=tuple(options.exclude),
            categories=tuple(options.category),
        )
        data = Data(options.data, columns) if options.data else None
        with register(file, new, like=options.like, data=data, dry=options.dry_run) as outcome:
            return finish(options, outcome, **_about(outcome.change.spec, new.key))


def _given(options: argparse.Namespace) -> str:
    names = ("prediction", "confidence", "label", "exclude", "category")
    return next((name for name in names if getattr(options, name)), "")


def _about(spec: Spec, key: tuple[str, str]) -> dict[str, Any]:
    model = spec.model(*key)
    return {"model": described(spec, model, dt.datetime.now(dt.UTC))} if model else {}


def _add_states(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    to_live = commands.add_parser(
        "deploy",
        help="make a version live, and retire those that were; puts older ones back, too",
        description="Make a version live, and retire the versions that were, which keep their "
        "history and can be put back the same way. It says what models.yaml says: what really "
        "serves is up to you.",
    )
    to_live.add_argument("name", metavar="NAME")
    to_live.add_argument("version", metavar="VERSION")
    to_live.add_argument(
        "--beside", action="store_true", help="keep the others live: a canary, an A/B test"
    )
    to_live.add_argument(
        "--at", type=_moment, metavar="TIME", help="when it was deployed (default: now)"
    )
    to_live.set_defaults(run=_deploy)
    to_retired = commands.add_parser(
        "retire", help="keep a version for its history only: no alerts, no targets, no series"
    )
    to_retired.add_argument("name", metavar="NAME")
    to_retired.add_argument("version", metavar="VERSION")
    to_retired.set_defaults(run=_retire)
    for command in (to_live, to_retired):
        add_writing(command)


def _deploy(options: argparse.Namespace) -> str:
    at = options.at or dt.datetime.now(dt.UTC)
    with opened(options.models) as file:
        outcome = deploy(file, options.name, options.version, beside=options.beside, at=at)
        return finish(
            options, outcome, **_about(outcome.change.spec, (options.name, options.version))
        )


def _retire(options: argparse.Namespace) -> str:
    with opened(options.models) as file:
        outcome = retire(file, options.name, options.version)
        return finish(
            options, outcome, **_about(outcome.change.spec, (options.name, options.version))
        )


# Options


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"is not a time: {text!r}; write 2026-11-28 or 2026-11-28T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _time(text: str) -> Plain:
    _moment(text)
    return Plain(text)


def _metric(text: str) -> tuple[str, Plain]:
    name, equals, value = text.partition("=")
    number = value.strip()
    try:
        if not (equals and name.strip()):
            raise ValueError(text)
        if number.endswith("%"):
            parse_ratio(number)
        elif not re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", number):
            raise ValueError(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"is not NAME=VALUE with a number: {text!r}; write auc=0.991 or accuracy=97%"
        ) from None
    return name.strip(), Plain(number)
