"""Who is told: teams, their channels, and which severity goes where."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator, Field

from contract.quantity import Duration, HostPort
from contract.spec.alerting import Severity
from contract.spec.hours import QuietHours
from contract.spec.section import (
    AT_LEAST_ONE,
    BareSecretFile,
    SecretFile,
    Section,
    WebUrl,
    as_list,
    as_tuple,
)

__all__ = [
    "CHANNELS",
    "Channel",
    "Channels",
    "Deadman",
    "Email",
    "Opsgenie",
    "PagerDuty",
    "Routing",
    "Slack",
    "Smtp",
    "Team",
    "Webhook",
]

Channel = Literal["log", "slack", "email", "pagerduty", "opsgenie", "webhook"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)


class Slack(Section):
    """A channel of Slack, told through an incoming webhook."""

    channel: str = Field(examples=["#ml-alerts"])
    """The channel's name, with its #."""
    webhook_file: SecretFile
    """A file that holds the incoming webhook's address."""


class Email(Section):
    """Addresses; the server is `smtp:`."""

    to: Annotated[
        tuple[str, ...],
        BeforeValidator(as_tuple),
        AT_LEAST_ONE,
        Field(examples=[["ml-platform@example.com"]]),
    ]
    """The addresses."""


class PagerDuty(Section):
    """A service of PagerDuty, by the key of its Events API v2 integration."""

    routing_key_file: SecretFile
    """A file that holds the integration's key."""
    url: WebUrl | None = Field(
        default=None, examples=["https://events.eu.pagerduty.com/v2/enqueue"]
    )
    """Where events go, if not to the service's American address."""


class Opsgenie(Section):
    """Alerts of Opsgenie, by the key of an API integration."""

    api_key_file: BareSecretFile
    """A file that holds the integration's key, without a line break at its end."""
    api_url: WebUrl | None = Field(default=None, examples=["https://api.eu.opsgenie.com/"])
    """Where alerts go, if not to the service's American address."""


class Webhook(Section):
    """Whatever takes Alertmanager's own JSON by POST."""

    url: WebUrl
    """The address. It is no secret: what is, belongs into `token_file`."""
    token_file: SecretFile | None = None
    """A file with the token that is sent along (`Authorization: Bearer …`)."""


class Team(Section):
    """Where a team is told. Everything also goes to the responder's log."""

    slack: Slack | None = None
    """A channel of Slack."""
    email: Email | None = None
    """Addresses for e-mail."""
    pagerduty: PagerDuty | None = None
    """A service of PagerDuty."""
    opsgenie: Opsgenie | None = None
    """Alerts of Opsgenie."""
    webhook: Webhook | None = None
    """An address that takes Alertmanager's JSON."""
    quiet_hours: Annotated[
        tuple[QuietHours, ...],
        BeforeValidator(as_list, json_schema_input_type=QuietHours | list[QuietHours]),
    ] = ()
    """When the team is not told of lesser severities: hours, or a list of them."""

    def channels(self) -> frozenset[Channel]:
        """The channels this team can be reached on; `log` always."""
        return frozenset(
            channel for channel in CHANNELS if channel == "log" or getattr(self, channel)
        )


class Smtp(Section):
    """The server that mail goes through; needed as soon as a team has email."""

    smarthost: HostPort
    """The server, as host:port."""
    sender: str = Field(alias="from", examples=["alerts@example.com"])
    """The address that mail comes from."""
    username: str | None = Field(default=None, examples=["alerts"])
    """Who logs in there, if anybody must."""
    password_file: SecretFile | None = None
    """A file that holds the password."""
    require_tls: bool = True
    """Whether to send only over TLS (STARTTLS)."""


class Deadman(Section):
    """A service that raises the alarm when it is *not* told any more: healthchecks.io and such.

    As long as alerting works, Watchdog fires, and Alertmanager posts to it.
    """

    url: WebUrl
    """The address to post to. Alertmanager 0.25 reads it from no file."""
    token_file: SecretFile | None = None
    """A file with the token that is sent along (`Authorization: Bearer …`)."""
    interval: Duration = Duration.parse("5m")
    """How often; the service should wait for two or three of them before it raises the alarm."""


Channels = Annotated[tuple[Channel, ...], BeforeValidator(as_tuple)]


class Routing(Section):
    """Which channels hear of which severity, of those that a team has."""

    info: Channels = ("log",)
    """Who hears of what is good to know."""
    warning: Channels = ("log", "slack", "webhook")
    """Who hears of what needs a look within days."""
    error: Channels = ("log", "slack", "email", "webhook")
    """Who hears of what needs a look today."""
    critical: Channels = CHANNELS
    """Who hears of what cannot wait."""

    def channels(self, severity: Severity) -> tuple[Channel, ...]:
        """The channels that hear of a severity."""
        channels: tuple[Channel, ...] = getattr(self, severity)
        return channels
