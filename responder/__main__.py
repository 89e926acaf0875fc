"""The responder's command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contract import logs
from exporters import expose
from responder.journal import Journal
from responder.notification import Notification
from responder.server import Responder

_EXAMPLE = """\
example:
  python -m responder serve --log data/notifications.jsonl
  curl http://127.0.0.1:9104/v1/notifications?status=firing

In alertmanager.yml: webhook_configs: [{url: http://127.0.0.1:9104/v1/alertmanager}]
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = _parser().parse_args(arguments)
    logs.setup("responder", options.log_format)
    journal = Journal(options.log, max_bytes=options.log_size * 2**20, keep=options.log_keep)
    readable = options.log_format == "console" or (
        options.log_format == "auto" and sys.stdout.isatty()
    )
    show = Notification.text if readable else Notification.line
    responder = Responder(journal, runbooks=options.runbooks, show=show)
    return expose.serve(responder.app(), options.listen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m responder",
        description="Takes Alertmanager's notifications and writes each as one JSON line.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="receive notifications and show the last ones",
        description="Receive notifications on /v1/alertmanager, write each as one JSON line to "
        "standard output and to a file, and show the last ones on /v1/notifications.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    expose.add_serve_arguments(serve, listen="127.0.0.1:9104")
    serve.add_argument(
        "--log",
        type=Path,
        default=Path("data/notifications.jsonl"),
        metavar="FILE",
        help="where notifications are written (default: %(default)s)",
    )
    serve.add_argument(
        "--log-size",
        type=_positive,
        default=16,
        metavar="MIB",
        help="size at which the file is rotated (default: %(default)s)",
    )
    serve.add_argument(
        "--log-keep",
        type=_positive,
        default=4,
        metavar="N",
        help="rotated files to keep: FILE.1 is the newest (default: %(default)s)",
    )
    serve.add_argument(
        "--runbooks",
        type=Path,
        default=Path("docs/runbooks"),
        metavar="FOLDER",
        help="where the runbooks lie that alerts link to (default: %(default)s)",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number of 1 or more, got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
