"""What arrives: prediction events and labels, typed, and what each field should hold."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from msgspec import Meta, Struct, defstruct, structs

from contract.spec import Limits

__all__ = [
    "MAX_ID",
    "MAX_MAGNITUDE",
    "STATUSES",
    "WANTED",
    "AnyEvent",
    "BusinessEvent",
    "Event",
    "Label",
    "Measurement",
    "Reason",
    "Refusal",
    "Value",
    "limited",
]

MAX_MAGNITUDE: Final = 1e100
"""Numbers beyond this are refused: their sums and squares would overflow and stay infinite."""

MAX_ID: Final = 200

STATUSES: Final = ("success", "error", "rejected")

Value = int | float | str | bool | None
"""A feature's value."""

AnyEvent = TypeVar("AnyEvent", "Event", "Label", "BusinessEvent", "Measurement")

_Number = Annotated[float, Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]
_Seconds = Annotated[float, Meta(ge=0, le=MAX_MAGNITUDE)]
_Probability = Annotated[float, Meta(ge=0, le=1)]
_Probabilities = Annotated[list[_Probability], Meta(min_length=1)]
_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
_Time = Annotated[dt.datetime, Meta(tz=True)] | _Number | None
_Prediction = _Number | str | bool | _Probabilities | None


class Event(Struct, omit_defaults=True):
    """One call of a model: what went in, what came out, how long it took."""

    model_name: str
    model_version: str | None = None
    prediction_id: _Id | None = None
    timestamp: _Time = None
    features: dict[str, Value] | None = None
    prediction: _Prediction = None
    confidence: _Probability | None = None
    latency_seconds: _Seconds | None = None
    status: Literal["success", "error", "rejected"] = "success"
    stages: dict[str, _Seconds] | None = None
    batch_size: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    actual: _Number | str | bool | None = None
    trace_id: str | None = None
    metadata: dict[str, Any] | None = None


class Label(Struct):
    """What turned out to be true for a prediction: of its id, or of the one given with it."""

    model_name: str
    actual: _Number | str | bool
    model_version: str | None = None
    prediction_id: _Id | None = None
    timestamp: _Time = None
    prediction: _Prediction = None
    score: _Number | None = None


class BusinessEvent(Struct):
    """Something that happened to what a model said: a click, a purchase; `count` times."""

    model_name: str
    event: Annotated[str, Meta(min_length=1)]
    model_version: str | None = None
    count: Annotated[int, Meta(ge=1, le=10**9)] = 1
    timestamp: _Time = None


class Measurement(Struct):
    """A value of a gauge that models.yaml declares, or what is added to a counter."""

    model_name: str
    metric: str
    value: _Number
    model_version: str | None = None
    labels: dict[str, str] | None = None
    timestamp: _Time = None


def limited(kind: type[AnyEvent], limits: Limits) -> type[AnyEvent]:
    """The same kind of event with texts and features no longer than the limits."""
    text = Annotated[str, Meta(max_length=limits.string)]
    value = int | float | text | bool | None
    changed: dict[str, Any] = {
        "model_name": text,
        "model_version": text | None,
        "features": Annotated[dict[text, value], Meta(max_length=limits.features)] | None,
        "prediction": _Number | text | bool | _Probabilities | None,
        "stages": Annotated[dict[text, _Seconds], Meta(max_length=limits.features)] | None,
        "trace_id": text | None,
        "event": Annotated[str, Meta(min_length=1, max_length=limits.string)],
    }
    if kind is Event:
        changed["actual"] = _Number | text | bool | None
    elif kind is Label:
        changed["actual"] = _Number | text | bool
    fields: list[Any] = []
    for own in structs.fields(kind):
        if own.name in changed:
            default: list[Any] = [] if own.required else [own.default]
            fields.append((own.name, changed[own.name], *default))
    made: Any = defstruct(kind.__name__, fields, bases=(kind,))
    return cast("type[AnyEvent]", made)


WANTED: Final = {
    "model_name": "text",
    "model_version": "text",
    "prediction_id": f"text of 1 to {MAX_ID} characters",
    "timestamp": "RFC 3339 text with a zone (2026-10-01T12:00:00Z) or Unix seconds",
    "features": "an object of names and values",
    "features.*": "a number, text, true, false or null",
    "prediction": "a number, text, true, false or a list of class probabilities",
    "prediction.*": "a probability from 0 to 1",
    "confidence": "a number from 0 to 1",
    "latency_seconds": "a number of seconds, 0 or more",
    "status": "success, error or rejected",
    "stages": "an object of stage names and seconds",
    "stages.*": "a number of seconds, 0 or more",
    "batch_size": "a whole number, 1 or more",
    "actual": "a number, text, true or false",
    "trace_id": "text",
    "metadata": "an object",
    "score": "a number",
    "event": "text",
    "count": "a whole number, 1 or more",
    "metric": "the name of a metric that models.yaml declares for the model",
    "value": "a number",
    "labels": "an object of texts",
    "labels.*": "text",
}
"""What a field should hold, as an error says it; `.*` is for what is inside the field."""


Reason = Literal["auth", "decode", "field", "model", "size", "log"]


class Refusal(Struct, frozen=True):
    """One event that is not taken: its place in the body and every problem of it.

    `index` is None where the whole request is refused. `problems` are (field, message).
    """

    index: int | None
    reason: Reason
    problems: tuple[tuple[str, str], ...]
