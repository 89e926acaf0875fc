"""The spec → alertmanager.yml: who is told what, where, and what keeps still meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from contract.spec import Spec
from generator.routes.hours import render_intervals
from generator.routes.inhibition import inhibitions
from generator.routes.names import DEADMAN, LOG, TEMPLATES, receiver_name
from generator.routes.proofs import render_route_tests
from generator.routes.receivers import global_settings, receivers
from generator.routes.tree import named, root_route
from generator.text import render_template, render_yaml

__all__ = [
    "DEADMAN",
    "LOG",
    "TEMPLATES",
    "receiver_name",
    "render_notifications",
    "render_route_tests",
    "render_routes",
]

_HERE: Final = Path()


def render_routes(spec: Spec, out: Path = _HERE) -> str:
    """The text of alertmanager.yml; `out` is the root of the tree that it will lie in."""
    intervals = render_intervals(spec)
    tree = root_route(spec)
    return render_yaml(
        {
            **global_settings(spec),
            "templates": [TEMPLATES],
            "route": tree,
            **({"time_intervals": intervals} if intervals else {}),
            "inhibit_rules": inhibitions(),
            "receivers": receivers(spec, frozenset(named(tree)), out),
        }
    )


def render_notifications() -> str:
    """The text of the templates that messages to people are written with."""
    return render_template("notifications.tmpl.j2")
