"""The spec with everything in it, and its rendered tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.read import read_spec
from contract.spec import Spec
from generator.outputs import render
from tests.processes import ROOT

EVERYTHING = ROOT / "tests" / "generator" / "everything"


@pytest.fixture(scope="session")
def everything() -> Spec:
    """Every channel, every alert, several `for`s of one alert, replicas, an awkward version."""
    return read_spec(EVERYTHING / "models.yaml")


@pytest.fixture(scope="session")
def tree(everything: Spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what Prometheus and Alertmanager get of it; tests only read it."""
    folder = tmp_path_factory.mktemp("tree")
    for path, text in render(everything, ("prometheus", "alertmanager")).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder
