"""`make` alone lists every target; locks name no address."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return {
        name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()
    }


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = dict(re.findall(r"^  make ([a-z-]+) +(\S.*)$", shown, re.MULTILINE))
    assert set(listed) == targets() - {"help"}


@pytest.mark.parametrize("target", sorted(targets()))
def test_every_target_is_declared_once_and_has_a_recipe(target: str) -> None:
    text = (ROOT / "Makefile").read_text()
    assert len(re.findall(rf"^{target}:.*\n\t", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_names_versions_and_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^ ]+ (; .+ )?\\$", line), line
    for forbidden in ("://", " @ ", "--index", "--extra-index", "--find-links", "--trusted", "/"):
        assert forbidden not in text
    assert text.count("==") >= len(lines)
    assert "--hash=sha256:" in text


def test_what_runs_is_locked_to_the_same_versions_where_it_is_tested() -> None:
    run, dev = (
        set(re.findall(r"^[A-Za-z0-9].*==[^\\]*", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.txt", "requirements-dev.txt")
    )
    assert run <= dev
