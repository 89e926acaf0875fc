"""Versions that send predictions and that models.yaml does not have.

Their events are refused, since nobody says what to count of them. They are counted by version all
the same: the first `MAX_VERSIONS` of a model by name, further ones as `other`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from contract import catalog, logs
from contract.profile import OTHER
from exporters.expose import Family, series

__all__ = ["MAX_VERSIONS", "Seen", "Unregistered"]

log = logs.logger()

MAX_VERSIONS: Final = 10
"""Versions of one model that are told apart."""

MAX_LENGTH: Final = 100
"""Characters of a version, as in models.yaml; a longer one is no version."""


@dataclass(slots=True)
class Seen:
    """Events of one version, and the Unix times of the first and the last of them."""

    events: int
    first: float
    last: float


@dataclass(slots=True)
class Unregistered:
    """What was seen, by the model's name and the version that its events bore."""

    seen: dict[tuple[str, str], Seen] = field(default_factory=dict)

    def take(self, name: str, version: str, events: int, now: float) -> None:
        """Count refused events of a model that models.yaml has, in another version."""
        told_apart = sum(known == name for known, _ in self.seen)
        key = (name, version)
        if key not in self.seen and (told_apart >= MAX_VERSIONS or len(version) > MAX_LENGTH):
            key = (name, OTHER)
        own = self.seen.get(key)
        if own is None:
            self.seen[key] = Seen(events, now, now)
            log.warning("unregistered_version", model=name, version=key[1])
        else:
            own.events += events
            own.last = now

    def follow(self, registered: Sequence[tuple[str, str]]) -> None:
        """Forget what models.yaml has meanwhile, and models that it has no more."""
        names = {name for name, _ in registered}
        self.seen = {
            key: own for key, own in self.seen.items() if key[0] in names and key not in registered
        }

    def families(self, newest: Mapping[str, str]) -> Iterator[Family]:
        """Events by model and version; `newest` is the registered version of each model's name.

        Further versions are there at 0 from the start.
        """
        metric = catalog.UNREGISTERED_VERSION_EVENTS
        counts = {(name, OTHER): 0 for name in newest}
        counts |= {key: own.events for key, own in self.seen.items() if key[0] in newest}
        yield Family(
            metric,
            [
                (
                    series(
                        metric,
                        model_name=name,
                        model_version=newest[name],
                        unregistered_version=version,
                    ),
                    events,
                )
                for (name, version), events in counts.items()
            ],
        )
