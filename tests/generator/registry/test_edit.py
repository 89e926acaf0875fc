"""Changing models.yaml leaves everything else of it as it is, byte for byte."""

from __future__ import annotations

import datetime as dt
import difflib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.problems import ProblemsError
from contract.read import read_spec
from generator.registry.deploy import deploy, retire
from generator.registry.entry import Plain
from generator.registry.file import Change, RegistryError, opened
from generator.registry.register import Version, register
from generator.registry.tree import Node, apply, parse_tree, remove, set_value
from tests.processes import ROOT

AT = dt.datetime(2026, 11, 28, 12, 30, tzinfo=dt.UTC)
ONE = "models:\n  - {name: a, version: '1', task: regression}\n"

STYLES: dict[str, str] = {
    "block style": """\
# A heading.
models:   # the models
  - name: a   # its name
    version: "1"    # the first
    # between
    task: regression
    trained_at: 2026-01-01 # long ago
    deployed_at: 2026-02-01
    training:
      # by whom
      metrics:
        mae: 3.5
        r2: 0.5   # of the variance
    artifact:
      path: a.bin
      sha256: "{hash}"
    alerts:
      TargetDown: off  # known
    # the end of a

  # Now b.
  - name: b
    version: "1"
    task: regression
""",
    "flow style": """\
models:
  - {name: a, version: "1", trained_at: 2026-01-01, task: regression, training: {metrics: {mae: 3}}}
  - {name: b, version: "1", task: regression} # b
""",
    "one line": 'models: [{name: a, version: "1", task: regression}, {name: b, version: "1",'
    " task: regression}]\n",
    "a flow of lines": """\
models: [
  {name: a, version: "1", task: regression,
   trained_at: 2026-01-01, # not now
   team: ml-platform},
  {name: b, version: "1", task: regression}, # the last
]
""",
    "dashes at the margin": """\
models:
- name: a
  version: "1"
  task: regression
- name: b
  version: "1"
  task: regression
""",
    "wide indents": """\
models:
      -   name: a
          version: "1"
          task: regression
      -   name: b
          version: "1"
          task: regression
defaults:
        drift: {min_samples: 5}
""",
    "a dash of its own": """\
models:
  -
    name: a
    version: "1"
    task: regression
  - # b
    name: b
    version: "1"
    task: regression
""",
    "the last line without its end": 'models:\n  - name: a\n    version: "1"\n    task: regression',
    "lines that end as on Windows": (
        '# Ümlaut 😀\r\nmodels:\r\n  - name: a\r\n    version: "1"\r\n    task: regression'
        '\r\n    trained_at: 2026-01-01\r\n\r\n  - {name: b, version: "1", task: regression}\r\n'
    ),
    "a byte order mark": '\ufeffmodels:\n  - name: a\n    version: "1"\n    task: regression\n',
    "tabs in comments and behind values": """\
models:\t# all\tof them
  - name: a\t#\ttabs
    version: "1"\t
    task: regression\t# more
""",
    "anchors that others use": """\
defaults: &defaults {team: ml-platform}
models:
  - &first
    name: a
    version: "1"
    task: regression
    slo: &slo {availability: 99%}
    drift: &drift
      min_samples: 700
  - name: b
    version: "1"
    task: regression
    slo: *slo
    drift: *drift
""",
    "keys that are merged": """\
models:
  - <<: &common {task: regression, framework: onnx, trained_at: 2026-01-01}
    name: a
    version: "1"
  - <<: *common
    name: b
    version: "1"
""",
    "values of several lines": """\
models:
  - name: a
    version: "1"
    task: regression
    training:
      source: >
        a long story,
        told in two lines

    framework: |-
      scikit-learn
  - {name: b, version: "1", task: regression}
""",
    "quotes of both kinds and keys in quotes": """\
models:
  - "name": 'a'
    'version': "1"
    task: 'regression'
    trained_at: '2026-01-01'
""",
    "nothing behind a key": """\
models:
  - name: a
    version: "1"
    task: regression
    max_age:
    artifact: # none yet
    team: ml-platform
""",
    "a document with its marks": """\
%YAML 1.2
---
models:
  - name: a
    version: "1"
    task: regression
...
""",
}


def write(folder: Path, text: str) -> Path:
    path = folder / "models.yaml"
    path.write_bytes(text.replace("{hash}", "ab" * 32).encode())
    return path


def add(path: Path, **told: object) -> Change:
    new = Version(name="a", version="2", **told)  # type: ignore[arg-type]
    with opened(path) as file, register(file, new) as outcome:
        outcome.change.write()
        return outcome.change


