"""The dashboards of models.yaml as committed, for every test that looks at their JSON."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from contract.read import read_spec
from generator.dashboards import render_dashboards
from tests.generator.panels import read_asked
from tests.processes import ROOT

__all__ = ["ASKED", "DASHBOARDS", "PANELS", "Json", "each_dashboard", "each_panel", "rendered"]

Json = dict[str, Any]


@cache
def rendered() -> dict[str, str]:
    """Paths and texts of all that the generator writes for Grafana."""
    return render_dashboards(read_spec(ROOT / "models.yaml"))


DASHBOARDS: dict[str, Json] = {
    path: json.loads(text) for path, text in rendered().items() if path.endswith(".json")
}
PANELS = [
    pytest.param(panel, id=f"{dashboard['uid']}: {panel['title']}")
    for dashboard in DASHBOARDS.values()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
each_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
each_panel = pytest.mark.parametrize("panel", PANELS)
ASKED = [asked for path in DASHBOARDS for asked in read_asked(rendered()[path])]
