"""From notifications to actions: what fires, what is planned about it, and doing that once."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx

from contract import logs
from contract.spec import Spec
from exporters import expose
from responder.alertmanager import Alertmanager, AlertmanagerError
from responder.notification import Notification
from responder.remediation.actions import Doing, is_repeatable, perform
from responder.remediation.audit import Audit, Record, Step, record_of
from responder.remediation.history import History
from responder.remediation.ledger import Ledger
from responder.remediation.plan import Incident, Plan, Planned, incident_of
from responder.remediation.verdict import judge

__all__ = ["Engine", "UnwritableError", "Waiting"]

log = logs.logger()

_LOOK: Final = 1.0
"""Seconds between two looks at what is due; notifications are looked at at once."""
_ASK_AGAIN: Final = 5.0
"""Seconds until Alertmanager is asked again about an alert that is silenced, or when it is down."""
_RESOLVED: Final = 10_000
"""Incidents that are remembered as resolved."""
_STOP: Final = 5.0
"""Seconds that actions under way are given when the responder is stopped."""


class UnwritableError(Exception):
    """What cannot be written down is not done; the message says why it cannot."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An action that is planned and not begun, and why."""

    planned: Planned
    why: str


class Engine:
    """Does what models.yaml says about alerts. Everything here runs on the event loop.

    An action is begun once per incident: first its intent is on the disk, then it is done, then
    its outcome is on the disk. Of one model, one action at a time.
    """

    def __init__(
        self, spec: Spec, audit: Audit, alertmanager: Alertmanager, own: expose.Own
    ) -> None:
        self.plan = Plan(spec)
        self.ledger = Ledger(audit, own)
        self._alertmanager = alertmanager
        self._own = own
        self._firing: dict[Incident, Notification] = {}
        self._pending: dict[str, Planned] = {}
        self._resolved: dict[Incident, None] = {}
        self._under_way: dict[str, Planned] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._why: dict[str, tuple[str, float]] = {}
        self._wake = asyncio.Event()

    @property
    def history(self) -> History:
        """What was done, by this process and earlier ones."""
        return self.ledger.history

    @property
    def unwritable(self) -> str:
        """Why the audit log cannot be written; nothing is begun then."""
        return self.ledger.unwritable

    # What comes in

    def follow(self, spec: Spec) -> None:
        """Take over another models.yaml: what is under way goes on as it began."""
        self.plan = Plan(spec)
        self._plan_all()
        self._wake.set()

    def offer(self, notifications: Iterable[Notification]) -> None:
        """Take up what Alertmanager told; it is on the disk already."""
        for notification in notifications:
            incident = incident_of(notification)
            if notification.status == "firing":
                self._firing[incident] = notification
                self._plan_for(notification)
            else:
                self._has_resolved(incident)
        self._wake.set()

    def _plan_all(self) -> None:
        """Plan anew, after models.yaml or what is known of the past has changed."""
        self._pending.clear()
        for notification in self._firing.values():
            self._plan_for(notification)

    def _plan_for(self, notification: Notification) -> None:
        for planned in self.plan.of(notification):
            if self._is_open(planned):
                self._pending[planned.id] = planned

    def _has_resolved(self, incident: Incident) -> None:
        notification = self._firing.pop(incident, None)
        for planned in self.plan.of(notification) if notification else ():
            self._pending.pop(planned.id, None)
            self._why.pop(planned.id, None)
        self._resolved[incident] = None
        if len(self._resolved) > _RESOLVED:
            del self._resolved[next(iter(self._resolved))]

    @asynccontextmanager
    async def running(self, before: Iterable[Notification]) -> AsyncIterator[None]:
        """Act while the block runs; `before` are the notifications of earlier processes."""
        self.offer(before)
        async with httpx.AsyncClient(follow_redirects=False) as client:
            looking = asyncio.create_task(self._look(client))
            try:
                yield
            finally:
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await looking
                await self._stop()
        self.ledger.close()

    async def _stop(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _recover(self) -> None:
        """Read what was done, and say of what was begun that nobody knows how it ended."""
        await self.ledger.read()
        if not self.ledger.known:
            return
        for intent in self.history.unfinished():
            log.warning("remediation_unknown", action=intent.action, model=intent.model)
            detail = "the responder ended before it knew; look at the other side"
            await self._write(intent.then("unknown", dt.datetime.now(dt.UTC), detail=detail))
        self._plan_all()

    # What is due

    def waiting(self) -> list[Waiting]:
        """What is planned about what fires and not begun, what is due first first."""
        found = sorted(self._pending.values(), key=lambda planned: planned.due)
        return [Waiting(planned, self._reason(planned)) for planned in found]

    def under_way(self) -> list[Planned]:
        """What is being done."""
        return list(self._under_way.values())

    def _reason(self, planned: Planned) -> str:
        if planned.model in self._under_way:
            return f"after {self._under_way[planned.model].label}"
        verdict = judge(planned, self.history, self.plan.spec, dt.datetime.now(dt.UTC))
        return verdict.why or self._why.get(planned.id, ("due now", 0.0))[0]

    def _is_open(self, planned: Planned) -> bool:
        """Whether it was not begun for its incident, or may be begun again after a crash."""
        last = self.history.last(planned.id)
        if last is None:
            return True
        return last.step == "unknown" and last.attempt == 1 and is_repeatable(planned.action)

    async def _look(self, client: httpx.AsyncClient) -> None:
        while True:
            try:
                if not self.ledger.known:
                    # Without knowing what was done, nothing may be done.
                    await self._recover()
                await self.ledger.write_rest()
                if not self.unwritable:
                    await self._begin_due(client)
                    await self._verify_due()
            except Exception:
                self._own.error("remediation")
                log.exception("remediation_look_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._wake.wait()
            self._wake.clear()

    async def _begin_due(self, client: httpx.AsyncClient) -> None:
        now = dt.datetime.now(dt.UTC)
        due = [planned for planned in self._pending.values() if planned.due <= now]
        for planned in sorted(due, key=lambda planned: planned.due):
            if planned.model not in self._under_way and await self._fires(planned):
                await self._begin(planned, client)

    async def _fires(self, planned: Planned) -> bool:
        """Whether Alertmanager says that the alert fires, and nobody silenced it."""
        asked = self._why.get(planned.id)
        if asked is not None and time.monotonic() < asked[1] + _ASK_AGAIN:
            return False
        try:
            state = await self._alertmanager.state(planned.notification)
        except AlertmanagerError as error:
            self._own.error("alertmanager")
            log.warning("alertmanager_unknown", reason=str(error), action=planned.label)
            self._why[planned.id] = (str(error), time.monotonic())
            return False
        if state == "firing":
            self._why.pop(planned.id, None)
            # It may have resolved while it was asked.
            return incident_of(planned.notification) in self._firing
        if state == "gone":
            self._has_resolved(incident_of(planned.notification))
            return False
        self._why[planned.id] = ("silenced or inhibited in Alertmanager", time.monotonic())
        return False

    async def _begin(self, planned: Planned, client: httpx.AsyncClient) -> None:
        now = dt.datetime.now(dt.UTC)
        last = self.history.last(planned.id)
        # What is repeated was within all limits when it was begun.
        verdict = None if last else judge(planned, self.history, self.plan.spec, now)
        if verdict is not None and verdict.what == "wait":
            return
        if verdict is not None and verdict.what == "leave":
            await self._write(record_of(planned, verdict.outcome, now, detail=verdict.why))
            return
        if planned.dry_run:
            detail = f"would do: {planned.action.what()}"
            await self._write(record_of(planned, "dry_run", now, detail=detail))
            return
        intent = record_of(planned, "intent", now, attempt=last.attempt + 1 if last else 1)
        if not await self._write(intent, again=False):
            return
        self._under_way[planned.model] = planned
        doing = Doing(planned.id, planned.notification, self.plan.spec, client)
        task = asyncio.create_task(self._do(planned, doing, intent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, planned: Planned, doing: Doing, intent: Record) -> None:
        started = time.monotonic()
        step: Step = "unknown"
        detail = "the responder was stopped before it knew"
        try:
            done = await perform(planned.action, doing)
            step, detail = ("succeeded" if done.ok else "failed"), done.detail
        finally:
            record = record_of(
                planned,
                step,
                dt.datetime.now(dt.UTC),
                detail=detail,
                seconds=round(time.monotonic() - started, 3),
                attempt=intent.attempt,
            )
            await asyncio.shield(self._write(record))
            self._under_way.pop(planned.model, None)
            self._wake.set()

    # What became of it

    async def _verify_due(self) -> None:
        """Say of what succeeded whether its alert resolved in time."""
        now = dt.datetime.now(dt.UTC)
        for record in self.history.unverified():
            incident = (record.fingerprint, record.starts_at)
            if incident not in self._resolved:
                key = (record.model, record.version, record.alertname)
                if now < record.time + self.plan.verify_within(key, record.action):
                    continue
                try:
                    if await self._alertmanager.state(record) == "gone":
                        self._has_resolved(incident)
                except AlertmanagerError:
                    self._own.error("alertmanager")
                    continue
            step: Step = "resolved" if incident in self._resolved else "unresolved"
            seconds = (now - record.time).total_seconds()
            detail = f"{seconds:.0f} seconds after it was done"
            await self._write(record.then(step, now, detail=detail))

    # What people say

    async def reset(self, model: str, action: str, *, by: str, why: str) -> Record | None:
        """Forget how an action of a model failed, so that it is tried again; on record first.

        None where it did not fail since it last helped. Raises UnwritableError.
        """
        if not self.ledger.known:
            raise UnwritableError(self.unwritable or "it is not known yet what was done before")
        streak = self.history.streak(model, action)
        if streak is None:
            return None
        record = streak.last.reset(dt.datetime.now(dt.UTC), by=by, why=why)
        if not await self.ledger.write(record, again=False):
            raise UnwritableError(self.unwritable)
        return record

    async def _write(self, record: Record, *, again: bool = True) -> bool:
        """Write a record down; its action is planned no more."""
        written = await self.ledger.write(record, again=again)
        if written:
            self._pending.pop(record.id, None)
        return written