FULL = {
    "trained_at": Plain("2026-11-01"),
    "framework": "onnx",
    "artifact": {"path": "new model.bin", "sha256": "cd" * 32},
    "metrics": {"mae": Plain("2.5"), "r²": Plain("61%")},
    "source": 'run 7: it\'s "good"',
}


def lines_taken_away(before: str, after: str) -> list[str]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return [line for line in difflib.ndiff(old, new) if line.startswith("- ")]


@pytest.mark.parametrize("told", [{}, FULL], ids=["nothing told", "all told"])
@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_a_version_is_added_and_nothing_else_changes(
    tmp_path: Path, text: str, told: dict[str, object]
) -> None:
    path = write(tmp_path, text)
    before = path.read_bytes().decode()
    old = read_spec(path)
    add(path, **told)
    after = path.read_bytes().decode()

    # The new text is the old one with one insertion.
    place = len(before) - len(after)
    assert place < 0
    start = next(
        (i for i, (x, y) in enumerate(zip(before, after, strict=False)) if x != y), len(before)
    )
    assert any(
        before[:at] == after[:at] and before[at:] == after[len(after) - len(before) + at :]
        for at in range(start + 1)
    )
    assert ("\r\n" in before) == ("\r\n" in after)
    assert after.replace("\r\n", "").count("\r") == 0
    if "\r\n" in before:
        assert after.count("\n") == after.count("\r\n")

    new = read_spec(path)
    assert [model for model in new.models if model.version == "1"] == list(old.models)
    [first] = [model for model in old.models if model.name == "a"]
    [added] = [model for model in new.models if model.version == "2"]
    assert added.state == "registered"
    assert added.deployed_at is None
    assert (added.slo, added.drift, added.alerts) == (first.slo, first.drift, first.alerts)
    if told:
        assert added.trained_at == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
        assert added.training.metrics == {"mae": 2.5, "r²": 0.61}
        assert added.training.source == FULL["source"]
        assert added.artifact is not None
        assert (added.artifact.path, added.framework) == ("new model.bin", "onnx")
    else:
        assert (added.artifact, added.training.metrics) == (None, {})
        assert added.framework == first.framework
        assert "<<" in text or added.trained_at is None


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_a_deployment_changes_states_and_there_and_back_again(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    add(path, trained_at=Plain("2026-11-01"))
    registered = path.read_bytes().decode()
    states: Callable[[], dict[str, str]] = lambda: {  # noqa: E731
        model.version: model.state for model in read_spec(path).versions if model.name == "a"
    }
    with opened(path) as file:
        deploy(file, "a", "2", at=AT).change.write()
    assert states() == {"1": "retired", "2": "live"}
    deployed = read_spec(path).model("a", "2")
    assert deployed is not None
    assert deployed.deployed_at == AT
    with opened(path) as file:
        deploy(file, "a", "1", at=AT).change.write()
    assert states() == {"1": "live", "2": "retired"}
    with opened(path) as file:
        deploy(file, "a", "2", at=AT, beside=True).change.write()
    assert states() == {"1": "live", "2": "live"}
    with opened(path) as file:
        retire(file, "a", "1").change.write()
    assert states() == {"1": "retired", "2": "live"}
    # But for the states and times, it is the text from before.
    added = {"state", "deployed_at"}
    taken = lines_taken_away(registered, path.read_bytes().decode())
    if "{" not in text and "[" not in text:
        assert all(line[2:].split(":")[0].strip() in added for line in taken)
    for model in read_spec(path).versions:
        assert model.name in {"a", "b"}


@pytest.mark.parametrize("name", ["models.yaml", "tests/generator/everything/models.yaml"])
def test_the_files_of_this_project_keep_all_that_is_theirs(tmp_path: Path, name: str) -> None:
    folder = (ROOT / name).parent
    for below in ("profiles", "keys", "profile.json", "rows.csv"):
        if (folder / below).is_dir():
            shutil.copytree(folder / below, tmp_path / below)
        elif (folder / below).exists():
            shutil.copy(folder / below, tmp_path / below)
    path = tmp_path / "models.yaml"
    shutil.copy(ROOT / name, path)
    before = path.read_text()
    models = read_spec(path).models
    for model in models:
        new = Version(name=model.name, version="99", trained_at=Plain("2026-11-20"))
        with opened(path) as file:
            if (model.name, "99") in file.items():
                continue
            with register(file, new, like=model.version) as outcome:
                outcome.change.write()
        with opened(path) as file:
            deploy(file, model.name, "99", beside=True, at=AT).change.write()
    after = path.read_text()
    assert lines_taken_away(before, after) == []
    assert {model.key for model in models} < {model.key for model in read_spec(path).models}


def test_a_deployment_of_what_is_live_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, ONE)
    with opened(path) as file:
        outcome = deploy(file, "a", "1", at=AT)
    assert (outcome.change.text, outcome.said) == (ONE, "a 1 is live already")


