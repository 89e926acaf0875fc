"""`python -m exporters.sidecar serve | export`: the process beside a model server."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from contract import logs
from contract.options import add_spec_arguments, read_spec_by
from contract.problems import ProblemsError
from contract.profile import ProfileError, read_profile
from contract.spec import Model, Spec
from exporters.expose import Family, Own, add_serve_arguments, app, serve
from exporters.expose.follow import LOOK, Follower
from exporters.expose.guard import Guard, TokenError, read_token
from exporters.sidecar.artifact import Artifacts
from exporters.sidecar.families import Exposition
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.log.batch import LogError
from exporters.sidecar.log.command import add_export, run_export
from exporters.sidecar.log.open import open_log
from exporters.sidecar.proxy.supervise import ProxyError
from exporters.sidecar.proxy.upstreams import Upstreams
from exporters.sidecar.web import Web, refuse_writing
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
    own = Own("sidecar", reasons=("spec",))
    try:
        follower = Follower(lambda: _read(options), _files, own=own, errors=_BAD)
    except _BAD as error:
        sys.stderr.write(f"{error}\n")
        return 2
    found = follower.newest
    _tell_notes(found.layouts)
    intake = Intake(found.layouts, found.spec.sidecar.limits)
    try:
        upstreams = Upstreams(
            intake,
            found.spec,
            names=options.model,
            listen=options.proxy_listen,
            log_format=options.log_format,
        )
    except ProxyError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        intake.commits = open_log(found.spec, options.data_dir, intake.versions)
    except LogError as error:
        sys.stderr.write(f"the prediction log: {error}\n")
        return 1
    sidecar = _Sidecar(follower, intake, upstreams, own)
    signal.signal(signal.SIGHUP, lambda *_: follower.request())
    tls = found.spec.sidecar.tls
    return serve(
        sidecar.application(),
        options.listen,
        socket_path=options.socket,
        protocol=direct_protocol(sidecar.web.directs()),
        tls=(found.spec.path(tls.certificate), found.spec.path(tls.key)) if tls else None,
    )


class _Sidecar:
    """The parts of a running sidecar, and how they follow models.yaml."""

    def __init__(
        self, follower: Follower[_Reading], intake: Intake, upstreams: Upstreams, own: Own
    ) -> None:
        self._follower = follower
        self._started_with = follower.newest.spec
        own.restart_needed = False
        self._intake = intake
        self._upstreams = upstreams
        self._own = own
        self._guard = Guard(follower.newest.token)
        self._exposition = Exposition(intake)
        self._artifacts = Artifacts(
            follower.newest.spec,
            _models(follower.newest.layouts),
            intake.processes.artifacts,
        )
        self.web = Web(intake, self._guard, upstreams.status)

    def application(self) -> ASGIApp:
        """The web application, whose lifespan runs everything else."""
        routes = [*self.web.routes(), *self._upstreams.routes()]
        made = app(self._own, self._collect, routes=routes, lifespan=self._lifespan)
        return self._guard.wrap(made, refuse_writing(self._intake))

    async def _collect(self) -> Sequence[Family]:
        with self._own.collecting():
            return [
                *self._upstreams.families(),
                *self._artifacts.families(),
                *await self._exposition.collect(),
            ]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._intake.commits.running(), self._upstreams.running():
            await self._exposition.collect()  # prepares the texts of all series
            _settle_memory()
            tasks = [
                asyncio.create_task(self._follow()),
                asyncio.create_task(self._artifacts.watch()),
            ]
            yield
            for task in tasks:
                task.cancel()

    async def _follow(self) -> None:
        """Take over every models.yaml that is good."""
        while True:
            await asyncio.sleep(LOOK)
            # In a thread, since reading takes longer than events may wait.
            if not await asyncio.to_thread(self._follower.look):
                continue
            now = self._follower.newest
            limits = now.spec.sidecar.limits
            self._intake.follow(now.layouts, limits)
            self.web.follow()
            self._artifacts.follow(now.spec, _models(now.layouts))
            self._guard.token = now.token
            _settle_memory()
            log.info("models_read", models=len(now.layouts))
            _tell_notes(now.layouts)
            waiting = _not_followed(self._started_with, now.spec)
            self._own.restart_needed = bool(waiting)
            if waiting:
                log.warning("restart_needed", changed=waiting)


def _models(layouts: Sequence[Layout]) -> list[Model]:
    """The models whose files matter: those that are not retired."""
    return [layout.model for layout in layouts if layout.model.state != "retired"]


def _not_followed(started: Spec, now: Spec) -> list[str]:
    """What a sidecar that started with one models.yaml does not take over of another."""
    keys = [f"sidecar.{k}" for k in ("log", "tls") if _of(started, k) != _of(now, k)]
    before, after = (
        {model.key: _served(model) for model in spec.models} for spec in (started, now)
    )
    # A model that came or went matters only where there is something to forward to or to probe.
    names = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return keys + [f"serving of {name} {version}" for name, version in names]


def _of(spec: Spec, key: str) -> object:
    found: object = getattr(spec.sidecar, key)
    return found


def _served(model: Model) -> object:
    own = model.serving
    return (
        (own.upstream, own.proxy, own.paths, own.health, own.probe_interval)
        if own.upstream
        else None
    )


GARBAGE: Final = 100_000, 20, 20
"""When to look for garbage, see gc.set_threshold: a batch leaves some hundred objects, and none of
them in a circle, so that looking at every few batches finds nothing and takes a quarter longer."""


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

KEPT: Final = 32 * 1024 * 1024
"""Bytes of free memory that are not given back to the system, which would have to clear every page
of them for the next large body."""


def _settle_memory() -> None:
    """Spare the collector of garbage all series, and keep memory for the next bodies."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    with contextlib.suppress(AttributeError, OSError):  # as GNU's C library has it
        adjust = ctypes.CDLL(None).mallopt
        for parameter in (MMAP_THRESHOLD, TRIM_THRESHOLD):
            adjust(parameter, KEPT)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What models.yaml and the files that it names say."""

    models: Path
    spec: Spec
    layouts: list[Layout]
    token: str


def _read(options: argparse.Namespace) -> _Reading:
    spec = read_spec_by(options)
    token = spec.sidecar.token_file
    return _Reading(
        options.models,
        spec,
        _read_layouts(spec, options.model),
        read_token(spec.path(token) if token else None),
    )


def _files(found: _Reading) -> list[Path]:
    """The files whose change means another reading."""
    spec = found.spec
    named = [model.profile for model in spec.versions if model.profile]
    named += [spec.sidecar.token_file] if spec.sidecar.token_file else []
    return [found.models, *map(spec.path, named)]


def _tell_notes(layouts: Sequence[Layout]) -> None:
    for layout in layouts:
        for note in layout.notes:
            log.info("counts_less", model=layout.model.name, reason=note)


class _UnknownModelError(ValueError):
    pass


_BAD: Final = (ProblemsError, ProfileError, _UnknownModelError, TokenError)


def _read_layouts(spec: Spec, names: Sequence[str]) -> list[Layout]:
    """What is counted of the models called `names`, or of all where none is named.

    Also of versions that are retired: whoever puts one back in the night still has its counts, and
    labels come for days after the last prediction.
    """
    known = [model.name for model in spec.versions]
    for name in names:
        if name not in known:
            raise _UnknownModelError(
                f"--model {name}: no such model; there are {', '.join(dict.fromkeys(known))}"
            )
    return [
        Layout.of(
            model,
            read_profile(spec.path(model.profile)) if model.profile else None,
            spec.sidecar.limits,
        )
        for model in spec.versions
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
