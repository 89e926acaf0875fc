"""docs/sidecar.md is true: its commands work, and its numbers are those of the code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import fields

from contract.read import read_spec
from contract.spec import Limits
from exporters.sidecar.event import Event
from exporters.sidecar.web import MAX_ERRORS
from tests.exporters.sidecar.serving import Sidecar, running_sidecar
from tests.processes import ROOT

PAGE: Final = (ROOT / "docs/sidecar.md").read_text()


def test_its_commands_work() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^curl .*$", PAGE, re.MULTILINE)]
    with running_sidecar(ROOT / "models.yaml") as sidecar:
        answers = [_run(sidecar, command) for command in commands]
        outcomes = sidecar.samples()
    assert answers == [{"accepted": n, "rejected": 0, "errors": []} for n in (1, 2, 1)]
    [counted] = [name for name, value in outcomes.items() if "ml_outcomes_" in name and value]
    assert counted.endswith('predicted_class="benign",actual_class="malignant"}')


def _run(sidecar: Sidecar, command: list[str]) -> object:
    program, url, option, body = command
    assert (program, option) == ("curl", "-d")
    path = url.removeprefix("http://127.0.0.1:9101")
    return sidecar.post(path, body, "application/x-www-form-urlencoded").json()


def test_its_table_has_every_field_of_an_event() -> None:
    first_cells = re.findall(r"^\| (`[^|]*`) \|", PAGE, re.MULTILINE)
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == {field.name for field in fields(Event)}


def test_its_parts_of_models_yaml_are_read(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name in ("sidecar_token", "sidecar.pem", "sidecar.key", "ca.pem"):
        (tmp_path / "secrets" / name).touch()
    path = tmp_path / "models.yaml"
    path.write_text("".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)))
    spec = read_spec(path)
    assert spec.sidecar.limits == Limits()
    assert [metric.name for metric in spec.models[0].metrics] == ["cache_entries", "retries"]


def test_its_answer_is_one_that_the_sidecar_gives(sidecar: Sidecar) -> None:
    (answer,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    events = [{"model_name": "mail"}, {"model_name": "mail", "features": {"age": []}}]
    assert sidecar.predict(events).json() == json.loads(answer)


NUMBERS = {
    "the limit of a body": f"{Limits().body // 10**6} MB",
    "the limit of a batch": f"{Limits().events:,} events",
    "the errors of an answer": f"first {MAX_ERRORS} errors",
}


@pytest.mark.parametrize("text", NUMBERS.values(), ids=NUMBERS)
def test_it_says(text: str) -> None:
    assert text in PAGE
