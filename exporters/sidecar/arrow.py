"""Events by column as an Arrow IPC stream: `application/vnd.apache.arrow.stream`.

The columns are called as the fields of an event; `features` is a struct, or its features are
columns `features.NAME`. The schema's metadata says `model_name` and, where needed,
`model_version`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.spec import Limits
from exporters.sidecar.body import BodyError
from exporters.sidecar.columnar import Column, Table, make_table

__all__ = ["ARROW", "MissingPyarrowError", "read_arrow_table"]

ARROW: Final = "application/vnd.apache.arrow.stream"

_NESTED: Final = ("features", "stages")


class MissingPyarrowError(RuntimeError):
    """Arrow arrived where pyarrow is not installed."""


class _Array:
    """A column of a table of Arrow; a `plain` one holds float64 and nothing else."""

    __slots__ = ("_array", "_plain")

    def __init__(self, array: Any, *, plain: bool) -> None:
        self._array = array
        self._plain = plain

    def __len__(self) -> int:
        return len(self._array)

    def coded(self) -> tuple[list[Any], NDArray[np.intp]] | None:
        import pyarrow as pa

        kind = self._array.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            return None
        found = self._array.dictionary_encode()
        places = found.indices.fill_null(-1) if found.null_count else found.indices
        return found.dictionary.to_pylist(), places.to_numpy().astype(np.intp)

    def numbers(self) -> NDArray[np.float64] | None:
        if self._plain:
            found: NDArray[np.float64] = self._array.to_numpy()
            return found
        import pyarrow as pa

        kind = self._array.type
        if pa.types.is_null(kind):
            return np.full(len(self._array), np.nan)
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return None
        return np.asarray(self._array.to_numpy(zero_copy_only=False), dtype=np.float64)

    def values(self) -> list[Any]:
        # NaN is no JSON: where rows cannot have it, it is missing.
        return [None if value != value else value for value in self._array.to_pylist()]


def read_arrow_table(body: bytes, limits: Limits) -> Table:
    """The table in a stream. Raises BodyError, or MissingPyarrowError."""
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingPyarrowError(
            "Arrow needs pyarrow beside the sidecar: pip install 'ml-observability[parquet]'; "
            "or send JSON"
        ) from None
    try:
        found = _read(body)
    except BodyError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        # Not every name and text of a stream that can be read is Unicode.
        raise BodyError(f"is no Arrow stream: {str(error)[:200]}") from None
    return make_table(found.name, found.version, found.columns, found.nested, limits)


class _Read(NamedTuple):
    """What a stream holds: whose events, and their columns."""

    name: str
    version: str | None
    columns: dict[str, Column]
    nested: dict[str, dict[str, Column]]


def _read(body: bytes) -> _Read:
    import pyarrow as pa

    found = pa.ipc.open_stream(body).read_all()
    found.validate(full=True)
    found = found.combine_chunks()
    number = pa.float64()

    def column(array: Any) -> Column:
        return _Array(array, plain=array.type == number and not array.null_count)

    columns: dict[str, Column] = {}
    nested: dict[str, dict[str, Column]] = {}
    for name, own in zip(found.column_names, found.columns, strict=True):
        array = own.chunk(0) if own.num_chunks else pa.array([], own.type)
        outer, dot, inner = name.partition(".")
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if name in _NESTED and pa.types.is_struct(array.type):
            parts = array.flatten()  # and not field(), which forgets where the struct is null
            nested.setdefault(name, {}).update(
                (field.name, column(part)) for field, part in zip(array.type, parts, strict=True)
            )
        elif dot and outer in _NESTED:
            nested.setdefault(outer, {})[inner] = column(array)
        else:
            columns[name] = column(array)
    metadata = found.schema.metadata or {}
    model, version = metadata.get(b"model_name"), metadata.get(b"model_version")
    if model is None:
        raise BodyError("has no model_name in the metadata of its schema")
    return _Read(model.decode(), version.decode() if version else None, columns, nested)
