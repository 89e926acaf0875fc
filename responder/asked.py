"""What a request asks for."""

from __future__ import annotations

from starlette.requests import Request

__all__ = ["TooLongError", "prefers_html", "read_body"]


class TooLongError(ValueError):
    """A body that is longer than is read."""


def prefers_html(request: Request) -> bool:
    """A browser asks for text/html; curl and programs take anything and get JSON."""
    accept = request.headers.get("accept", "")
    return "text/html" in accept and "application/json" not in accept


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request. Raises TooLongError beyond `limit` bytes."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise TooLongError(f"is longer than {limit} bytes")
    return b"".join(parts)
