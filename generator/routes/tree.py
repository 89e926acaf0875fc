"""The tree of routes: Watchdog, models under maintenance, teams, severities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from contract.quantity import Duration
from contract.spec import SEVERITIES, Severity, Spec, Team
from generator.routes.names import (
    DEADMAN,
    LOG,
    channels_of,
    equals,
    maintenance_name,
    one_of,
    quiet_name,
    receiver_name,
)

__all__ = ["maintained", "mutes", "named", "root_route"]

_WAIT: Final = Duration.parse("30s")
_INTERVAL: Final = Duration.parse("5m")
_REPEAT: Final = Duration.parse("4h")


def root_route(spec: Spec) -> dict[str, Any]:
    """Where everything begins: in the log, grouped by team and model."""
    return {
        "receiver": LOG,
        "group_by": ["team", "model_name"],
        "group_wait": str(spec.clock(_WAIT)),
        "group_interval": str(spec.clock(_INTERVAL)),
        "repeat_interval": str(spec.clock(_REPEAT)),
        "routes": [
            *_watchdog(spec),
            *(_team_route(name, team, spec) for name, team in spec.teams.items()),
        ],
    }


def _watchdog(spec: Spec) -> Iterator[dict[str, Any]]:
    """Always firing, it would otherwise be in every group of the stack's alerts."""
    alone = {"matchers": [equals("alertname", "Watchdog")], "group_by": ["alertname"]}
    if spec.deadman is not None:
        interval = spec.clock(spec.deadman.interval)
        # Alertmanager repeats at the first flush at which repeat_interval is over since the last
        # message was *delivered*: with both the same it would skip every other one.
        quarter = Duration(max(interval.milliseconds // 4, 1))
        yield {
            "receiver": DEADMAN,
            **alone,
            "group_wait": "0s",
            "group_interval": str(quarter),
            "repeat_interval": str(Duration(quarter.milliseconds * 3)),
            "continue": True,
        }
    yield {"receiver": LOG, **alone}


def _team_route(name: str, team: Team, spec: Spec) -> dict[str, Any]:
    under_maintenance = [
        {
            "receiver": LOG,
            "matchers": [one_of("model_name", models)],
            "routes": leaves,
        }
        for windows, models in maintained(name, spec).items()
        if (leaves := _leaves(name, team, windows, spec))
    ]
    leaves = _leaves(name, team, _of_everything(spec), spec)
    route: dict[str, Any] = {"receiver": LOG, "matchers": [equals("team", name)]}
    routes = [*under_maintenance, *leaves]
    return {**route, "routes": routes} if routes else route


def _leaves(name: str, team: Team, windows: Sequence[int], spec: Spec) -> list[dict[str, Any]]:
    return [
        route
        for severity in SEVERITIES
        for route in _severity_routes(name, team, severity, windows, spec)
    ]


def _severity_routes(
    name: str, team: Team, severity: Severity, windows: Sequence[int], spec: Spec
) -> Iterator[dict[str, Any]]:
    """One route; or two where people are told at times only, since the log always is."""
    channels = channels_of(team, severity, spec)
    if channels == (LOG,):
        return
    matchers = [equals("severity", severity)]
    muted = mutes(name, team, severity, windows)
    if not muted:
        yield {"receiver": receiver_name(name, channels), "matchers": matchers}
        return
    people = tuple(channel for channel in channels if channel != LOG)
    if people != channels:
        yield {"receiver": LOG, "matchers": matchers, "continue": True}
    yield {
        "receiver": receiver_name(name, people),
        "matchers": matchers,
        "mute_time_intervals": muted,
    }


def mutes(name: str, team: Team, severity: Severity, windows: Sequence[int]) -> list[str]:
    """The intervals in which a team is told nothing of a severity."""
    quiet = [
        quiet_name(name, index)
        for index, hours in enumerate(team.quiet_hours)
        if severity in hours.severities
    ]
    return [*quiet, *map(maintenance_name, windows)]


def _of_everything(spec: Spec) -> tuple[int, ...]:
    return tuple(i for i, maintenance in enumerate(spec.maintenance) if not maintenance.models)


def maintained(team: str, spec: Spec) -> dict[tuple[int, ...], list[str]]:
    """Which models of a team have the same maintenances: indices of those → names."""
    owned = dict.fromkeys(model.name for model in spec.models if model.team == team)
    found: dict[tuple[int, ...], list[str]] = {}
    for name in owned:
        windows = tuple(
            index
            for index, maintenance in enumerate(spec.maintenance)
            if not maintenance.models or name in maintenance.models
        )
        if windows != _of_everything(spec):
            found.setdefault(windows, []).append(name)
    return found


def named(route: dict[str, Any]) -> Iterator[str]:
    """The receivers that a route and those below it name."""
    yield route["receiver"]
    for inner in route.get("routes", []):
        yield from named(inner)
