"""The GPU exporter's command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydantic_core import PydanticCustomError
from starlette.applications import Starlette

from contract import logs
from contract.quantity import Duration
from exporters.expose import Own, add_serve_arguments, app, serve
from exporters.gpu.reader import Reader

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logs.setup("gpu", options.log_format)
    own = Own("gpu")
    reader = Reader(own, interval=options.interval.seconds, retry=options.retry.seconds)

    @asynccontextmanager
    async def reading(_: Starlette) -> AsyncIterator[None]:
        reader.start()
        yield
        reader.stop()

    return serve(app(own, reader.families, ready=reader.ready, lifespan=reading), options.listen)


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
        epilog="example: python -m exporters.gpu serve --listen 127.0.0.1:9103 --interval 1s",
    )
    command.add_argument(
        "--interval",
        type=_duration,
        default="1s",
        metavar="DURATION",
        help="time between two readings (default: %(default)s)",
    )
    command.add_argument(
        "--retry",
        type=_duration,
        default="1m",
        metavar="DURATION",
        help="time until NVML is tried again after it failed (default: %(default)s)",
    )
    add_serve_arguments(command, listen="127.0.0.1:9103")
    return parser


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except PydanticCustomError as error:
        raise argparse.ArgumentTypeError(f"{error.message()}; write 1s, 30s or 1m") from None


if __name__ == "__main__":
    sys.exit(main())
