"""When people are not told: quiet hours of a team, and maintenance windows."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import zoneinfo
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from contract.quantity import problem
from contract.spec.alerting import Severity
from contract.spec.section import AT_LEAST_ONE, Section, as_tuple

__all__ = ["WEEKDAYS", "Hours", "Maintenance", "QuietHours"]

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a day, in minutes after midnight; an `end` before `start` is on the next day."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: object) -> Hours:
        """Read `22:00-07:00`. Raises a validation error with a suggestion."""
        if isinstance(text, Hours):
            return text
        found = re.fullmatch(r"(\d\d):(\d\d) ?- ?(\d\d):(\d\d)", str(text))
        if not isinstance(text, str) or found is None:
            raise problem(f"is not a range of hours: {text!r}", "write 22:00-07:00")
        start, end = (int(found[i]) * 60 + int(found[i + 1]) for i in (1, 3))
        if int(found[2]) > 59 or int(found[4]) > 59 or start >= _DAY or end > _DAY:
            raise problem(f"has no such time of day: {text!r}", "hours are 00:00 to 24:00")
        if start == end:
            raise problem(f"ends when it begins: {text!r}", "write 00:00-24:00 for the whole day")
        return cls(start, end)

    def __str__(self) -> str:
        return "-".join(f"{t // 60:02}:{t % 60:02}" for t in (self.start, self.end))

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pattern = r"^\d\d:\d\d ?- ?\d\d:\d\d$"
        return {"type": "string", "pattern": pattern, "examples": ["22:00-07:00"]}


def _listed(value: object) -> object:
    """One text stands for a list of one."""
    return (value,) if isinstance(value, str | Hours) else as_tuple(value)


def _weekdays(value: object) -> object:
    """Days and ranges of days (`friday-sunday`) as days in the order of the week."""
    parts = _listed(value)
    if not isinstance(parts, tuple):
        return parts
    found: set[str] = set()
    for part in parts:
        first, _, last = str(part).partition("-")
        days = [_weekday(first.strip()), _weekday((last or first).strip())]
        start, end = (WEEKDAYS.index(day) for day in days)
        found |= {WEEKDAYS[(start + i) % 7] for i in range((end - start) % 7 + 1)}
    return tuple(day for day in WEEKDAYS if day in found)


def _weekday(text: str) -> str:
    if text not in WEEKDAYS:
        near = difflib.get_close_matches(text, WEEKDAYS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "write monday, or monday-friday"
        raise problem(f"is not a day of the week: {text!r}", hint)
    return text


def _location(value: object) -> object:
    known = zoneinfo.available_timezones()
    # Where Python has no database of time zones, Alertmanager has the last word.
    if isinstance(value, str) and known and value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "write UTC or a place: Europe/Berlin"
        raise problem(f"is not a time zone: {value!r}", hint)
    return value


class QuietHours(Section):
    """Hours in which a team is told nothing, whatever fires; the log still is.

    What still fires when they end is told then.
    """

    times: Annotated[
        tuple[Hours, ...],
        BeforeValidator(_listed, json_schema_input_type=Hours | list[Hours]),
        AT_LEAST_ONE,
    ]
    """From when to when; hours that end earlier than they begin end the next day."""
    weekdays: Annotated[
        tuple[str, ...],
        BeforeValidator(_weekdays, json_schema_input_type=str | list[str]),
        AT_LEAST_ONE,
    ] = WEEKDAYS
    """The days that they begin on, such as monday or friday-sunday."""
    location: Annotated[
        str,
        BeforeValidator(_location, json_schema_input_type=str),
        Field(examples=["Europe/Berlin"]),
    ] = "UTC"
    """The time zone of the hours, by its place."""
    severities: Annotated[tuple[Severity, ...], BeforeValidator(as_tuple), AT_LEAST_ONE] = (
        "info",
        "warning",
    )
    """What is kept quiet."""


def _moment(value: object) -> object:
    """A time with its zone, in UTC; YAML leaves it as text."""
    example = "2026-12-01T22:00Z, or 2026-12-01T22:00+01:00"
    try:
        moment = value if isinstance(value, dt.datetime) else _parsed(value)
    except ValueError:
        raise problem(f"is not a time: {value!r}", f"write {example}") from None
    if moment.tzinfo is None:
        raise problem(f"has no time zone: {value!r}", f"write {example}")
    if moment.second or moment.microsecond:
        raise problem(f"is not a whole minute: {value!r}", "Alertmanager counts in minutes")
    return moment.astimezone(dt.UTC)


def _parsed(value: object) -> dt.datetime:
    if not isinstance(value, str) or len(value) <= len("2026-12-01"):
        raise ValueError("a date is no time")
    return dt.datetime.fromisoformat(value)


_Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment, json_schema_input_type=str),
    Field(examples=["2026-12-01T22:00Z"]),
]


class Maintenance(Section):
    """A time in which nobody is told of some models, once; the log still is."""

    models: Annotated[
        tuple[str, ...], BeforeValidator(as_tuple), Field(examples=[["fraud", "ranking"]])
    ] = ()
    """The models, by name; left out, everything."""
    begins: _Moment = Field(alias="from")
    """When it begins: a time with its zone."""
    ends: _Moment = Field(alias="to")
    """When it ends: a time with its zone."""
    reason: Annotated[str, Field(max_length=300, examples=["the database moves"])] = ""
    """Why, for whoever reads models.yaml later."""

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.begins >= self.ends:
            raise problem("ends before it begins", "swap from and to")
        return self
