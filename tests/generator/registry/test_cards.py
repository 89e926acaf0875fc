"""Import of model cards: of the kinds that there are, and of what is none."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest

from contract.problems import ProblemsError
from contract.read import read_spec
from generator.__main__ import main
from generator.registry.cards import read_cards
from generator.registry.file import RegistryError

HUGGING_FACE = """\
---
library_name: sklearn
pipeline_tag: tabular-classification
version: 1.10
date: 2026-10-01
model-index:
  - name: fraud
    results:
      - task: {type: tabular-classification}
        dataset: {name: ours, type: csv}
        metrics:
          - {type: roc_auc, value: 0.991}
          - {type: accuracy, value: 97%}
---
# Fraud

A card.
"""
SIMPLE = """\
name: prices
version: 2026-10-01
task: regression
framework: xgboost
state: live
artifact: prices.json
metrics: {mae: 12.5, r2: 0.7, custom: 3}
"""
TOOLKIT = {
    "model_details": {"name": "Cats or dogs", "version": {"name": "v2", "date": "2026-09-01"}},
    "quantitative_analysis": {"performance_metrics": [{"type": "f1_macro", "value": "0.8"}]},
}


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    folder = tmp_path / "cards"
    for name, card, text in (
        ("fraud", "README.md", HUGGING_FACE),
        ("prices", "model_card.yaml", SIMPLE),
        ("cats", "model_card.json", json.dumps(TOOLKIT)),
        ("none", "README.md", "# Just a folder\n"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / card).write_text(text)
    (folder / "prices" / "prices.json").write_text("weights")
    return folder


def test_each_kind_of_card_is_read(cards: Path) -> None:
    cats, fraud, prices = read_cards(cards)
    assert (fraud.key, fraud.task) == (("fraud", "1.10"), "binary_classification")
    assert (fraud.framework, fraud.metrics) == ("scikit-learn", {"accuracy": 0.97, "auc": 0.991})
    assert fraud.trained_at == dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
    assert fraud.source == "card: fraud/README.md"
    assert (prices.key, prices.state) == (("prices", "2026-10-01"), "live")
    assert (prices.task, prices.metrics) == ("regression", {"mae": 12.5, "r2": 0.7})
    assert prices.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (cats.key, cats.task) == (("Cats-or-dogs", "v2"), "multiclass_classification")
    assert cats.metrics == {"f1_macro": 0.8}


def test_they_become_versions_of_models_yaml(
    cards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cards.parent / "models.yaml"
    before = 'models:\n  - {name: b, version: "1", task: regression}\n'
    path.write_text(before)
    arguments = ["models", "import", "cards", str(cards), "--models", str(path)]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["added"] == [["Cats-or-dogs", "v2"], ["fraud", "1.10"], ["prices", "2026-10-01"]]
    assert path.read_text().startswith(before)
    prices = read_spec(path).model("prices")
    assert prices is not None
    assert prices.artifact is not None
    assert (prices.artifact.path, prices.state) == ("cards/prices/prices.json", "live")
    # Again, there is nothing to do.
    written = path.read_bytes()
    assert main(arguments) == 0
    assert path.read_bytes() == written


REFUSED: dict[str, tuple[str, str, str]] = {
    "no version": ("model_card.yaml", "name: a\ntask: regression\n", "says no version: add"),
    "no YAML": ("model_card.yaml", "name: [\n", "model_card.yaml:2:1: is not YAML"),
    "no YAML in front": ("README.md", "---\nname: [\nx: y\n---\n", "README.md:3:"),
    "no mapping": ("model_card.yaml", "- a\n", "should be a mapping"),
    "a file that is not there": (
        "model_card.yaml", 'version: "1"\nartifact: a.bin\n', "a.bin: cannot be read",
    ),
    "another hash": (
        "model_card.yaml",
        f'version: "1"\nartifact: {{path: model_card.yaml, sha256: {"a" * 64}}}\n',
        "model_card.yaml: says SHA-256 aaaa",
    ),
    "a date that is none": (
        "model_card.yaml", 'version: "1"\ntrained_at: soon\n', "trained_at is not a date: 'soon'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_card_that_says_too_little_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((RegistryError, ProblemsError)) as refused:
        read_cards(tmp_path)
    assert message in str(refused.value)


def test_a_folder_without_cards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"no model card in it"):
        read_cards(tmp_path)
    with pytest.raises(RegistryError, match=r"is no folder"):
        read_cards(tmp_path / "missing")


def test_two_cards_of_one_version_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_card.yaml").write_text(
            SIMPLE.replace("artifact: prices.json\n", "")
        )
    with pytest.raises(RegistryError, match=r"is prices 2026-10-01, which .*one.* is already"):
        read_cards(tmp_path)


def test_what_a_card_does_not_say_may_be_told(tmp_path: Path) -> None:
    (tmp_path / "model_card.yaml").write_text("metrics: {accuracy: 0.9}\n")
    [found] = read_cards(tmp_path, version="3", task="binary_classification")
    assert (found.key, found.task) == ((tmp_path.name.strip("-._"), "3"), "binary_classification")
