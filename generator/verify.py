"""promtool and amtool judge what was rendered, before it replaces anything."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from generator.rules.needed import RuleFiles

__all__ = [
    "VerificationError",
    "refused_expressions",
    "verify_alertmanager",
    "verify_prometheus",
    "verify_routes",
    "verify_rules",
]


class VerificationError(Exception):
    """A tool refused what was rendered, or is missing; the message is its own words."""


def _nothing() -> None:
    pass


def verify_prometheus(folder: Path) -> None:
    """Check prometheus.yml with its rules, and run the rules' tests."""
    _run("promtool", ["check", "config", "prometheus.yml"], folder)
    verify_rules(folder, sorted((folder / "tests").glob("*.yml")))


def verify_rules(folder: Path, tests: Sequence[Path], done: Callable[[], None] = _nothing) -> None:
    """Run tests of the rules in `folder`/rules; `done` is called after each file.

    Each runs with the rules that it needs, several files at a time.
    """
    rules = RuleFiles({path.name: path.read_text() for path in (folder / "rules").glob("*.yml")})
    with tempfile.TemporaryDirectory() as staged, ThreadPoolExecutor(os.cpu_count()) as pool:

        def said(test: Path) -> str:
            problem = _test_problem(Path(staged), rules, test)
            done()
            return problem

        failed = [problem for problem in pool.map(said, tests) if problem]
    if failed:
        raise VerificationError("\n".join(failed))


def _test_problem(staged: Path, rules: RuleFiles, test: Path) -> str:
    """What promtool has against one file of tests; empty where nothing."""
    folder, text = staged / test.stem, test.read_text(encoding="utf-8")
    for path, content in {
        **{f"rules/{name}": kept for name, kept in rules.needed(text).items()},
        f"tests/{test.name}": text,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    try:
        _run("promtool", ["test", "rules", test.name], folder / "tests")
    except VerificationError as error:
        return str(error)
    return ""


_REFUSED = re.compile(
    r'rule (\d+), "[^"]*": could not parse expression: (?:\d+:\d+: )?(?:parse error: )?(.+)'
)


def refused_expressions(expressions: Sequence[str]) -> dict[int, str]:
    """Which of these expressions are no PromQL, by their place, and what promtool says of each."""
    rules = [{"record": f"e{i}", "expr": text} for i, text in enumerate(expressions)]
    with tempfile.TemporaryDirectory() as folder:
        text = yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]})
        (Path(folder) / "rules.yml").write_text(text, encoding="utf-8")
        try:
            _run("promtool", ["check", "rules", "rules.yml"], Path(folder))
        except VerificationError as error:
            return {int(place) - 1: said for place, said in _REFUSED.findall(str(error))}
    return {}


def verify_alertmanager(folder: Path) -> None:
    """Check alertmanager.yml with its templates, and where its routes lead.

    That secret files exist is the spec's to check.
    """
    _run("amtool", ["check-config", "alertmanager.yml"], folder)
    verify_routes(folder)


def verify_routes(folder: Path) -> None:
    """Let amtool say which receivers hear of the alerts in tests/routes.yml."""
    file = folder / "tests" / "routes.yml"
    tests = yaml.safe_load(file.read_text(encoding="utf-8"))["tests"] if file.exists() else []
    # One start of amtool for each test, several at a time.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = [said for said in pool.map(partial(_route_problem, folder), tests) if said]
    if failed:
        raise VerificationError("amtool config routes test fails:\n" + "\n".join(failed))


def _route_problem(folder: Path, test: dict[str, Any]) -> str:
    labels = [f"{name}={json.dumps(value)}" for name, value in test["labels"].items()]
    said = _run(
        "amtool", ["config", "routes", "test", "--config.file=alertmanager.yml", *labels], folder
    )
    heard, expected = said.strip(), ",".join(test["receivers"])
    if heard == expected:
        return ""
    return f"{test['name']} ({' '.join(labels)}) goes to {heard}, and should go to {expected}"


_PACKAGES = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}


def _run(tool: str, arguments: list[str], folder: Path) -> str:
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
    return finished.stdout
