"""Quantities as people write them in models.yaml: `250ms`, `30d`, `99.9%`.

A bare number where a unit is needed is refused with a suggestion, because 250 could be
milliseconds or seconds and whoever carries the pager should not have to guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "ByteSize",
    "Duration",
    "HostPort",
    "Ratio",
    "parse_ratio",
    "parse_size",
    "problem",
]

_UNITS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST: Final = 100 * 365 * _UNITS["d"]
"""Prometheus counts nanoseconds in 64 bits, which is 292 years."""
_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|[smhdw]))+$"


def problem(message: str, suggestion: str = "") -> PydanticCustomError:
    """An error of validation whose suggestion reaches the person who wrote the value."""
    # The message is a field of pydantic's template, so that braces in it stay what they are.
    return PydanticCustomError("spec", "{text}", {"text": message, "suggestion": suggestion})


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in whole milliseconds, written as Prometheus writes it."""

    milliseconds: int

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read `250ms`, `1.5s`, `1h30m`, `30d`. Raises a validation error with a suggestion."""
        if isinstance(text, Duration):
            return text
        if isinstance(text, int | float) and not isinstance(text, bool):
            raise problem(
                f"needs a unit, got {text}", f"write {text}ms, {text}s, {text}m or {text}d"
            )
        if not isinstance(text, str) or not _DURATION.fullmatch(text):
            raise problem(f"is not a duration: {text!r}", "write it as 250ms, 30s, 5m, 1h or 30d")
        # Decimal, since 1.1h is not a whole number of milliseconds in binary fractions.
        total = sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if total < 1 or total != int(total):
            raise problem(f"is not a whole number of milliseconds above 0: {text!r}")
        if total > _LONGEST:
            raise problem(f"is longer than 100 years: {text!r}")
        return cls(int(total))

    @property
    def seconds(self) -> float:
        """The same span in seconds, as metrics have it."""
        return self.milliseconds / 1000

    def scaled(self, factor: float) -> Duration:
        """This duration divided by `factor`, never below one second (nor lengthened to it)."""
        if factor == 1:
            return self
        return Duration(max(min(self.milliseconds, 1000), round(self.milliseconds / factor)))

    def __str__(self) -> str:
        """The shortest exact form of units d, h, m, s, ms: 1h30m. PromQL reads it."""
        rest, parts = self.milliseconds, []
        for unit in ("d", "h", "m", "s", "ms"):
            number, rest = divmod(rest, _UNITS[unit])
            if number:
                parts.append(f"{number}{unit}")
        return "".join(parts) or "0s"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": _PATTERN, "examples": ["250ms", "5m", "30d"]}


def parse_ratio(value: object) -> float:
    """Read `99.9%` as 0.999. Raises a validation error with a suggestion."""
    if isinstance(value, str) and value.endswith("%"):
        try:
            ratio = float(value[:-1]) / 100
        except ValueError:
            ratio = -1.0
        if 0 <= ratio <= 1:
            # Dividing by 100 leaves 0.9990000000000001 here and there.
            return round(ratio, 12)
        raise problem(f"is not a percentage between 0% and 100%: {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        percent = value * 100 if 0 < value < 1 else value
        raise problem(f"needs a %, got {value}", f"write {percent:.10g}%")
    raise problem(f"is not a ratio: {value!r}", "write it as 99.9%")


Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio, json_schema_input_type=str),
    Field(json_schema_extra={"examples": ["99.9%"]}),
]
"""A share between 0 and 1, written as a percentage."""


_SIZE_UNITS: Final = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(kB|MB|GB|TB)")


def parse_size(value: object) -> int:
    """Read `10GB` as bytes. Raises a validation error with a suggestion."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise problem(f"needs a unit, got {value}", f"write {value}MB or {value}GB")
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or not Decimal(found[1]):
        raise problem(f"is not a size: {value!r}", "write it as 500MB or 10GB")
    return int(Decimal(found[1]) * _SIZE_UNITS[found[2]])


ByteSize = Annotated[
    int,
    BeforeValidator(parse_size, json_schema_input_type=str),
    Field(json_schema_extra={"examples": ["10GB"]}),
]
"""A number of bytes, written with a decimal unit."""


def _parse_host_port(value: object) -> str:
    if not isinstance(value, str):
        raise problem(f"is not host:port: {value!r}", "write it as 127.0.0.1:9101")
    host, colon, port = value.rpartition(":")
    if "//" in value:
        bare = value.split("//", 1)[1].split("/", 1)[0]
        raise problem(f"is a URL, not host:port: {value!r}", f"write {bare}")
    if not colon or not host or not re.fullmatch(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", host):
        raise problem(f"is not host:port: {value!r}", "write it as 127.0.0.1:9101")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise problem(f"has no port between 1 and 65535: {value!r}", f"write {host}:9101")
    return value


HostPort = Annotated[str, BeforeValidator(_parse_host_port)]
"""An address as `host:port`; an IPv6 host stands in brackets."""
