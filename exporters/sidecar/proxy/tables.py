"""Bodies of TensorFlow Serving's predict and of MLflow's /invocations: rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporters.sidecar.proxy.payload import (
    MAX_ROWS,
    Inputs,
    Outputs,
    UnreadError,
    name_row,
    read_csv,
    read_json,
    scalar,
)

__all__ = ["as_rows", "read_table_request", "read_table_response"]


def read_table_request(body: bytes, headers: Mapping[str, str], columns: tuple[str, ...]) -> Inputs:
    """The rows, in any of the formats of both servers. Raises UnreadError.

    Rows without names take those of the profile (`columns`).
    """
    if headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv":
        return Inputs(_bounded(read_csv(body)))
    data = read_json(body)
    if isinstance(data, dict):
        if isinstance(split := data.get("dataframe_split"), dict):
            return Inputs(_read_split(split, columns))
        for key in ("dataframe_records", "instances"):
            if isinstance(data.get(key), list):
                return Inputs(as_rows(data[key], columns))
        if "inputs" in data:
            return Inputs(_read_inputs(data["inputs"], columns))
    raise UnreadError("body", "has no instances, inputs, dataframe_split or dataframe_records")


def _read_split(split: dict[str, Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    rows, names = split.get("data"), split.get("columns")
    if not isinstance(rows, list):
        raise UnreadError("body", "has a dataframe_split without data")
    if not isinstance(names, list):
        return as_rows(rows, columns)
    if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        raise UnreadError("body", "has a dataframe_split whose rows are not its columns")
    texts = [str(name) for name in names]
    return [
        {name: scalar(value) for name, value in zip(texts, row, strict=True)}
        for row in _bounded(rows)
    ]


def _read_inputs(inputs: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The column format: each input for all rows. A list is one input without a name."""
    if isinstance(inputs, list):
        return as_rows(inputs, columns)
    if not isinstance(inputs, dict):
        raise UnreadError("body", "has inputs that are neither a list nor an object")
    held = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    sizes = {len(values) for values in held.values()}
    if len(sizes) != 1:
        raise UnreadError("body", "has inputs of different lengths")
    rows: list[dict[str, Any]] = [{} for _ in _bounded(range(sizes.pop()))]
    for name, values in held.items():
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, list) and len(value) > 1:
                row.update(name_row(value, columns if len(held) == 1 else (), name))
            else:
                row[name] = scalar(value)
    return rows


def as_rows(values: list[Any], columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows as objects, as lists of values, or as single values. Raises UnreadError."""
    rows = []
    for value in _bounded(values):
        if isinstance(value, dict):
            rows.append({name: scalar(inner) for name, inner in value.items()})
        else:
            rows.append(name_row(value if isinstance(value, list) else [value], columns))
    return rows


def _bounded(rows: Any) -> Any:
    if len(rows) > MAX_ROWS:
        raise UnreadError("size", f"has more than {MAX_ROWS} rows")
    return rows


def read_table_response(body: bytes) -> Outputs:
    """The predictions, by output where they have names. Raises UnreadError."""
    data = read_json(body)
    if isinstance(data, dict):
        for key in ("predictions", "outputs"):
            if key in data:
                data = data[key]
                break
        else:
            raise UnreadError("body", "has no predictions or outputs")
    if isinstance(data, dict):
        return Outputs(
            {name: own if isinstance(own, list) else [own] for name, own in data.items()}
        )
    rows = data if isinstance(data, list) else [data]
    if rows and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        return Outputs({name: [row.get(name) for row in rows] for name in names})
    return Outputs({"predictions": rows})
