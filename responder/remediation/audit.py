"""The log of what was done about alerts: the intent before it, what became of it after.

Append-only, each record synced before anything else happens. So after `kill -9` an intent without
an outcome says that something may or may not have been done, and what has no record was not.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from responder.journal import Journal
from responder.remediation.plan import Planned

__all__ = ["OUTCOMES", "VERIFIED", "Audit", "Outcome", "Record", "Step", "Verified", "record_of"]

Outcome = Literal["succeeded", "failed", "unknown", "dry_run", "cooldown", "limit", "breaker"]
"""What became of an action: the first three were begun, the others were not."""
Verified = Literal["resolved", "unresolved"]
"""Whether the alert resolved in time after an action that succeeded."""
Step = Literal[
    "intent", "succeeded", "failed", "unknown", "dry_run", "cooldown", "limit", "breaker",
    "resolved", "unresolved", "reset",
]  # fmt: skip
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
VERIFIED: Final[tuple[Verified, ...]] = get_args(Verified)

_FILE_SIZE: Final = 64 * 2**20
_FILES: Final = 16
_READ: Final = 200_000
"""Records that are read at the start, years of them under the usual limits."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit log.

    Attributes:
        time: When it was written, UTC.
        step: `intent` comes before an action is begun; every other one is what became of it, but
            for `reset`: somebody said that its failures are mended.
        id: Of the action about this incident, the same in all of its records.
        action: What the action is called in models.yaml.
        what: What it does and to what.
        dry_run: Whether nothing was done.
        detail: What the other side said, or why it was left out.
        seconds: How long it took; None where nothing was begun.
        attempt: Counts the beginnings of one action: 2 where it was repeated after a crash.
        by: Who reset it; empty in all other records.
    """

    time: dt.datetime
    component: str = "responder"
    event: str = "remediation"
    schema_version: int = 1
    step: Step
    id: str
    action: str
    what: str
    dry_run: bool = False
    detail: str = ""
    seconds: float | None = None
    attempt: int = 1
    by: str = ""
    alertname: str
    severity: str
    team: str
    model: str
    version: str
    fingerprint: str
    starts_at: dt.datetime

    def line(self) -> bytes:
        """The line of the log, with its newline."""
        return msgspec.json.encode(self) + b"\n"

    def then(self, step: Step, now: dt.datetime, *, detail: str = "") -> Record:
        """The record of what happened after this one."""
        return msgspec.structs.replace(self, step=step, time=now, detail=detail, seconds=None)

    def reset(self, now: dt.datetime, *, by: str, why: str) -> Record:
        """The record that the failures up to this one do not count any more, of no incident."""
        return msgspec.structs.replace(
            self.then("reset", now, detail=why), id=uuid.uuid4().hex, attempt=1, by=by
        )


def record_of(
    planned: Planned,
    step: Step,
    now: dt.datetime,
    *,
    detail: str = "",
    seconds: float | None = None,
    attempt: int = 1,
) -> Record:
    """A record about a planned action."""
    about = planned.notification
    return Record(
        time=now,
        step=step,
        id=planned.id,
        action=planned.label,
        what=planned.action.what(),
        dry_run=planned.dry_run,
        detail=detail,
        seconds=seconds,
        attempt=attempt,
        alertname=about.alertname,
        severity=about.severity,
        team=about.team,
        model=about.model,
        version=about.version,
        fingerprint=about.fingerprint,
        starts_at=about.starts_at,
    )


_decoder: Final = msgspec.json.Decoder(Record)


class Audit:
    """The file of records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = Journal(path, max_bytes=_FILE_SIZE, keep=_FILES)

    def read(self) -> Iterator[Record]:
        """All records, oldest first. Raises OSError; a line that is no record is left out."""
        self._journal.open()
        for line in self._journal.last(_READ):
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue

    def append(self, record: Record) -> None:
        """Write a record to the disk. Raises OSError where that fails; then it is not there."""
        self._journal.append([record.line()])

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()
