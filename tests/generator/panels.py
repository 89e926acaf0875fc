"""What Grafana would ask Prometheus for the panels of a dashboard, and what it is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = ["CHOICES", "Asked", "answer", "read_asked", "with_choices"]

CHOICES: Mapping[str, str] = {
    "$__rate_interval": "1m",
    "$__range": "1h",
    "$team": "ml-platform",
    "$model": "breast-cancer",
    "$version": "1.0.0",
    "$machine": ".*",
    "$gpu": ".*",
    "$metric": "accuracy",
    "$window": "1h",
    "$feature": "age",
    "$objective": "availability",
}
"""One choice for every variable, and what Grafana itself puts in."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression and where it stands; `instant` asks for one value, not for lines."""

    dashboard: str
    panel: str
    kind: str
    letter: str
    expression: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard} / {self.panel} / {self.letter}"


def read_asked(text: str) -> Iterator[Asked]:
    """Every expression of a dashboard's file: of panels, annotations and variables."""
    dashboard = json.loads(text)
    uid = dashboard["uid"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(
                uid,
                panel["title"],
                panel["type"],
                target["refId"],
                target["expr"],
                target["instant"],
            )
    for annotation in dashboard["annotations"]["list"]:
        if not annotation.get("builtIn"):
            yield Asked(uid, annotation["name"], "annotation", "A", annotation["expr"], False)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"])
            assert found, variable
            yield Asked(uid, f"${variable['name']}", "variable", "A", found[1], True)


def with_choices(expression: str, choices: Mapping[str, str] = CHOICES) -> str:
    """The expression as Grafana sends it."""
    for name, value in choices.items():
        expression = expression.replace(name, value)
    return expression


def answer(
    client: httpx.Client, asked: Asked, choices: Mapping[str, str], *, end: float
) -> list[dict[str, Any]]:
    """The series of the answer over the five minutes until `end`. Fails on a query's error."""
    expression = with_choices(asked.expression, choices)
    if asked.instant:
        response = client.post("/api/v1/query", data={"query": expression, "time": f"{end:.3f}"})
    else:
        response = client.post(
            "/api/v1/query_range",
            data={
                "query": expression,
                "start": f"{end - 300:.3f}",
                "end": f"{end:.3f}",
                "step": "1",
            },
        )
    assert response.status_code == 200, f"{asked}: {response.text}\n{expression}"
    series: list[dict[str, Any]] = response.json()["data"]["result"]
    return series
