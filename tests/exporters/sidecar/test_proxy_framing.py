"""The ends of bodies are found wherever the network cuts them."""

from __future__ import annotations

import pytest

from exporters.sidecar.proxy.framing import (
    Body,
    MalformedError,
    parse_request,
    parse_response,
)

CHUNKED = b'5\r\nhello\r\n0a;x="y"\r\n0123456789\r\n000\r\nX-T: 1\r\n\r\n'
PAYLOAD = b"hello0123456789"
AFTER = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize("cut", range(len(CHUNKED) + 1))
def test_a_chunked_body_ends_where_it_ends_however_it_is_cut(cut: int) -> None:
    body, held = Body(chunked=True), bytearray()
    body.sink = held.extend
    first = body.feed(CHUNKED[:cut])
    assert first == cut
    assert body.done is (cut == len(CHUNKED))
    if not body.done:
        rest = CHUNKED[cut:] + AFTER
        assert body.feed(rest) == len(rest) - len(AFTER)
    assert body.done
    assert bytes(held) == PAYLOAD


def test_a_chunked_body_may_come_byte_by_byte() -> None:
    body, held = Body(chunked=True), bytearray()
    body.sink = held.extend
    for place in range(len(CHUNKED)):
        assert not body.done
        assert body.feed(CHUNKED[place : place + 1]) == 1
    assert body.done
    assert bytes(held) == PAYLOAD


BROKEN = {
    "a size that is none": b"g\r\n",
    "a sign before the size": b"+1\r\na\r\n",
    "a size that is too long": b"1" * 16 + b"\r\n",
    "a line end that is half": b"1\na\r\n",
    "more than the size": b"1\r\nab\r\n",
    "a trailer with a control character": b"0\r\nX: \x00\r\n\r\n",
    "an extension without end": b"1;" + b"x" * 5000,
    "trailers without end": b"0\r\n" + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_broken_chunked_body_is_seen_as_a_whole_and_byte_by_byte(sent: bytes) -> None:
    with pytest.raises(MalformedError):
        Body(chunked=True).feed(sent)
    with pytest.raises(MalformedError):
        feed_bytes(Body(chunked=True), sent)


def feed_bytes(body: Body, sent: bytes) -> None:
    for place in range(len(sent)):
        body.feed(sent[place : place + 1])


def test_a_body_of_a_known_length_leaves_what_follows() -> None:
    body = Body(length=3)
    assert body.feed(b"ab") == 2
    assert not body.done
    assert body.feed(b"cdef") == 1
    assert body.done


def test_a_request_without_length_has_no_body() -> None:
    assert parse_request(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").body().done


LENGTHS = {
    "the same twice": (b"Content-Length: 3\r\nContent-Length: 3\r\n", False),
    "the same twice in one": (b"Content-Length: 3, 3\r\n", False),
    "nothing": (b"Content-Length: \r\n", True),
    "a number of another script": ("Content-Length: ٣\r\n".encode(), True),
    "too many digits": (b"Content-Length: " + b"9" * 30 + b"\r\n", True),
    "hexadecimal": (b"Content-Length: 0x3\r\n", True),
}


@pytest.mark.parametrize(("line", "wrong"), LENGTHS.values(), ids=LENGTHS)
def test_a_length_is_digits_and_one_number(line: bytes, wrong: bool) -> None:
    request = parse_request(b"POST / HTTP/1.1\r\n" + line + b"\r\n")
    if wrong:
        with pytest.raises(MalformedError):
            request.body()
    else:
        assert request.body().feed(b"abcd") == 3


def test_an_answer_that_is_no_http_is_malformed() -> None:
    for head in (b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n"):
        with pytest.raises(MalformedError):
            parse_response(head)
