"""Whether a model's file is the one that models.yaml declares."""

from __future__ import annotations

import hashlib
from pathlib import Path

from contract.read import read_spec
from exporters.expose import render
from exporters.sidecar.artifact import Artifacts

SERIES = 'ml_model_artifact_matches{model_name="m",model_version="1",source="file"}'


def artifacts(folder: Path, content: bytes) -> Artifacts:
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "models.yaml").write_text(
        'models: [{name: m, version: "1", task: regression,'
        f" artifact: {{path: m.bin, sha256: {sha256}}}}}]\n"
    )
    spec = read_spec(folder / "models.yaml")
    return Artifacts(spec, spec.models)


def exposed(found: Artifacts) -> list[str]:
    text = render(found.families()).decode()
    return [line for line in text.splitlines() if line and line[0] != "#"]


def test_the_declared_file_matches_until_it_is_another_or_gone(tmp_path: Path) -> None:
    found = artifacts(tmp_path, b"hello")
    assert exposed(found) == [], "nothing is said before the first look"
    (tmp_path / "m.bin").write_bytes(b"hello")
    found.look()
    assert exposed(found) == [f"{SERIES} 1"]
    (tmp_path / "m.bin").write_bytes(b"other")
    found.look()
    assert exposed(found) == [f"{SERIES} 0"]
    (tmp_path / "m.bin").write_bytes(b"hello")
    found.look()
    assert exposed(found) == [f"{SERIES} 1"]
    (tmp_path / "m.bin").unlink()
    found.look()
    assert exposed(found) == [f"{SERIES} 0"]


def test_what_models_yaml_declares_anew_is_held_against_the_same_file(tmp_path: Path) -> None:
    found = artifacts(tmp_path, b"hello")
    (tmp_path / "m.bin").write_bytes(b"other")
    found.look()
    artifacts(tmp_path, b"other")
    spec = read_spec(tmp_path / "models.yaml")
    found.follow(spec, spec.models)
    assert exposed(found) == [f"{SERIES} 1"]
    found.follow(spec, [])
    assert exposed(found) == []


SERVER = SERIES.replace('"file"', '"server"')


def test_what_processes_loaded_is_held_against_the_declared_hash(tmp_path: Path) -> None:
    right, wrong = (hashlib.sha256(content).hexdigest() for content in (b"hello", b"other"))
    artifacts(tmp_path, b"hello")
    spec = read_spec(tmp_path / "models.yaml")
    told: list[str] = []
    found = Artifacts(spec, spec.models, lambda key: told if key == ("m", "1") else [])
    assert exposed(found) == [], "nobody reported anything"
    told[:] = [right]
    assert exposed(found) == [f"{SERVER} 1"]
    told[:] = [right, wrong]
    assert exposed(found) == [f"{SERVER} 0"], "one process of several is enough"


def test_a_file_that_only_the_server_sees_is_not_looked_for(tmp_path: Path) -> None:
    right = hashlib.sha256(b"hello").hexdigest()
    (tmp_path / "models.yaml").write_text(
        f'models: [{{name: m, version: "1", task: regression, artifact: {{sha256: {right}}}}}]\n'
    )
    spec = read_spec(tmp_path / "models.yaml")
    found = Artifacts(spec, spec.models, lambda _: [right])
    found.look()
    assert exposed(found) == [f"{SERVER} 1"]
