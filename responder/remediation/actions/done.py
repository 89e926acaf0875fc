"""What an action is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from contract.spec import Spec
from responder.notification import Notification

__all__ = ["Doing", "Done", "about"]


@dataclass(frozen=True, slots=True)
class Doing:
    """One action about one incident, under way: its id, the alert, and where files are."""

    id: str
    notification: Notification
    spec: Spec
    client: httpx.AsyncClient

    def secret(self, relative: str) -> str:
        """A secret, read anew each time, since it may have been replaced. Raises OSError."""
        return self.path(relative).read_text().strip()

    def path(self, relative: str) -> Path:
        """A path of models.yaml."""
        return self.spec.path(relative)

    def bearer(self, token_file: str | None) -> dict[str, str]:
        """The header with the token of a file, if there is one."""
        return {} if token_file is None else {"Authorization": f"Bearer {self.secret(token_file)}"}


@dataclass(frozen=True, slots=True)
class Done:
    """How an action ended, and what the other side said."""

    ok: bool
    detail: str


_FIELDS = (
    "alertname", "severity", "team", "model", "version", "value", "threshold", "summary",
    "description", "starts_at", "fingerprint", "labels",
)  # fmt: skip


def about(notification: Notification) -> Mapping[str, Any]:
    """The alert as actions tell it, ready for JSON."""
    every = msgspec.to_builtins(notification)
    return {name: every[name] for name in _FIELDS}
