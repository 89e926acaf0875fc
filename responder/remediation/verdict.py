"""Whether a planned action may be begun now; pure, from what is planned and what was done."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from contract.spec import Spec
from responder.remediation.audit import Outcome
from responder.remediation.history import History
from responder.remediation.plan import Planned

__all__ = ["Verdict", "breaker_until", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`go`, `wait` until later, or `leave` it for good, with the outcome that is recorded."""

    what: Literal["go", "wait", "leave"]
    why: str = ""
    outcome: Outcome = "succeeded"


def judge(planned: Planned, history: History, spec: Spec, now: dt.datetime) -> Verdict:
    """Whether an action may be begun now, its alert firing and nothing else done to its model.

    What is beyond a limit is left for good, not put off: an action that comes an hour late, when
    people have long been at it, does harm, and a storm of alerts must not become a storm of
    actions later.
    """
    if now < planned.due:
        return Verdict("wait", f"due at {planned.due:%H:%M:%S} UTC")
    if (until := _maintained_until(planned.model, spec, now)) is not None:
        return Verdict("wait", f"under maintenance until {until:%Y-%m-%d %H:%M} UTC")
    rules, dry = spec.remediation, planned.dry_run
    until = None if dry else breaker_until(history, planned.model, planned.label, spec)
    if until is not None and now < until:
        return _leave("breaker", f"it keeps failing; not tried until {until:%H:%M:%S} UTC")
    until = history.cooling_until(planned.model, planned.label, planned.cooldown, dry_run=dry)
    if until is not None and now < until:
        return _leave("cooldown", f"it was done before; not again until {until:%H:%M:%S} UTC")
    if history.begun(now, dry_run=dry, model=planned.model) >= rules.max_per_hour_per_model:
        return _leave("limit", f"{rules.max_per_hour_per_model} of the model within an hour")
    if history.begun(now, dry_run=dry) >= rules.max_per_hour:
        return _leave("limit", f"{rules.max_per_hour} of all models within an hour")
    return Verdict("go")


def _maintained_until(model: str, spec: Spec, now: dt.datetime) -> dt.datetime | None:
    """Until when people are at work on a model; None where nobody said so."""
    ends = [
        one.ends
        for one in spec.maintenance
        if one.begins <= now < one.ends and (not one.models or model in one.models)
    ]
    return max(ends, default=None)


def breaker_until(history: History, model: str, action: str, spec: Spec) -> dt.datetime | None:
    """Until when the breaker of an action of a model is open; None where it is closed."""
    breaker = spec.remediation.breaker
    streak = history.streak(model, action)
    return streak.open_until(breaker, spec.clock(breaker.pause)) if streak else None


def _leave(outcome: Outcome, why: str) -> Verdict:
    return Verdict("leave", why, outcome)
