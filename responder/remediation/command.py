"""`python -m responder remediation`: what people tell the running responder about its actions."""

from __future__ import annotations

import argparse
import getpass
import sys
from contextlib import suppress
from typing import Final

import httpx

from contract.options import add_spec_arguments
from responder.following import BAD, Reading, read_models

__all__ = ["add_remediation", "run_remediation"]

_TIMEOUT: Final = 10.0

EPILOG: Final = """\
examples:
  python -m responder remediation reset fraud --reason 'renewed the token'
  python -m responder remediation reset fraud rollback --by anna

It asks the running responder, whose address and token models.yaml has; cooldown and limits hold on.
"""


def add_remediation(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and those below it."""
    parser = commands.add_parser(
        "remediation", help="close the breaker of an action once it is mended what made it fail"
    )
    below = parser.add_subparsers(dest="remediation_command", required=True, metavar="COMMAND")
    reset = below.add_parser(
        "reset",
        help="let an action that kept failing be tried again",
        description="Forget how often an action of a model failed, so that it is tried at the "
        "next incident and not only after the pause. Who did so, and when, goes on record.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reset.add_argument("model", metavar="MODEL", help="its name in models.yaml")
    reset.add_argument(
        "action", nargs="?", default="", metavar="ACTION", help="default: all of the model's"
    )
    reset.add_argument("--by", metavar="WHO", help="default: the user that you are logged in as")
    reset.add_argument("--reason", default="", metavar="TEXT", help="what was mended")
    add_spec_arguments(reset)


def run_remediation(options: argparse.Namespace) -> int:
    """Run it; the exit status: 0, 1 where the responder cannot be asked, 2 for bad input."""
    try:
        found = read_models(options)
    except BAD as error:
        print(error, file=sys.stderr)
        return 2
    by = options.by or _user()
    if not by:
        print("--by: nobody is logged in here; say who resets it", file=sys.stderr)
        return 2
    asked = {"model": options.model, "action": options.action, "by": by, "reason": options.reason}
    try:
        answer = _post(found, asked)
    except httpx.TransportError as error:
        address = found.spec.stack.responder
        print(f"{address}: no answer ({error}); is the responder running?", file=sys.stderr)
        return 1
    said = answer.json()
    if answer.is_error:
        print(said["error"], file=sys.stderr)
        return 2 if answer.status_code == httpx.codes.BAD_REQUEST else 1
    for record in said["reset"]:
        print(f"{record['model']}: {record['action']} is tried again at the next incident.")
    if not said["reset"]:
        print(f"{options.model}: nothing has failed since it last helped; all is as it was.")
    return 0


def _post(found: Reading, asked: dict[str, str]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {found.token}"} if found.token else {}
    return httpx.post(
        f"http://{found.spec.stack.responder}/v1/remediation/reset",
        json=asked,
        headers=headers,
        timeout=_TIMEOUT,
        trust_env=False,
    )


def _user() -> str:
    with suppress(KeyError, OSError):  # a user that is only a number
        return getpass.getuser()
    return ""
