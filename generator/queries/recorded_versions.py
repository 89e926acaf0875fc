"""Which versions of models are in traffic, and how they compare with each other, recorded."""

from __future__ import annotations

from typing import Final

from contract import catalog
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import FIVE_MINUTES, ONE_MINUTE, window

__all__ = ["UNREGISTERED", "VERSION_RECORDED"]

_GROUP: Final = Group("model-versions", slowly=ONE_MINUTE)

UNREGISTERED: Final = Recorded(
    name="model:ml_unregistered_version_events:increase5m",
    labels=catalog.UNREGISTERED_VERSION_EVENTS.labels,
    help="Predictions of the last five minutes whose version models.yaml does not have, where "
    "there were any.",
    group=_GROUP,
    expression=lambda spec: (
        f"sum by ({', '.join(catalog.UNREGISTERED_VERSION_EVENTS.labels)}) (increase("
        f"{catalog.UNREGISTERED_VERSION_EVENTS}[{window(spec, FIVE_MINUTES)}])) > 0"
    ),
)
VERSION_RECORDED: Final = (UNREGISTERED,)
"""All of them, in the order in which they are evaluated."""
