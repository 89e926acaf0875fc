"""Imports run one way. Read from the code's syntax, so that an import inside a function counts."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.processes import ROOT

MAY_IMPORT: Final[dict[str, tuple[str, ...]]] = {
    "contract": ("contract",),
    "exporters": (),
    "exporters.expose": ("contract", "exporters.expose"),
    "exporters.sidecar": ("contract", "exporters.expose", "exporters.sidecar"),
    "exporters.gpu": ("contract", "exporters.expose", "exporters.gpu"),
    "exporters.drift": ("contract", "exporters.expose", "exporters.drift"),
    "responder": ("contract", "exporters.expose", "responder"),
    "generator": ("contract", "generator"),
    "generator.report": ("contract", "generator", "preview"),
    "preview": ("contract.logs", "exporters.expose", "preview"),
    "stack": ("contract", "stack"),
    "gameday": (
        "contract",
        "examples",
        "exporters.drift",
        "generator",
        "responder",
        "stack",
        "gameday",
    ),
    "examples": ("contract.logs", "exporters.sidecar.client", "examples"),
}
"""What of ours a package may import; the longest row that fits a module counts for it."""

ONLY_STANDARD_LIBRARY: Final = (
    "exporters/__init__.py",
    "exporters/sidecar/__init__.py",
    "exporters/sidecar/client.py",
)
"""Model servers import the client, so neither it nor the packages above it drag anything in."""

ONLY_IN: Final = {"pynvml": "exporters/gpu/"}
"""Third-party modules that stay in one place."""

NO_PYTHON: Final = ("prometheus", "alertmanager", "grafana")

NO_PACKAGE_OF_OURS: Final = ("tests", "benchmarks", "scripts")
"""May import anything and are imported by nothing above."""


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, as written, and where."""

    file: str
    line: int
    module: str


