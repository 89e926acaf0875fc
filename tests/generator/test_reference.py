"""docs/models.md says everything about every key, and what it says is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.document import read_document
from contract.spec.section import Section
from generator.reference import Table, render_reference, sections, tables

TABLES = {table.title: table for table in tables()}
PAGE = render_reference()["docs/models.md"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_key_says_what_it_means(table: Table) -> None:
    silent = [key.name for key in table.keys if not key.meaning.endswith(".")]
    assert not silent, "write a docstring below the field, as a sentence"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_key_has_an_example_or_a_section_of_its_own(table: Table) -> None:
    lacking = [key.name for key in table.keys if not key.example and "](#" not in key.type]
    assert not lacking, "write Field(examples=[…])"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_section_says_what_it_is(section: type[Section]) -> None:
    assert section.__doc__
    assert section.__doc__ != Section.__doc__


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_examples_and_defaults_can_be_written_as_they_stand(
    section: type[Section], tmp_path: Path
) -> None:
    [table] = [table for table in TABLES.values() if table.section is section]
    for key in table.keys:
        for text in filter(None, (key.example, key.default)):
            file = tmp_path / "one.yaml"
            file.write_text(f"{key.name}: {text}\n")
            data, _ = read_document(file)
            assert [key.name, text] not in wrong(section, data, text)


def wrong(section: type[Section], data: dict[str, object], text: str) -> list[list[object]]:
    """The keys of `data` that the section refuses; others may be missing."""
    try:
        section.model_validate(data, context={})
    except ValidationError as error:
        return [
            [found["loc"][0], text]
            for found in error.errors()
            if found["loc"] and found["type"] != "missing"
        ]
    return []


def test_every_link_leads_to_a_heading() -> None:
    headings = [re.sub(r"[^\w -]", "", title.lower()) for title in TABLES]
    assert len(set(headings)) == len(headings)
    links = re.findall(r"\]\(#([^)]*)\)", PAGE)
    assert len(links) > len(TABLES) / 2
    assert set(links) <= set(headings)


ROWS = {
    "a duration with a default": "| `window` | duration | `30d` | ",
    "an example": "| `window: 30d` |",
    "a percentage, as people write it": "| `share` | percentage | `30%` |",
    "a size": "| `max_size` | size | `10GB` |",
    "an alias": "| `for` | duration | – |",
    "a required key": "| `name` | text | **required** |",
    "a section inside": "| `latency` | list of [mapping](#modelsslolatency) |",
    "a default of sections": "| `[{threshold: 250ms}]` |",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rows_read_as_models_yaml_is_written(row: str) -> None:
    assert row in PAGE


def test_no_row_shows_python() -> None:
    assert not re.search(r"None|Duration\(|Section|True|False|\(\)", PAGE)
