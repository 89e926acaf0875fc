"""What receivers and intervals are called, and how labels are matched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from contract.spec import CHANNELS, Channel, Severity, Spec, Team
from generator.text import quoted

__all__ = [
    "DEADMAN",
    "LOG",
    "TEMPLATES",
    "channels_of",
    "equals",
    "maintenance_name",
    "one_of",
    "quiet_name",
    "receiver_name",
]

LOG: Final = "log"
"""The receiver that everything without a better one goes to: the responder."""
DEADMAN: Final = "deadman"
"""The receiver of Watchdog alone."""
TEMPLATES: Final = "templates/notifications.tmpl"
"""Where Alertmanager finds the messages' templates, from its own file."""


def receiver_name(team: str, channels: Sequence[Channel]) -> str:
    """What the receiver of a team's channels is called; the log alone is the same for all."""
    return LOG if tuple(channels) == (LOG,) else f"{team}/{'+'.join(channels)}"


def quiet_name(team: str, index: int) -> str:
    """What the interval of a team's quiet hours is called."""
    return f"quiet/{team}/{index + 1}"


def maintenance_name(index: int) -> str:
    """What the interval of a maintenance is called."""
    return f"maintenance/{index + 1}"


def channels_of(team: Team, severity: Severity, spec: Spec) -> tuple[Channel, ...]:
    """The channels of a severity that the team has; the log where that leaves none."""
    wanted = set(spec.routing.channels(severity)) & team.channels()
    return tuple(channel for channel in CHANNELS if channel in wanted) or ("log",)


def equals(label: str, value: str) -> str:
    """A matcher of one value, as every version of Alertmanager reads it."""
    return quoted(f'{label}="{_escaped(value)}"')


def one_of(label: str, values: Sequence[str]) -> str:
    """A matcher of several values."""
    return quoted(f'{label}=~"{_escaped("|".join(re.escape(value) for value in values))}"')


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
