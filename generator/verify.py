"""promtool and amtool judge what was rendered, before it replaces anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["VerificationError", "verify_alertmanager", "verify_prometheus"]


class VerificationError(Exception):
    """A tool refused what was rendered, or is missing; the message is its own words."""


def verify_prometheus(folder: Path) -> None:
    """Check prometheus.yml with its rules, and run the rules' tests."""
    _run("promtool", ["check", "config", "prometheus.yml"], folder)
    tests = sorted(path.name for path in (folder / "tests").glob("*.yml"))
    if tests:
        _run("promtool", ["test", "rules", *tests], folder / "tests")


def verify_alertmanager(folder: Path) -> None:
    """Check alertmanager.yml with its templates. That secret files exist is the spec's to check."""
    _run("amtool", ["check-config", "alertmanager.yml"], folder)


_PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


def _run(tool: str, arguments: list[str], folder: Path) -> None:
    if shutil.which(tool) is None:
        raise VerificationError(
            f"{tool} is not on the PATH, and what is not verified is not written: "
            f"apt-get install {_PACKAGES[tool]}, or take it from prometheus.io/download"
        )
    finished = subprocess.run(
        [tool, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        said = "\n".join(part.strip() for part in (finished.stdout, finished.stderr) if part)
        raise VerificationError(f"{tool} {' '.join(arguments)} fails:\n{said}")
