"""Whether something answers over HTTP; `python -m stack.probe URL` checks a container's health."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

__all__ = ["answers"]


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether a GET of the http:// URL is answered with 200."""
    parts = urlsplit(url)
    # http.client, because it neither reads proxies from the environment nor loads certificates.
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if all(map(answers, sys.argv[1:])) else 1)
