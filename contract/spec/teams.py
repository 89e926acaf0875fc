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
    """The channel's name, with its #."""
    webhook_file: ExistingFile
    """A file that holds the incoming webhook's address."""


class Email(Section):
    """Addresses; the server is `smtp:`."""

    to: Annotated[tuple[str, ...], BeforeValidator(as_tuple), AT_LEAST_ONE]
    """The addresses."""


class PagerDuty(Section):
    """A service of PagerDuty, by the key of its Events API v2 integration."""

    routing_key_file: ExistingFile
    """A file that holds the integration's key."""


class Team(Section):
    """Where a team is told. Everything also goes to the responder's log."""

    slack: Slack | None = None
    """A channel of Slack."""
    email: Email | None = None
    """Addresses for e-mail."""
    pagerduty: PagerDuty | None = None
    """A service of PagerDuty."""

    def channels(self) -> frozenset[Channel]:
        """The channels this team can be reached on; `log` always."""
        return frozenset(("log", *self.model_fields_set))  # type: ignore[arg-type]  # the fields are the channels


class Smtp(Section):
    """The server that mail goes through; needed as soon as a team has email."""

    smarthost: HostPort
    """The server, as host:port."""
    sender: str = Field(alias="from")
    """The address that mail comes from."""
    username: str | None = None
    """Who logs in there, if anybody must."""
    password_file: ExistingFile | None = None
    """A file that holds the password."""
    require_tls: bool = True
    """Whether to send only over TLS (STARTTLS)."""


Channels = Annotated[tuple[Channel, ...], BeforeValidator(as_tuple)]


class Routing(Section):
    """Which channels hear of which severity, of those that a team has."""

    info: Channels = ("log",)
    """Who hears of what is good to know."""
    warning: Channels = ("log", "slack")
    """Who hears of what needs a look within days."""
    error: Channels = ("log", "slack", "email")
    """Who hears of what needs a look today."""
    critical: Channels = ("log", "slack", "email", "pagerduty")
    """Who hears of what cannot wait."""

    def channels(self, severity: Severity) -> tuple[Channel, ...]:
        """The channels that hear of a severity."""
        channels: tuple[Channel, ...] = getattr(self, severity)
        return channels
