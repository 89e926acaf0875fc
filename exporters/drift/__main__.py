"""The drift collector's commands: `profile` builds a reference, `serve` compares with it."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette

from contract import logs
from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.profile import ProfileError, write_profile
from contract.read import read_spec
from contract.reference import Columns, build_reference
from contract.spec import Model, Spec
from contract.table import TableError
from exporters.drift.collector import Collector
from exporters.drift.command import (
    add_baseline,
    add_evaluate,
    add_prometheus_argument,
    duration,
)
from exporters.drift.prometheus import PrometheusError
from exporters.drift.reference import UnknownModelError, resolve_model
from exporters.drift.web import routes
from exporters.expose import Own, add_serve_arguments, app, serve

__all__ = ["main"]

MODELS = Path("models.yaml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status: 0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exporters.drift",
        description="Compare what models get and say with what they were trained on.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_profile(commands)
    add_evaluate(commands)
    add_baseline(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve",
        help="evaluate every model over and over, and expose what is found and promised",
        description="Ask Prometheus what the sidecars counted over each model's drift window, hold "
        "it against the reference profiles, and expose scores, verdicts and the thresholds of "
        "models.yaml. A changed models.yaml is taken over within seconds (SIGHUP: at once).",
        epilog="example: python -m exporters.drift serve --models models.yaml "
        "--prometheus http://127.0.0.1:9090",
    )
    add = parser.add_argument
    add_spec_arguments(parser)
    add_prometheus_argument(parser)
    add(
        "--interval",
        type=duration,
        default="1m",
        metavar="DURATION",
        help="time between two evaluations (default: %(default)s)",
    )
    add_serve_arguments(parser, listen="127.0.0.1:9102")
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    logs.setup("drift", options.log_format)
    own = Own("drift", reasons=("spec",))
    try:
        collector = Collector(
            lambda: read_spec_by(options),
            options.models,
            own=own,
            interval=options.interval,
            url=options.prometheus,
        )
    except (ProblemsError, ProfileError, PrometheusError) as error:
        return _bad(str(error))
    signal.signal(signal.SIGHUP, lambda *_: collector.request_reload())

    @asynccontextmanager
    async def evaluating(_: Starlette) -> AsyncIterator[None]:
        collector.start()
        yield
        collector.stop()

    application = app(
        own,
        collector.families,
        ready=collector.ready,
        routes=routes(collector.answers),
        lifespan=evaluating,
    )
    return serve(application, options.listen)


def _add_profile(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "profile",
        help="build a model's reference profile from its training data",
        description="Build a model's reference profile: bins and counts of every column of its "
        "training data, no rows. Empty values are missing; a column is numeric where every other "
        "value is a number.",
        epilog="example: python -m exporters.drift profile --data train.csv --model fraud "
        "--prediction predicted --confidence probability --label is_fraud",
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FILE", help="training data, .csv or .parquet")
    add("--model", required=True, metavar="NAME", help="the model's name in models.yaml")
    add(
        "--models",
        type=Path,
        metavar="FILE",
        help="models.yaml, which must have the model (default: models.yaml where it exists)",
    )
    add("--version", metavar="V", help="the model's version (default: its last in models.yaml)")
    add("--prediction", metavar="COLUMN", help="the column that holds the model's predictions")
    add("--confidence", metavar="COLUMN", help="the column that holds its confidence, 0 to 1")
    add(
        "--logged",
        action="store_true",
        help="the data are what `python -m exporters.sidecar export` wrote: which columns are "
        "features, prediction, confidence and label is known",
    )
    add("--label", metavar="COLUMN", help="the column that holds the true label; left out")
    add(
        "--exclude",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column that is no feature, an id for instance; may be given again",
    )
    add(
        "--category",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of numbers that are codes; may be given again",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write (default: the model's profile in models.yaml, or profiles/NAME.json)",
    )
    add("--bins", type=_bins, default=10, metavar="N", help="quantile bins (default: 10)")
    parser.set_defaults(run=_profile)


def _bins(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"is not a number from 2 to 100: {text!r}")
    return int(text)


def _profile(options: argparse.Namespace) -> int:
    try:
        spec = _spec_of(options.models)
        model = resolve_model(spec, options.model, options.version) if spec else None
        profile = build_reference(
            options.data,
            name=options.model,
            version=model.version if model else options.version,
            task=model.task if model else None,
            columns=Columns(
                prediction=options.prediction,
                confidence=options.confidence,
                label=options.label,
                exclude=tuple(options.exclude),
                categories=tuple(options.category),
            ),
            bins=options.bins,
            logged=options.logged,
        )
        out: Path = options.out or _default_out(spec, model, options.model)
        write_profile(profile, out)
    except UnknownModelError as error:
        return _bad(f"{options.models or MODELS}: {error}")
    except (ProblemsError, ProfileError, TableError) as error:
        return _bad(str(error))
    except OSError as error:
        return _bad(f"{error.filename}: cannot be written: {error.strerror}")
    print(f"wrote {out}: {len(profile.features)} features, {profile.rows} rows")
    return 0


def _spec_of(models: Path | None) -> Spec | None:
    """The spec, where one was named or stands here; the profiles it names may not exist yet."""
    if models is None and not MODELS.is_file():
        return None
    return read_spec(models or MODELS, files=False)


def _default_out(spec: Spec | None, model: Model | None, name: str) -> Path:
    if spec is None or model is None:
        return Path("profiles") / f"{name}.json"
    return spec.path(model.profile or f"profiles/{name}.json")


def _bad(message: str) -> int:
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
