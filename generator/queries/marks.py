"""What is marked on every graph: alerts that fire, versions that came into service, trainings."""

from __future__ import annotations

from dataclasses import dataclass

from contract import catalog
from generator.queries import recorded
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
    """Expressions whose series are annotations; that of `trained` has the time as its value."""

    alerts: str
    deployments: str
    trained: str


def of_all(alerts: str | None = None) -> Marks:
    """Of all models and of the stack; `alerts` where a dashboard is about some of them."""
    return Marks(
        alerts or with_matchers(ALERTS, FIRING, LOUD),
        _deployments(str(recorded.OWNER)),
        _trained(catalog.MODEL_TRAINED_TIMESTAMP.name),
    )


def of_team_models() -> Marks:
    """Of the models of the chosen teams."""
    return Marks(
        of_team(ALERTS, f"{FIRING}, {LOUD}"),
        _deployments(of_team(recorded.OWNER.name)),
        f"{_trained(catalog.MODEL_TRAINED_TIMESTAMP.name)} and {ON_MODEL} {owners()}",
    )


def of_model() -> Marks:
    """Of the chosen model, all its versions: the other one is often the reason."""
    return Marks(
        with_matchers(ALERTS, _OF_MODEL, FIRING, LOUD),
        _deployments(with_matchers(recorded.OWNER, _OF_MODEL)),
        _trained(with_matchers(catalog.MODEL_TRAINED_TIMESTAMP, _OF_MODEL)),
    )


def _deployments(known: str) -> str:
    """Versions that models.yaml did not name five minutes before, if anything was known then."""
    before = f"{known} offset 5m"
    return f"{known} unless {ON_MODEL} {before} and on () count({UP} offset 5m)"


def _trained(moments: str) -> str:
    """When versions were trained, in Unix milliseconds."""
    return f"max {BY_MODEL} ({moments}) * 1000"
