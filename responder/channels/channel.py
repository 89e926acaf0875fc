"""One channel: a bounded queue, and a process that is replaced when it hangs or dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from contextlib import suppress
from typing import Final, Literal, get_args

import msgspec

from contract import logs
from responder.channels.found import Declared
from responder.channels.worker import Answer
from responder.notification import Notification

__all__ = ["RESULTS", "Channel", "Result"]

log = logs.logger()

Result = Literal["delivered", "failed", "timeout", "dropped"]
RESULTS: Final[tuple[Result, ...]] = get_args(Result)

_LOADING: Final = 30.0
"""Seconds that the process of a channel may take to load it."""
_PAUSE: Final = 5.0
"""Seconds after a failed start within which the next one fails without being tried."""


class _FailedError(Exception):
    """A notification that was not delivered, with the result that is counted."""

    def __init__(self, result: Result, reason: str) -> None:
        self.result: Result = result
        super().__init__(reason)


class Channel:
    """Hands notifications to one function, one after the other, in a process of its own.

    So it cannot keep the responder waiting, use up its memory, or end it. Each notification is
    tried once: it is in the log in any case.
    """

    def __init__(self, declared: Declared) -> None:
        self.declared = declared
        self.counted = Counter[Result]()
        self._queue: asyncio.Queue[Notification] = asyncio.Queue(declared.queue)
        self._process: Process | None = None
        self._not_before = 0.0

    @property
    def pending(self) -> int:
        """Notifications that wait."""
        return self._queue.qsize()

    def offer(self, notification: Notification) -> None:
        """Queue a notification; where the queue is full it is dropped and counted."""
        try:
            self._queue.put_nowait(notification)
        except asyncio.QueueFull:
            self._count("dropped", "its queue is full")

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            with suppress(_FailedError):  # told by _started
                await self._started()
            while True:
                notification = await self._queue.get()
                try:
                    await self._deliver(notification)
                except _FailedError as error:
                    self._count(error.result, str(error))
                else:
                    self._count("delivered")
        finally:
            await self._end()

    async def _deliver(self, notification: Notification) -> None:
        process = await self._started()
        assert process.stdin is not None
        try:
            async with asyncio.timeout(self.declared.timeout):
                process.stdin.write(notification.line())
                await process.stdin.drain()
                answer = await self._answer(process)
        except TimeoutError:
            await self._end()
            raise _FailedError("timeout", f"took longer than {self.declared.timeout:g} s") from None
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            await self._end()
            raise _FailedError("failed", f"its process ended: {error}") from None
        if answer.error:
            raise _FailedError("failed", answer.error)

    async def _started(self) -> Process:
        """The channel's process; a new one where there is none."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end()
        if time.monotonic() < self._not_before:
            raise _FailedError("failed", "it could not be loaded a moment ago")
        try:
            return await self._start()
        except (OSError, EOFError, ValueError, TimeoutError, msgspec.DecodeError) as error:
            self._not_before = time.monotonic() + _PAUSE
            await self._end()
            reason = str(error) or "its process did not begin"
            log.error("channel_not_loaded", channel=self.declared.name, reason=reason)
            raise _FailedError("failed", reason) from None

    async def _start(self) -> Process:
        if not self.declared.call:
            raise ValueError("is not installed, and models.yaml does not say what to call")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "responder.channels.worker",
            self.declared.call,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        async with asyncio.timeout(_LOADING):
            answer = await self._answer(self._process)
        if answer.error:
            raise ValueError(answer.error)
        log.info("channel_loaded", channel=self.declared.name, call=self.declared.call)
        return self._process

    async def _answer(self, process: Process) -> Answer:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError("it said nothing")
        return msgspec.json.decode(line, type=Answer)

    async def _end(self) -> None:
        """Kill the process and what it started."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _count(self, result: Result, reason: str = "") -> None:
        self.counted[result] += 1
        if reason:
            name = self.declared.name
            log.warning("channel_failed", channel=name, result=result, reason=reason)
