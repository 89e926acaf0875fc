"""What was done, in memory and on the disk: what is taken up here is written down, or will be."""

from __future__ import annotations

import errno
from collections import Counter

from starlette.concurrency import run_in_threadpool

from contract import logs
from exporters import expose
from responder.remediation.audit import Audit, Record
from responder.remediation.history import History

__all__ = ["Ledger"]

log = logs.logger()

_EXPECTED = frozenset({"succeeded", "resolved", "dry_run", "reset"})


class Ledger:
    """The history and the audit log that it comes from. Everything here runs on the event loop."""

    def __init__(self, audit: Audit, own: expose.Own) -> None:
        self.history = History()
        self.counted = Counter[tuple[str, str, str, str]]()
        """Outcomes by model, version, action and step."""
        self.unwritable = ""
        """Why the audit log cannot be read or written; nothing is begun then."""
        self.known = False
        """Whether it was read what earlier processes did."""
        self._audit = audit
        self._own = own
        self._unwritten: list[Record] = []

    async def read(self) -> None:
        """Take up what earlier processes did; it is `known` then, unless it cannot be read."""
        try:
            self.history = History(await run_in_threadpool(lambda: list(self._audit.read())))
        except OSError as error:
            self._cannot_write(error)
            return
        self.known = True
        self.unwritable = ""

    async def write(self, record: Record, *, again: bool = True) -> bool:
        """Write a record down and take it up; where that fails, `again` later.

        What was not written is taken up nonetheless where it is to be written again: it happened.
        """
        try:
            if self._unwritten:
                raise OSError(errno.EAGAIN, "what came before is not written yet")
            await run_in_threadpool(self._audit.append, record)
        except OSError as error:
            self._own.error("audit")
            self._cannot_write(error)
            if not again:
                return False
            self._unwritten.append(record)
        self.history.add(record)
        if record.step != "intent":
            self._tell(record)
        return True

    async def write_rest(self) -> None:
        """Write what could not be written, in its order, and so find out whether it can now."""
        if not self.known:
            return
        try:
            while self._unwritten:
                await run_in_threadpool(self._audit.append, self._unwritten[0])
                del self._unwritten[0]
        except OSError as error:
            self._cannot_write(error)
            return
        self.unwritable = ""

    def close(self) -> None:
        """Let go of the file."""
        self._audit.close()

    def _tell(self, record: Record) -> None:
        self.counted[record.model, record.version, record.action, record.step] += 1
        told = log.info if record.step in _EXPECTED else log.warning
        told(
            f"remediation_{record.step}",
            model=record.model,
            version=record.version,
            alertname=record.alertname,
            action=record.action,
            what=record.what,
            detail=record.detail,
            **({"by": record.by} if record.by else {}),
        )

    def _cannot_write(self, error: OSError) -> None:
        self.unwritable = f"cannot write {self._audit.path}: {error.strerror}"
        log.error("audit_unwritable", path=str(self._audit.path), reason=error.strerror)
