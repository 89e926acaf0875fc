"""`python -m exporters.sidecar serve | export`: the process beside a model server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette

from contract import logs
from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.profile import ProfileError, read_profile
from contract.spec import Spec
from exporters.expose import Family, Own, add_serve_arguments, app, serve
from exporters.sidecar.families import Exposition
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import LogError
from exporters.sidecar.log.command import add_export, run_export
from exporters.sidecar.log.open import open_log
from exporters.sidecar.proxy.supervise import ProxyError
from exporters.sidecar.proxy.upstreams import Upstreams
from exporters.sidecar.web import Web
from exporters.sidecar.wire import direct_protocol

__all__ = ["main"]

log = logs.logger()

EXAMPLE = """\
example:
  python -m exporters.sidecar serve --models models.yaml
  curl -d '{"model_name": "fraud", "features": {"age": 41}, "prediction": 1}' \\
      http://127.0.0.1:9101/v1/predictions
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    if options.command == "export":
        return run_export(options)
    logs.setup("sidecar", options.log_format)
    try:
        spec = read_spec_by(options)
        layouts = _read_layouts(spec, options.model)
    except (ProblemsError, ProfileError, _UnknownModelError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for layout in layouts:
        for note in layout.notes:
            log.info("counts_less", model=layout.model.name, reason=note)
    intake = Intake(layouts)
    try:
        upstreams = Upstreams(
            intake,
            spec,
            names=options.model,
            listen=options.proxy_listen,
            log_format=options.log_format,
        )
    except ProxyError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        intake.commits = open_log(spec, options.data_dir, intake.tallies)
    except LogError as error:
        sys.stderr.write(f"the prediction log: {error}\n")
        return 1
    exposition = Exposition(intake)
    own = Own("sidecar")

    async def collect() -> Sequence[Family]:
        with own.collecting():
            return [*upstreams.families(), *await exposition.collect()]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with intake.commits.running(), upstreams.running():
            yield

    web = Web(intake)
    application = app(own, collect, routes=[*web.routes(), *upstreams.routes()], lifespan=lifespan)
    return serve(
        application,
        options.listen,
        socket_path=options.socket,
        protocol=direct_protocol(web.directs()),
    )


class _UnknownModelError(ValueError):
    pass


def _read_layouts(spec: Spec, names: Sequence[str]) -> list[Layout]:
    """What is counted of the models called `names`, or of all where none is named."""
    known = [model.name for model in spec.models]
    for name in names:
        if name not in known:
            raise _UnknownModelError(
                f"--model {name}: no such model; there are {', '.join(dict.fromkeys(known))}"
            )
    return [
        Layout.of(model, read_profile(spec.path(model.profile)) if model.profile else None)
        for model in spec.models
        if not names or model.name in names
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exporters.sidecar",
        description="Takes prediction events and labels over HTTP; exposes them as counters.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "serve",
        help="answer on an address until stopped",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec_arguments(command)
    command.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="take events of this model only; may be repeated (default: all of models.yaml)",
    )
    command.add_argument(
        "--data-dir",
        type=Path,
        default=Path("data"),
        help="where the prediction log is kept (default: %(default)s)",
    )
    command.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="answer on this Unix socket too; its owner and group may connect",
    )
    command.add_argument(
        "--proxy-listen",
        metavar="HOST:PORT",
        help="forward from this address to the models' upstream, instead of from serving.proxy",
    )
    add_serve_arguments(command, listen="127.0.0.1:9101")
    add_export(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
