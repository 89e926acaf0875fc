"""Command lines, each with its input files and its exact output: tests/scenarios/*.txt.

A file begins with what it shows, in lines with #. Then come sections:

    == models.yaml                              a file, as it is written before the first command
    == exit 2: python -m generator render       a command, run in that folder, and all its output

`pytest --update-golden` writes the outputs and exit statuses anew.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.golden_files import Golden
from tests.processes import ROOT

FOLDER: Final = ROOT / "tests" / "scenarios"
_SECTION: Final = re.compile(
    r"^== (?:exit (?P<status>\d+): (?P<command>.+)|(?P<file>\S+))$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a scenario: a file to write, or a command with what it should give."""

    heading: re.Match[str]
    body: str


def read_scenario(text: str) -> tuple[str, list[Section]]:
    """What stands before the first section, and the sections."""
    headings = list(_SECTION.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    sections = [
        Section(heading, text[heading.end() + 1 : end])
        for heading, end in zip(headings, ends, strict=True)
    ]
    return text[: headings[0].start()], sections


def run(command: str, folder: Path) -> tuple[int, str]:
    """The exit status and output; `python` is the one that runs the tests."""
    arguments = shlex.split(command)
    if arguments[0] == "python":
        arguments[0] = sys.executable
    finished = subprocess.run(
        arguments,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    return finished.returncode, finished.stdout


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_command_line_answers_as_written(path: Path, tmp_path: Path, golden: Golden) -> None:
    before, sections = read_scenario(path.read_text(encoding="utf-8"))
    shown = before
    for section in sections:
        heading, body = section.heading, section.body
        if heading["file"]:
            file = tmp_path / heading["file"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body.rstrip("\n") + "\n", encoding="utf-8")
            shown += f"{heading[0]}\n{body}"
        else:
            status, output = run(heading["command"], tmp_path)
            shown += f"== exit {status}: {heading['command']}\n{output}\n"
    golden(f"../scenarios/{path.name}", shown.rstrip("\n") + "\n")
