"""Answers of a query API over real HTTP: whole ones are taken, all others are errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import pytest

from exporters.drift.prometheus import Prometheus, PrometheusError
from tests.exporters.drift.counting import listening
from tests.processes import free_port

VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1.5, "2.25"]}]},
}


@contextmanager
def answering(
    body: object, *, status: int = 200, delay: float = 0
) -> Iterator[tuple[str, list[str]]]:
    """A server that answers every query alike; gives its URL and the forms it was sent."""
    forms: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            forms.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            text = (body if isinstance(body, str) else json.dumps(body)).encode()
            time.sleep(delay)
            # Who asked may have given up by now.
            with suppress(BrokenPipeError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        def log_message(self, *_: object, **__: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        yield f"http://{address}", forms


def test_a_vector_is_its_samples() -> None:
    with answering(VECTOR) as (url, forms):
        prometheus = Prometheus(f"{url}/")
        [sample] = prometheus.query("sum(x)", at=1700000000.25)
        prometheus.close()
    assert (sample.metric, sample.value) == ({"a": "b"}, (1.5, "2.25"))
    assert parse_qs(forms[0]) == {
        "query": ["sum(x)"],
        "time": ["1700000000.250"],
        "timeout": ["30s"],
    }


def test_notes_on_a_whole_answer_do_not_spoil_it() -> None:
    with answering({**VECTOR, "infos": ["might not be a counter"], "warnings": []}) as (url, _):
        assert len(Prometheus(url).query("x", at=0)) == 1


ERRORS: dict[str, tuple[object, int, str]] = {
    "an error of the query": (
        {"status": "error", "errorType": "execution", "error": "too many samples"},
        422,
        "too many samples",
    ),
    "a warning, as Thanos gives with a partial answer": (
        {**VECTOR, "warnings": ["store a did not answer"]},
        200,
        "a partial answer: store a did not answer",
    ),
    "a partial answer of VictoriaMetrics": ({**VECTOR, "isPartial": True}, 200, "isPartial"),
    "an answer that is no vector": (
        {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}},
        200,
        "an answer that is no vector",
    ),
    "a vector that is none": (
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": 1}]}},
        200,
        "a vector that cannot be read",
    ),
    "a page of a proxy": ("<html>Bad gateway</html>", 502, "status 502 and no answer"),
    "an answer cut short": (json.dumps(VECTOR)[:40], 200, "status 200 and no answer"),
    "a success that is none": (VECTOR, 500, "500"),
}


@pytest.mark.parametrize(("body", "status", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_anything_else_is_an_error(body: object, status: int, message: str) -> None:
    with answering(body, status=status) as (url, _), pytest.raises(PrometheusError, match=message):
        Prometheus(url).query("x", at=0)


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(PrometheusError, match="refused"):
        Prometheus(f"http://127.0.0.1:{free_port()}").query("x", at=0)


def test_an_answer_that_takes_too_long_is_an_error() -> None:
    with (
        answering(VECTOR, delay=0.5) as (url, _),
        pytest.raises(PrometheusError, match="timed out"),
    ):
        Prometheus(url, timeout=0.1).query("x", at=0)
