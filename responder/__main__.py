"""The responder's command line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from starlette.responses import JSONResponse, Response

from contract import logs
from contract.options import add_spec_arguments
from exporters import expose
from exporters.expose.follow import Follower
from exporters.expose.guard import Guard
from responder.alertmanager import Alertmanager
from responder.channels import Channels
from responder.following import BAD, Following, Reading, read_files, read_models
from responder.journal import Journal
from responder.notification import Notification
from responder.own_alerts import OwnAlerts
from responder.part import Part
from responder.remediation.audit import Audit
from responder.remediation.command import add_remediation, run_remediation
from responder.remediation.engine import Engine
from responder.remediation.web import Remediation
from responder.server import Responder

__all__ = ["main"]

_EXAMPLE = """\
example:
  python -m responder serve --models models.yaml
  curl http://127.0.0.1:9104/v1/notifications?status=firing
  curl http://127.0.0.1:9104/v1/remediation
  curl http://127.0.0.1:9104/v1/alerts -d \\
      '{"severity": "warning", "message": "the nightly backup failed", "model": "fraud"}'

In alertmanager.yml: webhook_configs: [{url: http://127.0.0.1:9104/v1/alertmanager}]
"""

_REASONS = ("stdout", "spec", "alertmanager", "audit", "remediation")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status: 0, 2 for bad input, 1 where nobody can be asked."""
    options = _parser().parse_args(arguments)
    return run_remediation(options) if options.command == "remediation" else _serve(options)


def _serve(options: argparse.Namespace) -> int:
    logs.setup("responder", options.log_format)
    own = expose.Own("responder", reasons=_REASONS)
    follower = None
    try:
        if options.models is not None:
            follower = Follower(lambda: read_models(options), read_files, own=own, errors=BAD)
            signal.signal(signal.SIGHUP, lambda *_: follower.request())
    except BAD as error:
        sys.stderr.write(f"{error}\n")
        return 2
    readable = options.log_format == "console" or (
        options.log_format == "auto" and sys.stdout.isatty()
    )
    guard = Guard(follower.newest.token if follower else "")
    responder = Responder(
        Journal(options.log, max_bytes=options.log_size * 2**20, keep=options.log_keep),
        runbooks=options.runbooks,
        show=Notification.text if readable else Notification.line,
        own=own,
        parts=_parts(follower, guard, own, options.audit or options.log.with_name(_AUDIT)),
    )
    return expose.serve(guard.wrap(responder.app(), _refuse), options.listen)


_AUDIT = "remediation.jsonl"


def _parts(
    follower: Follower[Reading] | None, guard: Guard, own: expose.Own, audit: Path
) -> list[Part]:
    """The parts that the options ask for; without models.yaml there is nothing to act by."""
    if follower is None:
        return [Channels(None), OwnAlerts(None, None)]
    spec = follower.newest.spec
    alertmanager = Alertmanager(spec.stack.alertmanager)
    parts: list[Part] = [
        Channels(spec),
        OwnAlerts(spec, alertmanager),
        Remediation(Engine(spec, Audit(audit), alertmanager, own)),
    ]
    return [Following(follower, parts, guard=guard, alertmanager=alertmanager), *parts]


def _refuse(_: str) -> Response:
    message = "needs the token of responder.token_file: Authorization: Bearer TOKEN"
    return JSONResponse({"error": message}, 401)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m responder",
        description="Takes Alertmanager's notifications, writes each as one JSON line, and does "
        "what models.yaml says about them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands)
    add_remediation(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="receive notifications and show the last ones",
        description="Receive notifications on /v1/alertmanager, write each as one JSON line to "
        "standard output and to a file, and show the last ones on /v1/notifications. With "
        "models.yaml, also send alerts of your own (POST /v1/alerts) and do what it says about "
        "alerts (/v1/remediation).",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec_arguments(serve, optional=True)
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
        "--audit",
        type=Path,
        metavar="FILE",
        help=f"where actions about alerts are written (default: {_AUDIT} beside the log)",
    )
    serve.add_argument(
        "--runbooks",
        type=Path,
        default=Path("docs/runbooks"),
        metavar="FOLDER",
        help="where the runbooks lie that alerts link to (default: %(default)s)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number of 1 or more, got {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
