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
    """Where a sidecar keeps predictions until their labels come, and for retraining.

    `sqlite` is a file in the sidecar's data directory; `postgres` is a database at `url`, for
    several replicas of one model; `memory` keeps nothing over a restart. What is older than
    `retention` goes, and the oldest goes first beyond `max_size`. A label that comes later than
    `label_ttl` after its prediction counts as late; one that comes before it waits `label_wait`.
    `sampling` is the share of the predictions that is kept, chosen by a hash of their ids.
    """

    store: Literal["sqlite", "postgres", "memory"] = "sqlite"
    url: Annotated[
        str | None, BeforeValidator(_database_url, json_schema_input_type=str | None)
    ] = None
    password_file: ExistingFile | None = None
    retention: Duration = Duration.parse("7d")
    max_size: ByteSize = 10 * 10**9
    label_ttl: Duration = Duration.parse("7d")
    label_wait: Duration = Duration.parse("1m")
    sampling: Ratio = 1.0


class Limits(Section):
    """What a sidecar takes at most; what is beyond is refused, or folded into `other`.

    `body` is the size of one request, unpacked; `events` the events in it; `string` the characters
    of one text; `features` the features of one event. `classes` and `categories` are told apart by
    name: the most frequent ones of the profile, the others count as other.
    """

    body: ByteSize = 10 * 10**6
    events: int = Field(default=20_000, ge=1)
    string: int = Field(default=1_000, ge=1)
    features: int = Field(default=1_000, ge=1)
    classes: int = Field(default=100, ge=1)
    categories: int = Field(default=100, ge=1)


class Tls(Section):
    """The sidecar's own certificate and key (PEM), and who signed it, for Prometheus to check."""

    certificate: ExistingFile
    key: ExistingFile
    ca: ExistingFile | None = None


class Sidecar(Section):
    """What the sidecar process itself does.

    Where there is a `token_file`, only who sends its content (`Authorization: Bearer …`) may write.
    """

    log: PredictionLog = PredictionLog()
    limits: Limits = Limits()
    token_file: ExistingFile | None = None
    tls: Tls | None = None
