"""Which channels there are: installed ones, and those that models.yaml names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from contract.spec import OwnChannel, Spec

__all__ = ["GROUP", "Declared", "declared_channels"]

GROUP: Final = "ml_observability.channels"
"""The entry point group of installed channels."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A channel: its function as `module:function`, and its limits.

    `call` is empty where a name in models.yaml is neither installed nor says what to call.
    """

    name: str
    call: str
    timeout: float
    queue: int


def declared_channels(spec: Spec | None) -> list[Declared]:
    """Every channel that is on, by name."""
    return sorted(_declared(spec), key=lambda channel: channel.name)


def _declared(spec: Spec | None) -> Iterator[Declared]:
    installed = {point.name: point.value for point in entry_points(group=GROUP)}
    named = dict(spec.responder.channels) if spec else {}
    for name in {**installed, **named}:
        settings = named.get(name, OwnChannel())
        if settings.enabled:
            yield Declared(
                name,
                settings.call or installed.get(name, ""),
                settings.timeout.seconds,
                settings.queue,
            )
