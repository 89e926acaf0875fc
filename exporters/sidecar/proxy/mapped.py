"""Bodies of paths that models.yaml maps with JMESPath expressions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from contract.spec import MappedPath
from exporters.sidecar.proxy.payload import Inputs, Outputs, UnreadError, read_json
from exporters.sidecar.proxy.tables import as_rows

__all__ = ["read_mapped_request", "read_mapped_response"]


def read_mapped_request(body: bytes, path: MappedPath, columns: tuple[str, ...]) -> Inputs:
    """The rows that the path's expression finds. Raises UnreadError."""
    if path.features is None:
        return Inputs([])
    found = _search(path.features, read_json(body))
    if found is None:
        raise UnreadError("body", f"has nothing at {path.features}")
    many = isinstance(found, list) and any(isinstance(value, list | dict) for value in found)
    return Inputs(as_rows(found if many else [found], columns))


def read_mapped_response(body: bytes, path: MappedPath, rows: int) -> Outputs:
    """What the path's expressions find, for `rows` rows. Raises UnreadError."""
    wanted = (path.prediction, path.confidence, path.prediction_id)
    if not any(wanted):
        return Outputs({})
    data = read_json(body)
    prediction, confidence, identities = (
        None if expression is None else _spread(_search(expression, data), rows)
        for expression in wanted
    )
    columns = {} if prediction is None else {"prediction": prediction}
    return Outputs(columns, confidence=confidence, identities=identities)


def _spread(found: Any, rows: int) -> list[Any]:
    """One value for each row; a single row's list is a list of probabilities."""
    if isinstance(found, list) and len(found) == rows and (rows > 1 or len(found) != 1):
        return found
    if rows == 1:
        return found if isinstance(found, list) and len(found) == 1 else [found]
    return [None] * rows


def _search(expression: str, data: Any) -> Any:
    try:
        return _compiled(expression).search(data)
    except (JMESPathError, RecursionError) as error:
        raise UnreadError("body", f"does not suit {expression}: {error}") from None


@lru_cache(maxsize=1000)
def _compiled(expression: str) -> ParsedResult:
    return jmespath.compile(expression)
