"""What is marked on every graph: alerts that fire, versions that came into service, trainings."""

from __future__ import annotations

from dataclasses import dataclass

from contract import catalog
from generator.queries import recorded, recorded_versions
from generator.queries.selection import (
    ALERTS,
    BY_MODEL,
    FIRING,
    LOUD,
    ON_MODEL,
    UP,
    of_team,
    owners,
    with_matchers,
)

__all__ = ["Marks", "of_all", "of_model", "of_team_models"]

_OF_MODEL = 'model_name="$model"'


@dataclass(frozen=True, slots=True)
class Marks:
    """Expressions of annotations; series of `deployed` and `trained` have the time as value."""

    alerts: str
    deployments: str
    deployed: str
    trained: str


def of_all(alerts: str | None = None) -> Marks:
    """Of all models and of the stack; `alerts` where a dashboard is about some of them."""
    return Marks(
        alerts or with_matchers(ALERTS, FIRING, LOUD),
        _deployments(str(recorded.OWNER)),
        _moments(recorded_versions.DEPLOYED.name),
        _moments(catalog.MODEL_TRAINED_TIMESTAMP.name),
    )


def of_team_models() -> Marks:
    """Of the models of the chosen teams."""
    return Marks(
        of_team(ALERTS, f"{FIRING}, {LOUD}"),
        _deployments(of_team(recorded.OWNER.name)),
        f"{_moments(recorded_versions.DEPLOYED.name)} and {ON_MODEL} {owners()}",
        f"{_moments(catalog.MODEL_TRAINED_TIMESTAMP.name)} and {ON_MODEL} {owners()}",
    )


def of_model() -> Marks:
    """Of the chosen model, all its versions: the other one is often the reason."""
    return Marks(
        with_matchers(ALERTS, _OF_MODEL, FIRING, LOUD),
        _deployments(with_matchers(recorded.OWNER, _OF_MODEL)),
        _moments(with_matchers(recorded_versions.DEPLOYED, _OF_MODEL)),
        _moments(with_matchers(catalog.MODEL_TRAINED_TIMESTAMP, _OF_MODEL)),
    )


def _deployments(known: str) -> str:
    """Versions that models.yaml did not name five minutes before, if anything was known then.

    Those that say themselves when they were deployed are marked there, and those that are only
    registered were not.
    """
    before = f"{known} offset 5m"
    registered = with_matchers(catalog.MODEL_STATE, 'state="registered"')
    return (
        f"{known} unless {ON_MODEL} {before} unless {ON_MODEL} {recorded_versions.DEPLOYED} "
        f"unless {ON_MODEL} {registered} and on () count({UP} offset 5m)"
    )


def _moments(moments: str) -> str:
    """Times of versions, in Unix milliseconds."""
    return f"max {BY_MODEL} ({moments}) * 1000"
