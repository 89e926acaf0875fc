"""What the responder does besides writing notifications down."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from contract.quantity import Duration, problem
from contract.spec.section import SecretFile, Section, Word

__all__ = ["OwnChannel", "Responder"]


def _callable(value: object) -> object:
    if value is not None and (
        not isinstance(value, str) or not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", value)
    ):
        raise problem(f"is no function of a module: {value!r}", "write package.module:function")
    return value


class OwnChannel(Section):
    """A function of your own that every notification is handed to (docs/responder.md)."""

    call: Annotated[
        str | None,
        BeforeValidator(_callable, json_schema_input_type=str | None),
        Field(examples=["acme.paging:notify"]),
    ] = None
    """The function, as `module:function`; left out, the installed one of the channel's name."""
    enabled: bool = True
    """Whether it is used: false leaves an installed channel out."""
    timeout: Duration = Duration.parse("10s")
    """How long one notification may take; then the channel's process is replaced."""
    queue: int = Field(default=1_000, ge=1)
    """Notifications that wait at most; what comes on top is dropped and counted."""


class Responder(Section):
    """What the responder does besides writing notifications down."""

    token_file: SecretFile | None = None
    """A file with the token that who writes must send (`Authorization: Bearer …`): Alertmanager,
    and who sends alerts of their own."""
    channels: dict[Word, OwnChannel] = {}
    """Channels of your own, by name. Installed ones (entry points `ml_observability.channels`) are
    used without being named here."""
