"""Data that somebody sends, counted on a profile's bins: `POST /v1/drift/{model}`."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.profile import NumericBins, category_of, count_numeric
from exporters.drift.layout import Layout, Row

__all__ = ["AskedError", "Question", "count_question", "read_question"]

Value = float | int | str | bool | None

MAX_PROBLEMS: Final = 20
"""Problems that one answer names."""


class AskedError(Exception):
    """What is wrong with what was sent: pairs of where and what."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = tuple(problems[:MAX_PROBLEMS])


class Question(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Columns of current data by the names of features; null is a missing value.

    Columns are of one length, one value for each row. `predictions` and `targets` are what the
    model said of each row and what was true.
    """

    columns: dict[str, list[Value]] = msgspec.field(default_factory=dict)
    predictions: list[Value] | None = None
    targets: list[Value] | None = None
    model_version: str | None = None


class _Columns(msgspec.Struct):
    columns: dict[str, msgspec.Raw]


_decode = msgspec.json.Decoder(Question).decode
_decode_columns = msgspec.json.Decoder(_Columns).decode
_decode_values = msgspec.json.Decoder(list[Value]).decode


def read_question(body: bytes) -> Question:
    """The question in a JSON body. Raises AskedError with everything that is wrong with it."""
    try:
        asked = _decode(body)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        place = _with_name(body, where.rstrip("`").lstrip("."))
        raise AskedError([(place or "the body", _lower(what))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AskedError([("the body", f"is no JSON: {error}")]) from None
    given = _given(asked)
    if not given:
        raise AskedError([("columns", "are none; send at least one column of values")])
    lengths = {where: len(values) for where, values in given.items()}
    longest = max(lengths.values())
    problems = [
        (where, f"has {length} values, and others have {longest}; each row needs one, or null")
        for where, length in lengths.items()
        if length != longest
    ]
    if not longest:
        problems = [("columns", "are empty; send at least one row")]
    if asked.targets is not None and asked.predictions is None:
        problems.append(("targets", "come without predictions to compare them with"))
    if problems:
        raise AskedError(problems)
    return asked


def _with_name(body: bytes, place: str) -> str:
    """The place with the column's name, which the decoder leaves out of it."""
    start = "columns[...]"
    if not place.startswith(start):
        return place
    for name, values in _decode_columns(body).columns.items():
        try:
            _decode_values(values)
        except msgspec.ValidationError:
            return f"columns.{name}{place.removeprefix(start)}"
    return place


def _given(asked: Question) -> dict[str, list[Value]]:
    """All columns by where they stand."""
    given = {f"columns.{name}": values for name, values in asked.columns.items()}
    for name in ("predictions", "targets"):
        values: list[Value] | None = getattr(asked, name)
        if values is not None:
            given[name] = values
    return given


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def count_question(asked: Question, layout: Layout) -> NDArray[np.float64]:
    """Counts of what was sent, laid out as the layout of its one model; shape [rows, width].

    What was not sent stays at 0. Raises AskedError for columns that the profile does not have and
    values that are none of theirs.
    """
    known = {row.name: row for row in layout.rows if row.kind == "feature"}
    problems = [
        (f"columns.{name}", f"is no feature of the profile; {_near(name, known)}")
        for name in asked.columns
        if name not in known
    ]
    counts = np.zeros((len(layout.rows), layout.width))
    for number, row in enumerate(layout.rows):
        is_feature = row.kind == "feature"
        values = asked.columns.get(row.name) if is_feature else asked.predictions
        if values is None:
            continue
        where = f"columns.{row.name}" if is_feature else "predictions"
        found = _count(row, values, where, problems)
        counts[number, : len(found)] = found
    if asked.predictions is not None and all(row.kind == "feature" for row in layout.rows):
        problems.append(("predictions", "cannot be compared: the profile has none"))
    if problems:
        raise AskedError(problems)
    return counts


def _near(name: str, known: dict[str, Row]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(list(known)[:20])}"


def _count(
    row: Row, values: Sequence[Value], where: str, problems: list[tuple[str, str]]
) -> NDArray[np.int64]:
    """Missing values first, then the bins. What is wrong is added to `problems`."""
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    if not isinstance(row.bins, NumericBins):
        index = {name: place for place, name in enumerate(row.bins.categories)}
        places = [index.get(category_of(value), len(index)) for value in present]
        counts = np.bincount(np.array(places, dtype=np.int64), minlength=len(index) + 1)
        return np.concatenate([[missing], counts])
    for place, value in enumerate(values):
        if value is not None and not _is_number(value):
            problems.append((f"{where}[{place}]", f"is no number: {value!r}"[:200]))
            return np.zeros(0, dtype=np.int64)
    numbers = np.array(present, dtype=np.float64)
    return np.concatenate([[missing], count_numeric(row.bins.edges, numbers)])


def _is_number(value: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
