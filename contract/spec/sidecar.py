"""What the sidecar process itself does: its log, limits, token and certificate."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from contract.quantity import ByteSize, Duration, Ratio, problem
from contract.spec.section import ExistingFile, Section

__all__ = [
    "Limits",
    "PredictionLog",
    "Sidecar",
    "Tls",
]


def _database_url(value: object) -> str:
    if not isinstance(value, str) or not re.match(r"postgres(ql)?://[^/]", value):
        raise problem(
            f"is not a postgresql:// address: {value!r}", "write postgresql://user@host/database"
        )
    if re.match(r"\w+://[^/@:]*:[^/@]*@", value):
        raise problem("holds a password", "put it into a file of its own: password_file")
    return value


class PredictionLog(Section):
    """Where a sidecar keeps predictions until their labels come, and for retraining."""

    store: Literal["sqlite", "postgres", "memory"] = "sqlite"
    """sqlite is a file in the sidecar's data directory, postgres a database for several replicas of
    one model, memory keeps nothing over a restart."""
    url: Annotated[
        str | None,
        BeforeValidator(_database_url, json_schema_input_type=str | None),
        Field(examples=["postgresql://sidecar@db.example.com/predictions"]),
    ] = None
    """The database of postgres, without a password."""
    password_file: ExistingFile | None = None
    """The file that holds the database's password."""
    retention: Duration = Duration.parse("7d")
    """What is older goes."""
    max_size: ByteSize = 10 * 10**9
    """Beyond it, the oldest goes first."""
    label_ttl: Duration = Duration.parse("7d")
    """A label that comes later after its prediction counts as late."""
    label_wait: Duration = Duration.parse("1m")
    """How long a label that comes before its prediction waits for it."""
    sampling: Ratio = 1.0
    """The share of the predictions that is kept, chosen by a hash of their ids."""


class Limits(Section):
    """What a sidecar takes at most; what is beyond is refused, or folded into `other`."""

    body: ByteSize = 10 * 10**6
    """The size of one request, unpacked."""
    events: int = Field(default=20_000, ge=1)
    """Events in one request."""
    string: int = Field(default=1_000, ge=1)
    """Characters of one text."""
    features: int = Field(default=1_000, ge=1)
    """Features of one event."""
    classes: int = Field(default=100, ge=1)
    """Classes told apart by name, the profile's most frequent ones; the others count as other."""
    categories: int = Field(default=100, ge=1)
    """Categories of a feature told apart by name; the others count as other."""


class Tls(Section):
    """The sidecar's own certificate and key (PEM), and who signed it, for Prometheus to check."""

    certificate: ExistingFile
    """The certificate (PEM)."""
    key: ExistingFile
    """Its key (PEM)."""
    ca: ExistingFile | None = None
    """Who signed it (PEM), for Prometheus to check; left out, the system's authorities."""


class Sidecar(Section):
    """What the sidecar process itself does."""

    log: PredictionLog = PredictionLog()
    """Where predictions wait for their labels."""
    limits: Limits = Limits()
    """What is taken at most."""
    token_file: ExistingFile | None = None
    """A file with the token that who writes must send (`Authorization: Bearer …`)."""
    tls: Tls | None = None
    """The sidecar's certificate; left out, it speaks HTTP."""
