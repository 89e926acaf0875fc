"""Following models.yaml while the responder runs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute

from contract import logs
from contract.options import read_spec_by
from contract.problems import ProblemsError
from contract.spec import Spec
from exporters import expose
from exporters.expose.follow import LOOK, Follower
from exporters.expose.guard import Guard, TokenError, read_token
from responder.alertmanager import Alertmanager
from responder.notification import Notification
from responder.part import Part

__all__ = ["BAD", "Following", "Reading", "read_files", "read_models"]

log = logs.logger()

BAD: Final = (ProblemsError, TokenError)
"""What is raised where models.yaml, or a file that it names, is wrong."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What models.yaml says, and the token of the file that it names."""

    models: Path
    spec: Spec
    token: str


def read_models(options: argparse.Namespace) -> Reading:
    """Read all of it. Raises one of BAD."""
    spec = read_spec_by(options)
    named = spec.responder.token_file
    return Reading(options.models, spec, read_token(spec.path(named) if named else None))


def read_files(found: Reading) -> list[Path]:
    """The files whose change means another reading; secrets of actions are read for each."""
    named = found.spec.responder.token_file
    return [found.models, *([found.spec.path(named)] if named else [])]


class Following:
    """Gives every good models.yaml to the parts of the responder; one of them itself."""

    def __init__(
        self,
        follower: Follower[Reading],
        parts: Sequence[Part],
        *,
        guard: Guard,
        alertmanager: Alertmanager,
    ) -> None:
        self._follower = follower
        self._parts = parts
        self._guard = guard
        self._alertmanager = alertmanager

    def routes(self) -> Sequence[BaseRoute]:
        """None."""
        return []

    def families(self) -> Iterable[expose.Family]:
        """None: what it finds is among what every exporter tells of itself."""
        return []

    def unready(self) -> str:
        """Never: a bad models.yaml leaves the one before in force."""
        return ""

    def offer(self, notifications: Sequence[Notification]) -> None:
        """Nothing."""

    def follow(self, spec: Spec) -> None:
        """Nothing."""

    @asynccontextmanager
    async def running(self, before: Sequence[Notification]) -> AsyncIterator[None]:  # noqa: ARG002 - nothing to take up
        """Look while the block runs."""
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self._alertmanager.close()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            if not await asyncio.to_thread(self._follower.look):
                continue
            now = self._follower.newest
            self._guard.token = now.token
            self._alertmanager.address = now.spec.stack.alertmanager
            for part in self._parts:
                part.follow(now.spec)
            log.info("models_read", models=len(now.spec.models))
