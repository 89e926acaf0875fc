"""What a reader has chosen on a dashboard, as PromQL: matchers of variables, and owners of models.

The variables are called datasource, team, model and version everywhere, so that a link carries them
from one dashboard to the next.
"""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.catalog import MODEL, Metric
from generator.queries.recorded import Recorded

__all__ = [
    "ALERTS",
    "ALERTS_SINCE",
    "BY_MODEL",
    "FIRING",
    "LOUD",
    "ON_MODEL",
    "RATE_INTERVAL",
    "UP",
    "chosen",
    "models_variable",
    "of_team",
    "owners",
    "teams_variable",
    "versions_variable",
    "with_matchers",
]

ALERTS: Final = "ALERTS"
ALERTS_SINCE: Final = "ALERTS_FOR_STATE"
UP: Final = "up"
"""Series that Prometheus itself makes."""

FIRING: Final = 'alertstate="firing"'
LOUD: Final = 'severity!="info"'
"""Watchdog always fires and is no news."""
BY_MODEL: Final = f"by ({', '.join(MODEL)})"
ON_MODEL: Final = f"on ({', '.join(MODEL)})"
RATE_INTERVAL: Final = "$__rate_interval"
"""Grafana's shortest window that holds enough scrapes, or the step of the graph if it is longer."""

_MODEL: Final = 'model_name="$model", model_version="$version"'
_TEAM: Final = 'team=~"$team"'


def chosen(series: Recorded | Metric | str, matchers: str = "") -> str:
    """The series of the chosen model and version."""
    return with_matchers(series, _MODEL, matchers)


def with_matchers(series: Recorded | Metric | str, *matchers: str) -> str:
    """The series that all of the matchers hold for."""
    return f"{series}{{{', '.join(filter(None, matchers))}}}"


def of_team(series: str, matchers: str = "") -> str:
    """The series of the chosen teams, of those that carry a team."""
    return with_matchers(series, _TEAM, matchers)


def owners(*, at: str = "") -> str:
    """1 for every model of the chosen teams, with its team.

    The drift collector knows all models of models.yaml; while it is down, the sidecars know theirs.
    `at` is a modifier such as `@ end()`: one answer for the whole time range.
    """
    labels = ", ".join((*MODEL, "team"))
    return (
        f"group by ({labels}) ({of_team(catalog.MODEL_TARGET_INFO.name)}{at}"
        f" or {ON_MODEL} {of_team(catalog.MODEL_INFO.name)}{at})"
    )


def teams_variable() -> str:
    """The teams that own a model."""
    return f"label_values({catalog.MODEL_TARGET_INFO}, team)"


def models_variable() -> str:
    """The names of the chosen teams' models."""
    return f"label_values({of_team(catalog.MODEL_TARGET_INFO.name)}, model_name)"


def versions_variable() -> str:
    """The versions of the chosen model."""
    return f'label_values({catalog.MODEL_TARGET_INFO}{{model_name="$model"}}, model_version)'
