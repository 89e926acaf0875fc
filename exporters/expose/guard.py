"""A token that those who write must send."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Guard", "TokenError", "read_token"]


class TokenError(ValueError):
    """A file of a token that holds none."""


def read_token(path: Path | None) -> str:
    """The token in a file, or "" where there is no file. Raises TokenError."""
    if path is None:
        return ""
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise TokenError(f"{path}: cannot be read: {error}") from None
    if not token:
        raise TokenError(f"{path}: holds no token; an empty one would let everybody write")
    return token


class Guard:
    """Lets only those write who send the token; everybody where it is empty."""

    def __init__(self, token: str) -> None:
        self.token = token

    def admits(self, authorization: bytes) -> bool:
        """Whether an Authorization header has the token."""
        if not self.token:
            return True
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(
            given.strip(), self.token.encode()
        )

    def wrap(self, application: ASGIApp, refuse: Callable[[str], Response]) -> ASGIApp:
        """The application, which answers writing without the token with what `refuse` gives.

        `refuse` is called with the path; the answer should be 401.
        """

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
                return await application(scope, receive, send)
            given = dict(scope["headers"]).get(b"authorization", b"")
            if self.admits(given):
                return await application(scope, receive, send)
            response = refuse(scope["path"])
            # The body is not read, so nothing else can come on this connection.
            response.headers.update({"WWW-Authenticate": "Bearer", "Connection": "close"})
            return await response(scope, receive, send)

        return guarded
