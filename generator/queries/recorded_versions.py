"""Which versions of models are in traffic, and how they compare with each other, recorded."""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric, Unit
from contract.spec import Spec
from generator.queries import recorded
from generator.queries.recorded import Group, Recorded
from generator.queries.windows import FIVE_MINUTES, HOUR, TWO_MINUTES, window

__all__ = [
    "AWAITED",
    "BASELINE",
    "COMPARISON",
    "COMPARISON_P_VALUE",
    "COMPARISON_SAMPLES",
    "DEPLOYED",
    "UNREGISTERED",
    "VERSION_RECORDED",
    "WAITED",
    "WORSE",
]

_BY_MODEL: Final = f"by ({', '.join(MODEL)})"
_ON_MODEL: Final = f"on ({', '.join(MODEL)})"

_GROUP: Final = Group("model-versions", slowly=TWO_MINUTES)

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
DEPLOYED: Final = Recorded(
    name="model:ml_model_deployed_timestamp_seconds",
    labels=MODEL,
    help="When the version last became live (Unix time), where models.yaml says so.",
    group=_GROUP,
    expression=lambda _: f"max {_BY_MODEL} ({catalog.MODEL_DEPLOYED_TIMESTAMP})",
    unit=Unit.SECONDS,
)


def _awaited(spec: Spec) -> str:
    """Remembered from one evaluation to the next: a request that came once is not forgotten."""
    watched = f'max {_BY_MODEL} ({recorded.THRESHOLD}{{alert="VersionMissing"}})'
    name = "model:ml_model_awaited_timestamp_seconds"
    return (
        f"(\n  0 * ({recorded.REQUESTS} > 0) - 1\n"
        f"  or last_over_time({name}[{window(spec, HOUR)}])\n"
        f"  or 0 * {watched} + time()\n)\n"
        f"and {_ON_MODEL} {watched}"
    )


AWAITED: Final = Recorded(
    name="model:ml_model_awaited_timestamp_seconds",
    labels=MODEL,
    help="Since when a live version has been known that never got a request (Unix time); -1 once "
    "it got one.",
    group=_GROUP,
    expression=_awaited,
    unit=Unit.SECONDS,
)
WAITED: Final = Recorded(
    name="model:ml_model_awaited:seconds",
    labels=MODEL,
    help="For how long a live version has been known, and been deployed, that never got a request.",
    group=_GROUP,
    expression=lambda _: (
        f"time() - (\n  ({DEPLOYED} > {_ON_MODEL} ({AWAITED} >= 0))\n  or {AWAITED} >= 0\n)"
    ),
    unit=Unit.SECONDS,
)


def _latest(metric: Metric) -> Recorded:
    return Recorded(
        name=f"model:{metric.name}",
        labels=metric.labels,
        help=metric.help,
        group=_GROUP,
        expression=lambda _: f"max by ({', '.join(metric.labels)}) ({metric})",
    )


BASELINE: Final = _latest(catalog.VERSION_BASELINE)
COMPARISON: Final = _latest(catalog.VERSION_COMPARISON)
COMPARISON_SAMPLES: Final = _latest(catalog.VERSION_COMPARISON_SAMPLES)
COMPARISON_P_VALUE: Final = _latest(catalog.VERSION_COMPARISON_P_VALUE)
"""How versions compare, whichever drift collector says so."""

_COMPARED: Final = ", ".join(catalog.VERSION_WORSE.labels)

WORSE: Final = Recorded(
    name="model:ml_version_worse",
    labels=catalog.VERSION_WORSE.labels,
    help="Of each aspect in which a newer version is worse than its baseline, the newer one's "
    "value.",
    group=_GROUP,
    expression=lambda _: (
        f'max by ({_COMPARED}) ({COMPARISON}{{side="newer"}})\n'
        f"and on ({_COMPARED}) ({catalog.VERSION_WORSE} == 1)"
    ),
)
VERSION_RECORDED: Final = (
    UNREGISTERED,
    DEPLOYED,
    AWAITED,
    WAITED,
    BASELINE,
    COMPARISON,
    COMPARISON_SAMPLES,
    COMPARISON_P_VALUE,
    WORSE,
)
"""All of them, in the order in which they are evaluated."""
