"""What dashboards say of alerts, the same on each: a list of them, and whether alerting works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from generator.dashboards.field import States, Steps, Unit
from generator.dashboards.panel import Query, Tile, stat
from generator.dashboards.shell import link_to_model
from generator.dashboards.tables import Column, Link, table
from generator.queries import stack

__all__ = ["SEVERITY_COLOURS", "alert_table", "alerting_works"]

SEVERITY_COLOURS: Final = {
    "critical": "red",
    "error": "orange",
    "warning": "yellow",
    "info": "blue",
}
STATE_COLOURS: Final = {"firing": "red", "pending": "yellow"}


def alert_table(
    title: str,
    description: str,
    alerts: str,
    *,
    runbooks: str,
    of_one_model: bool,
    keep_team: bool = True,
    more: Sequence[Column] = (Column(source="feature_name", title="Feature"),),
    width: int = 24,
    height: int = 8,
) -> Tile:
    """One row for each alert that fires or is pending, the newest first.

    `runbooks` is the host:port that serves them; `more` are labels that tell alerts apart.
    """
    runbook = Link("Open the runbook", f"http://{runbooks}/runbooks/${{__value.raw}}")
    to_model = link_to_model("Model", "Version", keep_team=keep_team)
    model = [
        Column(source="model_name", title="Model", link=to_model),
        Column(source="model_version", title="Version", width=90),
        Column(source="team", title="Team"),
    ]
    columns = [
        Column(source="alertname", title="Alert", link=runbook),
        Column(source="severity", title="Severity", states=_named(SEVERITY_COLOURS), width=90),
        Column(source="alertstate", title="State", states=_named(STATE_COLOURS), width=90),
        *([] if of_one_model else model),
        *more,
        Column(source="A", title="Since", unit=Unit.SINCE),
    ]
    return table(
        title,
        description,
        Query(alerts),
        columns=columns,
        no_data="No alert fires",
        sort="Since",
        width=width,
        height=height,
    )


def _named(colours: Mapping[str, str]) -> States:
    return {name: (name, colour) for name, colour in colours.items()}


def alerting_works() -> Tile:
    """Whether the rest of a page can be believed."""
    return stat(
        "Does alerting work?",
        "Whether Watchdog fires, the alert that always should. If not, Prometheus does not "
        "evaluate its rules and the rest of this page may look better than it is. For its first "
        "minutes Prometheus says of no alert that it fires.",
        Query(stack.alerting_works(), "rules are evaluated"),
        unit=Unit.NONE,
        no_data="Prometheus does not answer",
        steps=Steps(at=((1, "green"), (stack.STARTING, "blue")), base="red"),
        mappings={
            "0": ("no", "red"),
            "1": ("yes", "green"),
            str(stack.STARTING): ("starting", "blue"),
        },
        width=3,
    )
