"""Durations, ratios and addresses as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import PydanticCustomError

from contract.quantity import Duration, HostPort, parse_ratio

host_port: Callable[[object], str] = TypeAdapter(HostPort).validate_python

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

DURATIONS: dict[str, tuple[int, str]] = {
    "1ms": (1, "1ms"),
    "250ms": (250, "250ms"),
    "1000ms": (SECOND, "1s"),
    "0.5s": (500, "500ms"),
    "1.5s": (1_500, "1s500ms"),
    "1.005s": (1_005, "1s5ms"),
    "90s": (90 * SECOND, "1m30s"),
    "1.1h": (66 * MINUTE, "1h6m"),
    "1h30m": (90 * MINUTE, "1h30m"),
    "24h": (DAY, "1d"),
    "2w": (14 * DAY, "14d"),
    "30d": (30 * DAY, "30d"),
    "100w": (700 * DAY, "700d"),
}


@pytest.mark.parametrize(("text", "expected"), DURATIONS.items(), ids=DURATIONS)
def test_a_duration_is_whole_milliseconds_and_written_as_prometheus_does(
    text: str, expected: tuple[int, str]
) -> None:
    duration = Duration.parse(text)
    assert (duration.milliseconds, str(duration)) == expected
    assert duration.seconds == expected[0] / 1000


REFUSED_DURATIONS: dict[str, tuple[object, str, str]] = {
    "a bare number": (250, "needs a unit, got 250", "write 250ms, 250s, 250m or 250d"),
    "a bare fraction": (0.5, "needs a unit, got 0.5", "write 0.5ms, 0.5s, 0.5m or 0.5d"),
    "a number as text": ("250", "is not a duration: '250'", "write it as 250ms, 30s"),
    "a unit alone": ("ms", "is not a duration: 'ms'", "write it as 250ms, 30s"),
    "nothing": ("", "is not a duration: ''", "write it as 250ms, 30s"),
    "years, which are no one length": ("1y", "is not a duration: '1y'", "write it as"),
    "a space in it": ("5 m", "is not a duration: '5 m'", "write it as"),
    "a sign": ("-5m", "is not a duration: '-5m'", "write it as"),
    "upper case": ("5M", "is not a duration: '5M'", "write it as"),
    "digits of another script": ("٣s", "is not a duration: '٣s'", "write it as"),
    "a line break at the end": ("5m\n", "is not a duration: '5m\\n'", "write it as"),
    "a truth value": (True, "is not a duration: True", "write it as"),
    "a list": ([5], "is not a duration: [5]", "write it as"),
    "braces": ("{x}", "is not a duration: '{x}'", "write it as"),
    "zero": ("0s", "is not a whole number of milliseconds above 0: '0s'", ""),
    "less than a millisecond": ("0.5ms", "is not a whole number of milliseconds", ""),
    "more than Prometheus counts": ("5201000w", "is longer than 100 years: '5201000w'", ""),
}


@pytest.mark.parametrize(
    ("value", "message", "suggestion"), REFUSED_DURATIONS.values(), ids=REFUSED_DURATIONS
)
def test_a_duration_is_refused_with_a_suggestion(
    value: object, message: str, suggestion: str
) -> None:
    assert_refused(Duration.parse, value, message, suggestion)


def assert_refused(
    parse: Callable[[Any], object], value: object, message: str, suggestion: str
) -> None:
    with pytest.raises(ValueError) as raised:
        parse(value)
    error: Any = raised.value
    if isinstance(error, PydanticCustomError):
        said, context = error.message(), error.context or {}
    else:
        [found] = error.errors()
        said, context = found["msg"], found["ctx"]
    assert said.startswith(message)
    assert context["suggestion"].startswith(suggestion)


@given(st.integers(min_value=1, max_value=100 * 365 * DAY))
def test_what_a_duration_prints_reads_back_as_itself(milliseconds: int) -> None:
    duration = Duration(milliseconds)
    assert Duration.parse(str(duration)) == duration


def test_zero_prints_as_prometheus_reads_it() -> None:
    assert str(Duration(0)) == "0s"


SCALED = {
    "as it is without a scale": ("5m", 1.0, "5m"),
    "divided by the scale": ("5m", 10.0, "30s"),
    "rounded to milliseconds": ("1m", 7.0, "8s571ms"),
    "never below a second": ("30s", 1000.0, "1s"),
    "not lengthened to a second": ("250ms", 10.0, "250ms"),
}


@pytest.mark.parametrize(("text", "factor", "expected"), SCALED.values(), ids=SCALED)
def test_a_duration_is_scaled(text: str, factor: float, expected: str) -> None:
    assert str(Duration.parse(text).scaled(factor)) == expected


RATIOS = {"0%": 0.0, "5%": 0.05, "99.9%": 0.999, "99.99%": 0.9999, "100%": 1.0, "0.1%": 0.001}


@pytest.mark.parametrize(("text", "expected"), RATIOS.items(), ids=RATIOS)
def test_a_percentage_is_a_ratio_without_the_dust_of_binary_fractions(
    text: str, expected: float
) -> None:
    assert parse_ratio(text) == expected


@given(st.integers(min_value=0, max_value=1_000_000))
def test_every_percentage_of_four_places_is_the_nearest_ratio(ten_thousandths: int) -> None:
    assert parse_ratio(f"{ten_thousandths / 10_000:.4f}%") == ten_thousandths / 1_000_000


REFUSED_RATIOS: dict[str, tuple[object, str, str]] = {
    "a percentage without its sign": (99.9, "needs a %, got 99.9", "write 99.9%"),
    "a ratio": (0.999, "needs a %, got 0.999", "write 99.9%"),
    "one, which may be meant as either": (1, "needs a %, got 1", "write 1%"),
    "above 100%": ("101%", "is not a percentage between 0% and 100%: '101%'", ""),
    "below 0%": ("-1%", "is not a percentage between 0% and 100%: '-1%'", ""),
    "no number": ("many%", "is not a percentage between 0% and 100%: 'many%'", ""),
    "not a number": ("nan%", "is not a percentage between 0% and 100%: 'nan%'", ""),
    "text": ("most", "is not a ratio: 'most'", "write it as 99.9%"),
    "a truth value": (True, "is not a ratio: True", "write it as 99.9%"),
    "nothing": (None, "is not a ratio: None", "write it as 99.9%"),
}


@pytest.mark.parametrize(
    ("value", "message", "suggestion"), REFUSED_RATIOS.values(), ids=REFUSED_RATIOS
)
def test_a_ratio_is_refused_with_a_suggestion(value: object, message: str, suggestion: str) -> None:
    assert_refused(parse_ratio, value, message, suggestion)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:9101", "localhost:1", "model-1.svc.local:65535", "[::1]:9101"]
)
def test_an_address_is_taken_as_it_is(address: str) -> None:
    assert host_port(address) == address


REFUSED_ADDRESSES: dict[str, tuple[object, str, str]] = {
    "no port": ("localhost", "is not host:port: 'localhost'", "write it as 127.0.0.1:9101"),
    "no host": (":9101", "is not host:port: ':9101'", "write it as"),
    "a URL": ("http://a:9101/", "is a URL, not host:port: 'http://a:9101/'", "write a:9101"),
    "a URL with a path": ("http://a:9101/metrics", "is a URL, not host:port", "write a:9101"),
    "a port that is none": ("a:99999", "has no port between 1 and 65535", "write a:9101"),
    "port 0": ("a:0", "has no port between 1 and 65535", "write a:9101"),
    "a port in words": ("a:http", "has no port between 1 and 65535", "write a:9101"),
    "IPv6 without brackets": ("::1:9101", "is not host:port: '::1:9101'", "write it as"),
    "a path": ("a:9101/metrics", "has no port", "write a:9101"),
    "a number": (9101, "is not host:port: 9101", "write it as"),
    "a quote": ('a":9101', "is not host:port", "write it as"),
    "a line break": ("a:9101\n", "has no port", "write a:9101"),
}


@pytest.mark.parametrize(
    ("value", "message", "suggestion"), REFUSED_ADDRESSES.values(), ids=REFUSED_ADDRESSES
)
def test_an_address_is_refused_with_a_suggestion(
    value: object, message: str, suggestion: str
) -> None:
    assert_refused(host_port, value, message, suggestion)
