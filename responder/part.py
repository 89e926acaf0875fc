"""What a part of the responder is: it is offered every notification once it is on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.routing import BaseRoute

from contract.spec import Spec
from exporters import expose
from responder.notification import Notification

__all__ = ["Part"]


class Part(Protocol):
    """A part with its own routes and metrics, which runs as long as the responder does."""

    def routes(self) -> Sequence[BaseRoute]:
        """Its ways in and out over HTTP."""
        ...

    def families(self) -> Iterable[expose.Family]:
        """Its metrics at this moment."""
        ...

    def unready(self) -> str:
        """Why it cannot do its work, or an empty text."""
        ...

    def offer(self, notifications: Sequence[Notification]) -> None:
        """Take notifications up. Never waits, never raises."""
        ...

    def follow(self, spec: Spec) -> None:
        """Take over another models.yaml."""
        ...

    def running(self, before: Sequence[Notification]) -> AbstractAsyncContextManager[None]:
        """Work while the block runs; `before` are notifications of earlier processes."""
        ...
