"""Running a program: no shell, its own environment, a time limit, bounded output."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from contract.spec import CommandAction
from responder.notification import Notification
from responder.remediation.actions.done import Doing, Done

__all__ = ["alert_variables", "run_command"]

_KEPT: Final = 4_000
"""Bytes of the end of its output that are kept."""
_PIECE: Final = 64 * 1024


async def run_command(action: CommandAction, doing: Doing) -> Done:
    """Run it and wait for it. At the time limit it is killed, with all that it started."""
    variables = alert_variables(doing.notification)
    environment = {**variables, "ALERT_ACTION_ID": doing.id, **action.environment}
    folder = doing.path(action.directory or ".")
    try:
        process = await asyncio.create_subprocess_exec(
            *action.command,
            env={name: value.replace("\0", "") for name, value in environment.items()},
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        what = f"{action.command[0]} in {folder}"
        return Done(ok=False, detail=f"cannot be started: {error.strerror}: {what}")
    output = bytearray()
    assert process.stdout is not None
    reading = asyncio.create_task(_read_end(process.stdout, output))
    try:
        async with asyncio.timeout(action.timeout.seconds):
            status = await process.wait()
        said = f"exited with {status}" if status >= 0 else f"was killed by signal {-status}"
    except TimeoutError:
        status, said = -1, f"took longer than {action.timeout} and was killed"
    finally:
        # What it left behind holds the pipe open and would go on unseen.
        _kill_group(process.pid)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.gather(process.wait(), reading)
        reading.cancel()
    text = output.decode(errors="replace").strip()
    return Done(ok=status == 0, detail=f"{said}: {text}" if text else said)


def alert_variables(notification: Notification) -> Mapping[str, str]:
    """The alert's fields as environment variables; what has no value is empty."""
    fields = {
        "ALERT_NAME": notification.alertname,
        "ALERT_SEVERITY": notification.severity,
        "ALERT_TEAM": notification.team,
        "ALERT_MODEL": notification.model,
        "ALERT_VERSION": notification.version,
        "ALERT_VALUE": notification.value,
        "ALERT_THRESHOLD": notification.threshold,
        "ALERT_SUMMARY": notification.summary,
        "ALERT_STARTS_AT": notification.starts_at.isoformat(),
        "ALERT_FINGERPRINT": notification.fingerprint,
    }
    return {name: "" if value is None else str(value) for name, value in fields.items()}


async def _read_end(stream: asyncio.StreamReader, output: bytearray) -> None:
    """Read all, so that nothing blocks on a full pipe, and keep the end."""
    while piece := await stream.read(_PIECE):
        output += piece
        del output[:-_KEPT]


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
