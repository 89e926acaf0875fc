"""A problem in a file that somebody wrote, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Problem", "ProblemsError", "render_problems"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem at one place. Line and column count from 1; `width` is what the caret marks."""

    file: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str = ""
    source: str = ""
    width: int = 1

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        head = where + (f"{self.path}: {self.message}" if self.path else self.message)
        lines = [head]
        if self.source:
            number = str(self.line)
            lines.append(f"  {number} | {self.source}")
            blank = "".join("\t" if c == "\t" else " " for c in self.source[: self.column - 1])
            carets = "^" * max(1, min(self.width, len(self.source) - self.column + 1))
            lines.append(f"  {' ' * len(number)} | {blank}{carets}")
        if self.suggestion:
            lines.append(f"  {self.suggestion}")
        return "\n".join(lines)


def render_problems(problems: Iterable[Problem]) -> str:
    """All problems in the order of their places, and how many there are."""
    ordered = sorted(problems)
    count = f"{len(ordered)} problem{'s' if len(ordered) != 1 else ''}"
    files = sorted({Path(problem.file).name for problem in ordered})
    return "\n".join([*map(str, ordered), f"{count} in {', '.join(files)}."])


class ProblemsError(Exception):
    """Everything that is wrong with a file, found in one reading."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__(render_problems(self.problems))
