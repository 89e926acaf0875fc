"""A scrape formats only what was counted since the last one, and exposes what a first one would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.read import read_spec
from exporters.expose import Own, render, turns
from exporters.expose.server import scrape_chunks
from exporters.sidecar.families import Exposition
from exporters.sidecar.intake import Intake
from exporters.sidecar.layout import Layout
from exporters.sidecar.web import Web
from exporters.sidecar.wire import Answer
from tests.exporters.sidecar.serving import (
    MODELS,
    classifier_profile,
    regressor_profile,
    write_spec,
)

EVENT: dict[str, Any] = {
    "model_name": "mail",
    "model_version": "1",
    "features": {"length": 3.5, "links": 4, "sender": "de"},
    "prediction": "ham",
    "confidence": 0.7,
    "latency_seconds": 0.2,
    "trace_id": "abc",
}
KEPT = {**EVENT, "prediction_id": "a"}
LABEL = {"model_name": "mail", "model_version": "1", "prediction_id": "a", "actual": "spam"}


def layouts(folder: Path, models: str = MODELS) -> list[Layout]:
    spec = read_spec(write_spec(folder, models))
    profiles = {"mail": classifier_profile(), "price": regressor_profile()}
    return [Layout.of(model, profiles.get(model.name)) for model in spec.versions]


def exposed(exposition: Exposition, *, openmetrics: bool = False) -> bytes:
    return render(asyncio.run(exposition.collect()), openmetrics=openmetrics)


def post(path: str, *contents: Any) -> Callable[[Intake, Path], None]:
    def posting(intake: Intake, _: Path) -> None:
        for content in contents:
            body = json.dumps(content).encode()
            answer = Web(intake).directs()[path].answer(body, {})
            assert isinstance(answer, Answer)
            assert answer.status == 200, answer.body

    return posting


def reload(intake: Intake, folder: Path) -> None:
    more = MODELS.replace("123ms", "124ms") + '  - {name: new, version: "1", task: regression}\n'
    intake.follow(layouts(folder, more), intake.limits)


def forget(intake: Intake, folder: Path) -> None:
    intake.follow(layouts(folder)[:2], intake.limits)


CHANGES: dict[str, Callable[[Intake, Path], None]] = {
    "an event": post("/v1/predictions", EVENT),
    "a value below zero": post("/v1/predictions", {**EVENT, "features": {"length": -3}}),
    "a batch": post("/v1/predictions", [EVENT] * 60),
    "columns": post("/v1/predictions", {"model_name": "mail", "columns": {"confidence": [0.5]}}),
    "many columns": post(
        "/v1/predictions", {"model_name": "price", "columns": {"prediction": [2.5] * 2500}}
    ),
    "a label": post("/v1/predictions", KEPT, {**EVENT, "actual": "ham"}),
    "a label that comes later": post("/v1/labels", LABEL),
    "another models.yaml": reload,
    "models that go": forget,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_scrape_after_a_change_is_as_the_first_would_be(
    tmp_path: Path, change: Callable[[Intake, Path], None]
) -> None:
    intake = Intake(layouts(tmp_path))
    post("/v1/predictions", KEPT)(intake, tmp_path)
    exposition = Exposition(intake)
    before = exposed(exposition)
    assert before == exposed(exposition) == exposed(Exposition(intake))
    change(intake, tmp_path)
    for openmetrics in (False, True):
        after = exposed(exposition, openmetrics=openmetrics)
        assert after == exposed(Exposition(intake), openmetrics=openmetrics)
        assert after != before


def test_others_have_their_turn_between_two_models_and_two_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With slices of no length, at every place where a scrape may stop."""
    monkeypatch.setattr(turns, "SLICE", 0.0)
    exposition = Exposition(Intake(layouts(tmp_path)))
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async def scrape() -> tuple[int, int, int]:
        ticking = asyncio.create_task(tick())
        families = await exposition.collect()
        collected = ticks
        await scrape_chunks(Own("sidecar"), lambda: families, openmetrics=False)
        ticking.cancel()
        return len(families), collected, ticks - collected

    families, collected, rendered = asyncio.run(scrape())
    assert collected >= MODELS.count("- name: ") - 1
    assert rendered >= 2 * families, "when its numbers are read, and when it is written"
