"""Tiles about requests that several dashboards have."""

from __future__ import annotations

from typing import Final

from generator.dashboards.field import Unit, by_name
from generator.dashboards.panel import Query, Tile, time_series
from generator.queries import model

__all__ = ["by_status"]

STATUS_COLOURS: Final = {"success": "green", "error": "red", "rejected": "orange"}


def by_status(*, width: int = 12) -> Tile:
    """Requests of the chosen model, by how they end."""
    return time_series(
        "How many requests, and how do they end?",
        "Requests per second by status. Rejected ones were refused by the model server, "
        "errors are the model's.",
        Query(model.requests_by_status(), "{{status}}"),
        unit=Unit.PER_SECOND,
        no_data="No data: no sidecar knows this version",
        stacked=True,
        overrides=[
            by_name(status, color={"mode": "fixed", "fixedColor": colour})
            for status, colour in STATUS_COLOURS.items()
        ],
        width=width,
    )
