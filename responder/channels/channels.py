"""All channels of one's own, as a part of the responder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from starlette.routing import BaseRoute

from contract import catalog
from contract.spec import Spec
from exporters import expose
from responder.channels.channel import RESULTS, Channel
from responder.channels.found import declared_channels
from responder.notification import Notification

__all__ = ["Channels"]


class Channels:
    """Hands every notification to every channel; none of them knows of the others."""

    def __init__(self, spec: Spec | None) -> None:
        self._channels = {one.name: Channel(one) for one in declared_channels(spec)}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """None."""
        return []

    def unready(self) -> str:
        """Never: the log does not depend on them."""
        return ""

    def offer(self, notifications: Sequence[Notification]) -> None:
        """Queue them for every channel."""
        for channel in self._channels.values():
            for notification in notifications:
                channel.offer(notification)

    def follow(self, spec: Spec) -> None:
        """Begin what is new, end what is gone; what is the same goes on."""
        wanted = {one.name: one for one in declared_channels(spec)}
        for name, channel in list(self._channels.items()):
            if wanted.get(name) != channel.declared:
                self._tasks.pop(name).cancel()
                del self._channels[name]
        for name, declared in wanted.items():
            if name not in self._channels:
                self._begin(Channel(declared))

    def _begin(self, channel: Channel) -> None:
        name = channel.declared.name
        self._channels[name] = channel
        self._tasks[name] = asyncio.create_task(channel.run())

    @asynccontextmanager
    async def running(self, before: Sequence[Notification]) -> AsyncIterator[None]:  # noqa: ARG002 - told already
        """Deliver while the block runs."""
        for channel in list(self._channels.values()):
            self._begin(channel)
        try:
            yield
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def families(self) -> Iterable[expose.Family]:
        """What was delivered, and what waits."""
        told, pending = catalog.CHANNEL_NOTIFICATIONS, catalog.CHANNEL_PENDING
        yield expose.Family(
            told,
            [
                (expose.series(told, channel=name, result=result), channel.counted[result])
                for name, channel in self._channels.items()
                for result in RESULTS
            ],
        )
        yield expose.Family(
            pending,
            [(expose.series(pending, channel=n), c.pending) for n, c in self._channels.items()],
        )