def test_a_change_that_would_reach_others_through_an_anchor_is_refused(tmp_path: Path) -> None:
    text = "models:\n  - &m {name: a, version: '1', task: regression}\n  - {<<: *m, version: '2'}\n"
    path = write(tmp_path, text)
    with opened(path) as file, pytest.raises(RegistryError, match=r"would change a 2 as well"):
        retire(file, "a", "1")
    assert path.read_text() == text


def test_what_would_be_wrong_is_said_at_its_place_and_not_written(tmp_path: Path) -> None:
    promise = "performance: {mae: {baseline: from_training}}, training: {metrics: {mae: 4}}"
    text = ONE.replace("regression", f"regression, {promise}")
    path = write(tmp_path, text)
    with pytest.raises(ProblemsError) as refused:
        add(path)
    [problem] = refused.value.problems
    assert (problem.file, problem.line) == (str(path), 3)
    assert problem.message == "would be wrong: is not in training.metrics of a 2"
    assert path.read_text() == text


def test_the_server_s_own_name_of_a_version_follows(tmp_path: Path) -> None:
    for told, its, expected in (
        (None, "1", "2"),
        (None, "7", None),
        ("8", "7", "8"),
    ):
        serving = f'serving: {{runtime: triton, version: "{its}", targets: ["t:1"]}}'
        path = write(tmp_path, ONE.replace("task:", f"{serving}, task:"))
        add(path, serving_version=told)
        model = read_spec(path).model("a", "2")
        assert model is not None
        assert model.serving.version == expected


def mapping(text: str) -> Node:
    return parse_tree(text)


TAKEN: dict[str, tuple[str, str, str]] = {
    "the first of a block": ("a: 1\nb: 2\n", "a", "b: 2\n"),
    "the last of a block": ("a: 1\nb: 2\n", "b", "a: 1\n"),
    "the last without its end": ("a: 1\nb: 2", "b", "a: 1"),
    "one of several lines": ("a: 1\nb:\n  - x\n  - y\n# c\nc: 3\n", "b", "a: 1\n# c\nc: 3\n"),
    "the first of a flow": ("{a: 1, b: 2}", "a", "{b: 2}"),
    "the last of a flow": ("{a: 1, b: {c: 2}}", "b", "{a: 1}"),
    "the last behind a comment": ("{a: 1, # one\n b: 2}", "b", "{a: 1, # one\n }"),
    "nothing": ("a: 1\n", "b", "a: 1\n"),
}


@pytest.mark.parametrize(("text", "key", "expected"), TAKEN.values(), ids=TAKEN)
def test_a_key_is_taken_out(text: str, key: str, expected: str) -> None:
    assert apply(text, remove(text, mapping(text), key)) == expected


SET: dict[str, tuple[str, str, str]] = {
    "a scalar": ("a: 1 # one\nb: 2\n", "a", "a: {x: y} # one\nb: 2\n"),
    "nothing at all": ("a:\nb: 2\n", "a", "a: {x: y}\nb: 2\n"),
    "nothing but a comment": ("a: # one\nb: 2\n", "a", "a: {x: y} # one\nb: 2\n"),
    "a block below": ("a:\n  c: 1\n  d: 2\nb: 2\n", "a", "a: {x: y}\nb: 2\n"),
    "a list at the margin": ("a:\n- c\n- d\nb: 2\n", "a", "a: {x: y}\nb: 2\n"),
    "a literal": ("a: |\n  c\n  d\n\nb: 2\n", "a", "a: {x: y}\n\nb: 2\n"),
    "a flow": ("{a: [1, 2], b: 2}", "a", "{a: {x: y}, b: 2}"),
    "an alias": ("b: &b 2\na: *b\n", "a", "b: &b 2\na: {x: y}\n"),
    "a key that is new": ("b: 2 # two\nc: 3\n", "a", "b: 2 # two\na: {x: y}\nc: 3\n"),
    "a key that is new in a flow": ("{b: 2, c: 3}", "a", "{b: 2, a: {x: y}, c: 3}"),
    "a key that is new behind nothing": ("b:\nc: 3\n", "a", "b:\na: {x: y}\nc: 3\n"),
}


@pytest.mark.parametrize(("text", "key", "expected"), SET.values(), ids=SET)
def test_a_value_is_set(text: str, key: str, expected: str) -> None:
    assert apply(text, set_value(text, mapping(text), key, "{x: y}", after=["b"])) == expected
