"""Training data from CSV and Parquet files: columns of numbers, text and missing values."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Table", "TableError", "Value", "read_table"]

Value = float | int | str | bool | None


class TableError(Exception):
    """Data that cannot be read: which file, line and column, and what is wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns of equal length by name. A column is all numbers, all booleans, or has text.

    `lines` holds the line of the file that each row ends on, where the format has lines.
    """

    path: Path
    columns: dict[str, Sequence[Value]]
    lines: Sequence[int] | None = None

    @property
    def rows(self) -> int:
        """How many rows each column has."""
        return len(next(iter(self.columns.values())))

    def place(self, row: int) -> str:
        """Where a row (from 0) stands, as a message says it."""
        if self.lines is None:
            return f"{self.path}: row {row + 1}"
        return f"{self.path}:{self.lines[row]}"


def read_table(path: Path, *, without: Sequence[str] = ()) -> Table:
    """Read a .csv or .parquet file. Columns in `without` are checked to exist and dropped.

    Raises TableError with file, line and column.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise TableError(f"{path}: is neither .csv nor .parquet")
    try:
        table = _read_csv(path) if suffix == ".csv" else _read_parquet(path, without)
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}") from None
    for name in without:
        if name not in table.columns:
            raise TableError(f"{path}: no column {name!r}; there are {', '.join(table.columns)}")
    kept = {name: values for name, values in table.columns.items() if name not in without}
    if not kept:
        raise TableError(f"{path}: has no column besides those that are left out")
    table = Table(path=path, columns=kept, lines=table.lines)
    if table.rows == 0:
        raise TableError(f"{path}: has no rows")
    for name, values in kept.items():
        _refuse_infinite(table, name, values)
    return table


def _refuse_infinite(table: Table, name: str, values: Sequence[Value]) -> None:
    for row, value in enumerate(values):
        if isinstance(value, float) and math.isinf(value):
            raise TableError(f"{table.place(row)}: column {name!r}: {value} is not a finite number")


def _read_csv(path: Path) -> Table:
    rows: list[list[str]] = []
    lines: list[int] = []
    # utf-8-sig: spreadsheets write a mark before the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            _check_header(path, header)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise TableError(
                        f"{path}:{reader.line_num}: has {len(row)} columns, "
                        f"the header has {len(header)}"
                    )
                rows.append(row)
                lines.append(reader.line_num)
        except csv.Error as error:
            raise TableError(f"{path}:{reader.line_num}: is not CSV: {error}") from None
        except UnicodeDecodeError:
            raise TableError(f"{path}:{reader.line_num + 1}: is not UTF-8 text") from None
    columns = {
        name: _typed([row[index].strip() for row in rows]) for index, name in enumerate(header)
    }
    return Table(path=path, columns=columns, lines=lines)


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise TableError(f"{path}:1: is empty; the first line names the columns")
    for index, name in enumerate(header):
        if not name:
            raise TableError(f"{path}:1: column {index + 1} has no name")
        if name in header[:index]:
            raise TableError(f"{path}:1: column {name!r} stands twice")


def _typed(texts: list[str]) -> Sequence[Value]:
    """Numbers or booleans where every present value is one, else the text itself."""
    numbers: list[Value] = []
    for text in texts:
        number = _number(text)
        if number is None and text:
            break
        numbers.append(number)
    else:
        return numbers
    if all(text.lower() in ("true", "false", "") for text in texts):
        # As JSON has them, so that True in a file and true in an event are one category.
        return [text.lower() == "true" if text else None for text in texts]
    return [text or None for text in texts]


def _number(text: str) -> float | None:
    # float() also reads 1_000, which is a code or a typing error but no number in a CSV file.
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _read_parquet(path: Path, without: Sequence[str]) -> Table:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise TableError(
            f"{path}: reading Parquet needs pyarrow: "
            "pip install 'ml-observability[parquet]', or write the data as CSV"
        ) from None
    try:
        data: Any = parquet.ParquetFile(path).read()
    except pa.ArrowException as error:
        raise TableError(f"{path}: is not Parquet: {error}") from None
    columns: dict[str, Sequence[Value]] = {}
    for field, chunks in zip(data.schema, data.columns, strict=True):
        if field.name in without:
            columns[field.name] = [None] * len(chunks)
            continue
        values = chunks.to_pylist()
        if pa.types.is_decimal(field.type):
            values = [None if value is None else float(value) for value in values]
        for row, value in enumerate(values):
            if not isinstance(value, float | int | str | bool | None):
                raise TableError(
                    f"{path}: row {row + 1}: column {field.name!r} is {field.type}, "
                    "not a number, text or boolean; convert it or leave it out with --exclude"
                )
        columns[field.name] = values
    if not columns:
        raise TableError(f"{path}: has no columns")
    return Table(path=path, columns=columns)
