"""The oldest nvidia-ml-py that pyproject.toml names gives the same scrape as the newest.

The oldest comes from PyPI when the test runs: this test needs the network.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.exporters.gpu.conftest import Start, capture
from tests.golden_files import Golden
from tests.processes import ROOT, eventually


def oldest() -> str:
    """The lower bound in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bound = next(d for d in project["dependencies"] if d.startswith("nvidia-ml-py"))
    name, _, version = bound.partition(">=")
    assert name == "nvidia-ml-py"
    return str(version)


@pytest.fixture(scope="module")
def old_binding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the oldest nvidia-ml-py, to put before the installed one."""
    folder = tmp_path_factory.mktemp("nvidia-ml-py")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    argv += ["--disable-pip-version-check", "--root-user-action=ignore", "--target", str(folder)]
    subprocess.run([*argv, f"nvidia-ml-py=={oldest()}"], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("h100x8", "ml_gpu_fp16_active_ratio{"),
        ("a100_mig", "ml_gpu_model_processes{"),
        ("old_card", "ml_gpu_model_processes{"),
    ],
)
def test_the_oldest_binding_shows_the_same(
    name: str, last: str, old_binding: Path, library: Path, start: Start, golden: Golden
) -> None:
    exporter = start(library, capture(name), env={"PYTHONPATH": str(old_binding)})
    eventually(lambda: last in exporter.scrape())
    text = exporter.scrape()
    kept = (ROOT / "tests" / "golden" / "gpu" / f"{name}.txt").read_text()
    assert _readings(text) == _readings(kept)


def _readings(text: str) -> list[str]:
    """Without what it has no function for and asks in another way: the margin is computed then."""
    other = ("nvml_call", "temperature_margin")
    return [line for line in text.splitlines() if not any(word in line for word in other)]
