"""What the doctor found: how bad it is, about what, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["LEVELS", "Finding", "Level", "broken", "fine", "note", "warning"]

Level = Literal["ok", "note", "warning", "broken"]

LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "warning", "broken")
"""From good to bad; `broken` alone makes the exit status 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `subject` is a model, or a part of the stack."""

    level: Level
    check: str
    """Which check it is of: series, edges, runtimes, ..."""
    subject: str
    what: str
    advice: str = ""


def fine(check: str, subject: str, what: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", check, subject, what)


def note(check: str, subject: str, what: str, advice: str = "") -> Finding:
    """Nothing is wrong, but it is good to know."""
    return Finding("note", check, subject, what, advice)


def warning(check: str, subject: str, what: str, advice: str) -> Finding:
    """It works, and not as well as it might."""
    return Finding("warning", check, subject, what, advice)


def broken(check: str, subject: str, what: str, advice: str) -> Finding:
    """Something that models.yaml promises does not work."""
    return Finding("broken", check, subject, what, advice)