def read_imports(root: Path, file: Path) -> Iterator[Import]:
    """Every import of a file; `from exporters import expose` gives exporters.expose."""
    name = str(file.relative_to(root))
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(file.read_bytes(), name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield Import(name, node.lineno, inside if _is_module(root, inside) else base)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            # Only what is written out can be read here; a computed name is the reviewer's.
            written = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            for module in written:
                yield Import(name, node.lineno, str(module))


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _is_module(root: Path, module: str) -> bool:
    path = root.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _row(module: str) -> str | None:
    return max((row for row in MAY_IMPORT if _within(module, row)), key=len, default=None)


def violations(root: Path) -> list[str]:
    """Every break of the rules in a tree: `file:line: what: which rule`."""
    ours = {row.split(".")[0] for row in MAY_IMPORT}
    packages = sorted(path.parent.name for path in root.glob("*/__init__.py"))
    found = [
        f"{name}/:1: a package without a row in MAY_IMPORT"
        for name in packages
        if name not in ours and name not in NO_PACKAGE_OF_OURS
    ]
    for file in sorted(file for package in ours for file in (root / package).rglob("*.py")):
        for used in sorted(read_imports(root, file), key=lambda used: used.line):
            found.extend(_judge(used, ours))
    found.extend(
        f"{file.relative_to(root)}:1: {folder}/ holds no Python"
        for folder in NO_PYTHON
        for file in sorted((root / folder).rglob("*.py"))
    )
    return found


def _judge(used: Import, ours: set[str]) -> Iterator[str]:
    where = f"{used.file}:{used.line}: imports {used.module}: "
    top = used.module.split(".")[0]
    if used.file in ONLY_STANDARD_LIBRARY and top not in sys.stdlib_module_names:
        yield where + "here only the standard library"
        return
    home = ONLY_IN.get(top)
    if home is not None and not used.file.startswith(home):
        yield where + f"{top} stays in {home}"
    if top in NO_PACKAGE_OF_OURS:
        yield where + f"nothing imports {top}"
    if top in ours:
        row = _row(used.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        allowed = MAY_IMPORT[row] if row else ()
        if not any(_within(used.module, package) for package in allowed):
            yield where + f"{row} may import {', '.join(allowed) or 'nothing of ours'}"


def test_imports_run_one_way() -> None:
    found = violations(ROOT)
    assert not found, "\n" + "\n".join(found)


def test_every_row_of_the_table_is_about_something_that_exists() -> None:
    named = {*MAY_IMPORT, *(package for row in MAY_IMPORT.values() for package in row)}
    assert [name for name in sorted(named) if not _is_module(ROOT, name)] == []


CLEAN = {
    "contract/catalog.py": "import re",
    "exporters/expose/text.py": "from contract import catalog",
    "exporters/gpu/nvml.py": "import pynvml\nfrom exporters import expose",
    "exporters/sidecar/client.py": "import json",
    "responder/log.py": "from exporters.expose import app",
    "examples/demo/server.py": "from exporters.sidecar.client import Client",
}

PLANTED = {
    "the contract imports nothing of ours": (
        "contract/spec.py",
        "import re\nfrom exporters.expose import app",
        "contract/spec.py:2: imports exporters.expose: contract may import contract",
    ),
    "exporters do not import each other": (
        "exporters/drift/score.py",
        "from exporters import gpu",
        "exporters/drift/score.py:1: imports exporters.gpu: exporters.drift may import ",
    ),
    "an import inside a function counts": (
        "exporters/drift/score.py",
        "def f():\n    import generator.queries",
        "exporters/drift/score.py:2: imports generator.queries: exporters.drift may import ",
    ),
    "a relative import counts": (
        "exporters/gpu/info.py",
        "from ..sidecar import client",
        "exporters/gpu/info.py:1: imports exporters.sidecar.client: exporters.gpu may import ",
    ),
    "an import by name counts": (
        "responder/log.py",
        "import importlib\nimportlib.import_module('generator.rules')",
        "responder/log.py:2: imports generator.rules: responder may import ",
    ),
    "expose knows no exporter": (
        "exporters/expose/text.py",
        "import exporters.gpu",
        (
            "exporters/expose/text.py:1: imports exporters.gpu: "
            "exporters.expose may import contract, exporters.expose"
        ),
    ),
    "pynvml stays in exporters/gpu": (
        "stack/ports.py",
        "import pynvml",
        "stack/ports.py:1: imports pynvml: pynvml stays in exporters/gpu/",
    ),
    "the client uses the standard library alone": (
        "exporters/sidecar/client.py",
        "import json\nimport httpx",
        "exporters/sidecar/client.py:2: imports httpx: here only the standard library",
    ),
    "the packages above the client drag nothing in": (
        "exporters/__init__.py",
        "import starlette",
        "exporters/__init__.py:1: imports starlette: here only the standard library",
    ),
    "examples use the client and the logs, not the rest": (
        "examples/demo/server.py",
        "from contract import logs\nfrom contract.read import read_spec",
        "examples/demo/server.py:2: imports contract.read: examples may import contract.logs, ",
    ),
    "nothing imports the tests": (
        "generator/verify.py",
        "from tests.processes import running",
        "generator/verify.py:1: imports tests.processes: nothing imports tests",
    ),
    "prometheus/ holds no Python": (
        "prometheus/generated/rules.py",
        "",
        "prometheus/generated/rules.py:1: prometheus/ holds no Python",
    ),
    "a new package needs a row": (
        "helpers/__init__.py",
        "",
        "helpers/:1: a package without a row in MAY_IMPORT",
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree that keeps every rule."""
    for folder in (*MAY_IMPORT, "tests"):
        if folder != "exporters.expose":
            _plant(tmp_path, folder.replace(".", "/") + "/__init__.py", "")
    for file, code in CLEAN.items():
        _plant(tmp_path, file, code)
    for module in ("contract/logs.py", "contract/read.py", "tests/processes.py"):
        _plant(tmp_path, module, "")
    return tmp_path


def _plant(root: Path, file: str, code: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(code)


def test_a_tree_that_keeps_the_rules_has_no_violations(tree: Path) -> None:
    assert violations(tree) == []


@pytest.mark.parametrize(("file", "code", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_break_is_found(tree: Path, file: str, code: str, message: str) -> None:
    _plant(tree, file, code)
    [found] = violations(tree)
    assert found.startswith(message)
