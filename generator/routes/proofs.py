"""amtool tests of the routes: which receivers hear of which alert, said by the spec alone.

They are written from the teams, `routing:`, quiet hours and maintenance, and not from the tree of
routes, so that a wrong tree fails them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract.spec import SEVERITIES, Severity, Spec, Team
from generator.routes.names import DEADMAN, LOG, channels_of, receiver_name
from generator.text import render_yaml

__all__ = ["RouteTest", "render_route_tests", "route_tests"]


@dataclass(frozen=True, slots=True)
class RouteTest:
    """An alert with these labels, and the receivers that hear of it, in order."""

    name: str
    labels: Mapping[str, str]
    receivers: tuple[str, ...]


def render_route_tests(spec: Spec) -> str:
    """The text of tests/routes.yml, which generator.verify runs."""
    tests: list[dict[str, Any]] = [
        {"name": test.name, "labels": dict(test.labels), "receivers": list(test.receivers)}
        for test in route_tests(spec)
    ]
    return render_yaml({"tests": tests})


def route_tests(spec: Spec) -> Iterator[RouteTest]:
    """Every team and severity; those of models that are under maintenance once; and the rest.

    Each is a start of amtool, so a team without channels, which has no routes, has one.
    """
    watchdog = (DEADMAN, LOG) if spec.deadman else (LOG,)
    yield RouteTest("Watchdog", {"alertname": "Watchdog", "team": spec.defaults.team}, watchdog)
    yield RouteTest("a team that nobody described", {"team": "", "severity": "critical"}, (LOG,))
    everything = any(not maintenance.models for maintenance in spec.maintenance)
    for name, team in spec.teams.items():
        if team.channels() == {LOG}:
            labels = {"team": name, "severity": "critical"}
            yield RouteTest(f"{name}, which has no channels", labels, (LOG,))
            continue
        for severity in SEVERITIES:
            labels = {"team": name, "severity": severity, "model_name": ""}
            heard = _heard(name, team, severity, everything, spec)
            yield RouteTest(f"{severity} of {name}", labels, heard)
            for model in sorted(_maintained(name, spec)):
                yield RouteTest(
                    f"{severity} of {name} about {model}, which has a maintenance",
                    {**labels, "model_name": model},
                    _heard(name, team, severity, True, spec),
                )
        yield RouteTest(f"no severity, of {name}", {"team": name}, (LOG,))


def _maintained(team: str, spec: Spec) -> set[str]:
    named = {name for maintenance in spec.maintenance for name in maintenance.models}
    return {model.name for model in spec.models if model.team == team and model.name in named}


def _heard(
    name: str, team: Team, severity: Severity, maintained: bool, spec: Spec
) -> tuple[str, ...]:
    """One receiver; or two where people are told at times only, since the log always is."""
    channels = channels_of(team, severity, spec)
    at_times = maintained or any(severity in hours.severities for hours in team.quiet_hours)
    people = tuple(channel for channel in channels if channel != LOG)
    if not at_times or not people or people == channels:
        return (receiver_name(name, channels),)
    return (LOG, receiver_name(name, people))
