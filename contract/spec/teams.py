"""Who is told: teams, their channels, and which severity goes where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from contract.quantity import HostPort
from contract.spec.alerting import Severity
from contract.spec.section import AT_LEAST_ONE, ExistingFile, Section, as_tuple

__all__ = [
    "Channel",
    "Channels",
    "Email",
    "PagerDuty",
    "Routing",
    "Slack",
    "Smtp",
    "Team",
]

Channel = Literal["log", "slack", "email", "pagerduty"]


class Slack(Section):
    """A channel of Slack, told through an incoming webhook."""

    channel: str
    webhook_file: ExistingFile


class Email(Section):
    """Addresses; the server is `smtp:`."""

    to: Annotated[tuple[str, ...], BeforeValidator(as_tuple), AT_LEAST_ONE]


class PagerDuty(Section):
    """A service of PagerDuty, by the key of its Events API v2 integration."""

    routing_key_file: ExistingFile


class Team(Section):
    """Where a team is told. Everything also goes to the responder's log."""

    slack: Slack | None = None
    email: Email | None = None
    pagerduty: PagerDuty | None = None

    def channels(self) -> frozenset[Channel]:
        """The channels this team can be reached on; `log` always."""
        return frozenset(("log", *self.model_fields_set))  # type: ignore[arg-type]  # the fields are the channels


class Smtp(Section):
    """The server that mail goes through; needed as soon as a team has email."""

    smarthost: HostPort
    sender: str = Field(alias="from")
    username: str | None = None
    password_file: ExistingFile | None = None
    require_tls: bool = True


Channels = Annotated[tuple[Channel, ...], BeforeValidator(as_tuple)]


class Routing(Section):
    """Which channels hear of which severity, of those that a team has."""

    info: Channels = ("log",)
    warning: Channels = ("log", "slack")
    error: Channels = ("log", "slack", "email")
    critical: Channels = ("log", "slack", "email", "pagerduty")

    def channels(self, severity: Severity) -> tuple[Channel, ...]:
        """The channels that hear of a severity."""
        channels: tuple[Channel, ...] = getattr(self, severity)
        return channels
