"""The GPU exporter's command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydantic_core import PydanticCustomError
from starlette.applications import Starlette

from contract import logs
from contract.options import add_spec_arguments
from contract.problems import ProblemsError
from contract.quantity import Duration
from contract.read import read_spec
from contract.spec import Gpu, Spec
from exporters.expose import Own, add_serve_arguments, app, serve
from exporters.gpu.owners import Owners
from exporters.gpu.reader import REASONS, Intervals, Reader

__all__ = ["main"]

log = logs.logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 for its supervisor, 2 for bad input."""
    options = _parser().parse_args(arguments)
    logs.setup("gpu", options.log_format)
    spec: Spec | None = None
    if options.models is not None:
        try:
            # Profiles and secrets may lie elsewhere: this process reads none of them.
            spec = read_spec(options.models, addresses=dict(options.address), files=False)
        except ProblemsError as error:
            print(error, file=sys.stderr)
            return 2
    return _serve(options, spec)


def _serve(options: argparse.Namespace, spec: Spec | None) -> int:
    own = Own("gpu", reasons=REASONS)
    gave_up: list[str] = []

    def give_up(reason: str) -> None:
        log.error("giving_up", reason=reason)
        gave_up.append(reason)
        os.kill(os.getpid(), signal.SIGTERM)

    reader = Reader(
        own,
        intervals=_intervals(options, spec.gpu if spec else Gpu()),
        owners=Owners(spec),
        expected=spec.gpu.expected if spec and options.expected is None else options.expected,
        give_up=give_up,
    )

    @asynccontextmanager
    async def reading(_: Starlette) -> AsyncIterator[None]:
        reader.start()
        yield
        reader.stop()

    status = serve(app(own, reader.families, ready=reader.ready, lifespan=reading), options.listen)
    return status or (1 if gave_up else 0)


def _intervals(options: argparse.Namespace, gpu: Gpu) -> Intervals:
    return Intervals(
        fast=(options.interval or gpu.interval).seconds,
        slow=(options.slow_interval or gpu.slow_interval).seconds,
        retry=options.retry.seconds,
        hang=0.0 if options.hang is None else options.hang.seconds,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m exporters.gpu",
        description="Expose what NVML, the library of NVIDIA's driver, says of the GPUs here.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "serve",
        help="read the GPUs over and over and expose what they say",
        description="Read every GPU in the background; a scrape shows the last reading. Without a "
        "driver it says so once, keeps serving ml_gpu_nvml_up 0, and tries again now and then.",
        epilog="example: python -m exporters.gpu serve --models models.yaml --expected 8",
    )
    add = command.add_argument
    # Without models.yaml it knows no models; everything else works.
    add_spec_arguments(command, optional=True)
    add(
        "--expected",
        type=_number,
        metavar="N",
        help="GPUs that this machine should have (default: gpu.expected of models.yaml)",
    )
    add(
        "--interval",
        type=_duration,
        metavar="DURATION",
        help="time between two cheap readings (default: gpu.interval of models.yaml, or 1s)",
    )
    add(
        "--slow-interval",
        type=_duration,
        metavar="DURATION",
        help="of processes, PCIe, ECC and so on (default: gpu.slow_interval, or 10s)",
    )
    add(
        "--retry",
        type=_duration,
        default="10s",
        metavar="DURATION",
        help="time until NVML is tried again after it failed (default: %(default)s)",
    )
    add(
        "--hang",
        type=_duration_or_never,
        default="5m",
        metavar="DURATION",
        help="end with status 1 when the driver has not answered for so long, so that a "
        "supervisor starts anew; or never (default: %(default)s)",
    )
    add_serve_arguments(command, listen="127.0.0.1:9103")
    return parser


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except PydanticCustomError as error:
        raise argparse.ArgumentTypeError(f"{error.message()}; write 1s, 30s or 1m") from None


def _duration_or_never(text: str) -> Duration | None:
    return None if text == "never" else _duration(text)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write a number such as 8")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
