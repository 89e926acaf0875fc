"""Bodies of the Open Inference Protocol, version 2: tensors in JSON or in binary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from exporters.sidecar.proxy.payload import (
    MAX_ROWS,
    Inputs,
    Outputs,
    UnreadError,
    name_row,
    scalar,
)

__all__ = ["read_tensor_request", "read_tensor_response"]

_BINARY: Final = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}

_HEAD_LENGTH: Final = "inference-header-content-length"


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] | None = None


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None


class _Response(msgspec.Struct):
    outputs: list[_Tensor]
    id: str | None = None
    model_version: str | None = None


_REQUESTS: Final = msgspec.json.Decoder(_Request)
_RESPONSES: Final = msgspec.json.Decoder(_Response)


def read_tensor_request(
    body: bytes, headers: Mapping[str, str], columns: tuple[str, ...]
) -> Inputs:
    """The rows: a tensor of one value a row is a feature, a wider one holds several.

    Features of a single wide tensor are those of the profile (`columns`), if it has as many, else
    `name_0`, `name_1`. Raises UnreadError.
    """
    request = _decode(_REQUESTS, body, headers)
    tensors = request.inputs
    if not tensors:
        raise UnreadError("body", "has no inputs")
    alone = len(tensors) == 1
    first = tensors[0]
    if alone and first.shape == [len(columns)] and len(columns) > 1 and first.name not in columns:
        first.shape = [1, *first.shape]  # one row that says nothing of being one
    count = first.shape[0] if first.shape else 1
    if count > MAX_ROWS:
        raise UnreadError("size", f"has more than {MAX_ROWS} rows")
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    for tensor in tensors:
        values = _by_row(tensor)
        if len(values) != count:
            raise UnreadError("body", f"has inputs of {count} and of {len(values)} rows")
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, list):
                row.update(name_row(value, columns if alone else (), tensor.name))
            else:
                row[tensor.name] = scalar(value)
    return Inputs(rows, request.id)


def read_tensor_response(body: bytes, headers: Mapping[str, str]) -> Outputs:
    """The outputs by name. Raises UnreadError."""
    response = _decode(_RESPONSES, body, headers)
    columns = {tensor.name: _by_row(tensor) for tensor in response.outputs}
    return Outputs(columns, response.id, response.model_version)


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes, headers: Mapping[str, str]) -> Any:
    length = headers.get(_HEAD_LENGTH, "")
    binary = b""
    if length:
        if not length.isdigit() or int(length) > len(body):
            raise UnreadError("body", f"has a wrong {_HEAD_LENGTH}: {length}")
        body, binary = body[: int(length)], body[int(length) :]
    try:
        message = decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnreadError("body", f"is not of the inference protocol: {error}") from None
    at = 0
    for tensor in message.inputs if isinstance(message, _Request) else message.outputs:
        size = (tensor.parameters or {}).get("binary_data_size")
        if isinstance(size, int) and tensor.data is None:
            tensor.data = _read_binary(tensor.datatype, binary[at : at + size])
            at += size
    return message


def _read_binary(datatype: str, data: bytes) -> list[Any]:
    try:
        if datatype == "BYTES":
            return _read_texts(data)
        if datatype == "BF16":
            halves = np.frombuffer(data, "<u2").astype("<u4") << 16
            return list(halves.view("<f4").tolist())
        return list(np.frombuffer(data, _BINARY[datatype]).tolist())
    except (KeyError, ValueError):
        raise UnreadError("body", f"has binary data that is no {datatype}") from None


def _read_texts(data: bytes) -> list[str]:
    texts = []
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        texts.append(data[at + 4 : end].decode())
        at = end
    return texts


def _by_row(tensor: _Tensor) -> list[Any]:
    """One value for each row of a tensor, or a list of them where the rows are wider."""
    data = tensor.data if isinstance(tensor.data, list) else [tensor.data]
    shape = tensor.shape or [1]
    if any(size < 0 for size in shape):
        raise UnreadError("body", f"has a shape that is none: {tensor.name}")
    count, width = shape[0], math.prod(shape[1:])
    while data and isinstance(data[0], list) and len(data) != count * width:
        data = [value for part in data for value in (part if isinstance(part, list) else [part])]
    if len(data) == count and width > 1:  # nested, each row being flat or deeper
        rows = [_flat(row) for row in data]
        if any(len(row) != width for row in rows):
            raise UnreadError("body", f"has another shape than it says: {tensor.name}")
        return rows
    if len(data) != count * width:
        raise UnreadError("body", f"has another shape than it says: {tensor.name}")
    if width == 1:
        return [scalar(value) for value in data]
    return [data[at : at + width] for at in range(0, len(data), width)]


def _flat(value: Any) -> list[Any]:
    flat: list[Any] = value if isinstance(value, list) else [value]
    while flat and isinstance(flat[0], list):
        flat = [item for part in flat for item in (part if isinstance(part, list) else [part])]
    return flat
