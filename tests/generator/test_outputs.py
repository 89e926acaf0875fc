from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from contract.read import read_spec
from contract.spec import Spec
from generator.outputs import PARTS, render
from generator.outputs import verify as verify_tree
from generator.schema import render_schema
from generator.verify import VerificationError
from generator.write import stage
from tests.generator.conftest import EVERYTHING
from tests.processes import ROOT

PROGRAM = """
import hashlib, sys
from pathlib import Path
from contract.read import read_spec
from generator.outputs import render
files = render(read_spec(Path(sys.argv[1])))
print(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest())
"""


def test_two_processes_render_the_same_bytes() -> None:
    sums = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, EVERYTHING / "models.yaml"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(sums) == 1


def test_every_part_has_files_of_its_own(everything: Spec) -> None:
    files = [path for part in PARTS for path in render(everything, [part])]
    assert len(set(files)) == len(files)
    assert sorted(files) == sorted(render(everything))


def test_nothing_generated_names_a_path_of_this_machine(everything: Spec) -> None:
    for path, text in render(everything).items():
        assert str(ROOT) not in text, path
        assert str(Path.home()) + "/" not in text, path


# Verification


def test_what_prometheus_refuses_is_not_accepted(tmp_path: Path) -> None:
    files = {
        "prometheus/generated/prometheus.yml": "rule_files: [rules/*.yml]\n",
        "prometheus/generated/rules/x.yml": "groups: [{name: x, rules: [{record: a, expr: sum(}]}]",
    }
    with pytest.raises(VerificationError, match="promtool check config"):
        verify_staged(tmp_path, files)


def test_what_alertmanager_refuses_is_not_accepted(tmp_path: Path) -> None:
    files = {"alertmanager/generated/alertmanager.yml": "route: {receiver: nobody}\n"}
    with pytest.raises(VerificationError, match="amtool check-config"):
        verify_staged(tmp_path, files)


def test_without_promtool_nothing_is_accepted_and_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VerificationError, match="apt-get install prometheus"):
        verify_staged(tmp_path, {"prometheus/generated/prometheus.yml": "{}\n"})


def verify_staged(folder: Path, files: dict[str, str]) -> None:
    with stage(folder, files) as staged:
        verify_tree(staged)


# The schema


def check(data: Any) -> list[str]:
    schema = json.loads(render_schema())
    validator = jsonschema.Draft202012Validator(schema)
    return ["/".join(map(str, error.path)) for error in validator.iter_errors(data)]


@pytest.mark.parametrize(
    "path", [EVERYTHING / "models.yaml", ROOT / "models.yaml"], ids=["everything", "the demo"]
)
def test_the_schema_accepts_what_is_right(path: Path) -> None:
    read_spec(path)
    assert check(as_an_editor_reads(path.read_text())) == []


def as_an_editor_reads(text: str) -> Any:
    """YAML 1.2, in which `off` and dates are text, while PyYAML on its own has YAML 1.1."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith((":int", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    boolean = re.compile(r"^(?:true|false)$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", boolean, ["t", "f"])
    return yaml.load(text, Loader=Loader)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"modles": []}, ""),
        ({"models": []}, "models"),
        ({"models": [{"name": "m", "version": "1"}]}, "models/0"),
        ({"models": [{"name": "m", "version": 1, "task": "regression"}]}, "models/0/version"),
        ({"stack": {"scrape_interval": 15}}, "stack/scrape_interval"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change: dict[str, Any], where: str) -> None:
    right = {"models": [{"name": "m", "version": "1", "task": "regression"}]}
    assert check(right) == []
    assert check(right | change) == [where]
