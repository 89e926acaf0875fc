"""What the README shows is true: its models.yaml reads, its commands and paths exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from contract.profile import build_profile, write_profile
from contract.read import read_spec

ROOT: Final = Path(__file__).parents[1]
README: Final = (ROOT / "README.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_models_yaml_reads_and_means_what_it_says(tmp_path: Path) -> None:
    (yaml,) = snippets("yaml")
    (tmp_path / "models.yaml").write_text(yaml)
    (tmp_path / "secrets").mkdir()
    for secret in ("slack_webhook", "pagerduty_key"):
        (tmp_path / "secrets" / secret).write_text("x")
    profile = build_profile({"amount": [1.0, 2.0, 3.0]}, model_name="fraud")
    write_profile(profile, tmp_path / "profiles" / "fraud.json")

    spec = read_spec(tmp_path / "models.yaml")

    (fraud,) = spec.models
    assert (fraud.team, fraud.slo.availability) == ("risk", 0.995)
    assert [pair.quantile for pair in fraud.slo.latency] == ["p50", "p99"]
    assert not fraud.alerts["TargetDown"].enabled


@pytest.mark.parametrize("target", re.findall(r"make ([a-z-]+)", README))
def test_every_make_target_it_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_file_it_links_to_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_a_model_needs_only_a_name_a_version_and_a_task(tmp_path: Path) -> None:
    text = 'models: [{name: a, version: "1", task: regression}]\n'
    (tmp_path / "models.yaml").write_text(text)

    assert read_spec(tmp_path / "models.yaml").models[0].team == "ml-platform"
