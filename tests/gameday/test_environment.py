"""What the game day can do to what it runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.demo.gpu.state import parse_state
from gameday.environment import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    made = Environment(tmp_path, time_scale=30, say=lambda _: None)
    made.gpu_state.parent.mkdir()
    for state in (made.gpu_state, tmp_path / "gpus.txt"):
        state.write_text("gpus = 8\n")
    yield made
    made.close()


def test_what_scenarios_change_of_gpus_at_once_is_all_changed(environment: Environment) -> None:
    changes = [{f"gpu.0.metric_{number}": str(number)} for number in range(200)]
    with ThreadPoolExecutor(8) as scenarios:
        list(scenarios.map(environment.change_gpus, changes))
    state = parse_state(environment.gpu_state.read_text())
    assert len(state) == 1 + len(changes)
