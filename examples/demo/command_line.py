"""Arguments that the demo's programs share."""

from __future__ import annotations

import argparse
import os
import re
import socket
import urllib.parse
from pathlib import Path
from typing import Final

from contract import logs
from examples.demo.data import DATASETS, SERVED, Dataset, read_dataset

__all__ = [
    "DATA_FOLDER",
    "SERVER",
    "SIDECAR",
    "add_log_format",
    "add_models",
    "listening_socket",
    "parse_duration",
    "parse_url",
    "served",
]

DATA_FOLDER: Final = Path(os.environ.get("DATA_DIR", "data"))
SERVER: Final = "http://" + os.environ.get("MODEL_SERVER_ADDRESS", "127.0.0.1:8001")
SIDECAR: Final = "http://" + os.environ.get("SIDECAR_ADDRESS", "127.0.0.1:9101")

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """`30s`, `500ms`, `2m`, `1h` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 30s, 500ms, 2m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def parse_url(text: str) -> str:
    """`http://host:port`, without a path."""
    try:
        parts = urllib.parse.urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.path in {"", "/"}
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form http://127.0.0.1:8001")
    return text.rstrip("/")


def listening_socket(text: str) -> socket.socket:
    """A socket that listens on HOST:PORT; port 0 takes a free one."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 127.0.0.1:8001")
    try:
        return socket.create_server((host, int(port)))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot listen on {text}: {error.strerror}") from error


def add_log_format(parser: argparse.ArgumentParser) -> None:
    """Add --log-format, as every process of the stack has it."""
    parser.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default="auto",
        help="auto: readable on a terminal, JSON lines elsewhere",
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Add --model, which `served` reads."""
    parser.add_argument(
        "--model",
        dest="models",
        action="append",
        type=_model,
        metavar="NAME[=DATA]",
        help=f"a model, and on whose data: one of {', '.join(DATASETS)}; may be repeated; "
        f"default: {', '.join(SERVED)}",
    )


def served(options: argparse.Namespace) -> dict[str, Dataset]:
    """The data of each model that the options name."""
    named = options.models or [(name, name) for name in SERVED]
    return {name: read_dataset(data) for name, data in named}


def _model(text: str) -> tuple[str, str]:
    name, _, data = text.partition("=")
    if not name or (data or name) not in DATASETS:
        raise argparse.ArgumentTypeError(
            f"{text!r} names no data; write NAME=DATA with one of {', '.join(DATASETS)}"
        )
    return name, data or name
