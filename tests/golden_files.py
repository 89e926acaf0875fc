"""Golden files: reviewed output under tests/golden that a test compares with."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

import pytest

from tests.processes import ROOT

__all__ = ["Golden"]

FOLDER: Final = ROOT / "tests" / "golden"


class Golden:
    """Call it with a name under tests/golden and the text that should stand there."""

    def __init__(self, test: str, *, update: bool, folder: Path = FOLDER) -> None:
        self._test = test
        self._update = update
        self._folder = folder

    def __call__(self, name: str, text: str) -> None:
        """Fail with a unified diff where the file differs; write it with --update-golden."""
        path = self._folder / name
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        if path.exists() and kept == text:
            return
        diff = "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(
                kept.splitlines(keepends=True),
                text.splitlines(keepends=True),
                f"tests/golden/{name}" if path.exists() else "(no such file yet)",
                "what this run gave",
            )
        )
        pytest.fail(
            f"{diff}If that is what it should be: pytest --update-golden '{self._test}', "
            f"then read the change of tests/golden/{name} before it is committed.",
            pytrace=False,
        )
