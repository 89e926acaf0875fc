"""The process of one channel: reads notifications, calls the function, says how it went.

On its standard input arrives one notification a line; on what was its standard output leaves one
answer a line. What the function prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from responder.notification import Notification

__all__ = ["Answer", "main"]


class Answer(msgspec.Struct):
    """How a call went; `error` is empty where it went well."""

    error: str = ""


def main(arguments: list[str]) -> int:
    """Load the function that is named, and call it until nothing comes any more."""
    incoming, outgoing = _take_streams()

    def say(error: str = "") -> None:
        outgoing.write(msgspec.json.encode(Answer(error)) + b"\n")
        outgoing.flush()

    try:
        function = _load(arguments[0])
    except BaseException as error:  # noqa: BLE001 - a module may do anything while it is loaded
        say(f"cannot be loaded: {_told(error)}")
        return 1
    say()
    decoder = msgspec.json.Decoder(Notification)
    for line in incoming:
        try:
            _call(function, decoder.decode(line))
        except Exception as error:  # noqa: BLE001 - so may a function
            say(_told(error))
        else:
            say()
    return 0


def _take_streams() -> tuple[Any, Any]:
    """Both streams for us alone, so that a function that reads or prints does not disturb."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing


def _load(name: str) -> Callable[[Notification], object]:
    module, _, attributes = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    if not callable(found):
        raise TypeError(f"{name} is no function")
    function: Callable[[Notification], object] = found
    return function


def _call(function: Callable[[Notification], object], notification: Notification) -> None:
    result = function(notification)
    if inspect.isawaitable(result):
        asyncio.run(_wait(result))


async def _wait(result: Any) -> None:
    await result


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
