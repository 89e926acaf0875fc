"""Prometheus's query API, asked for instant vectors; partial answers are errors."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx
import msgspec

from contract.spec import Spec

__all__ = [
    "Access",
    "Prometheus",
    "PrometheusError",
    "RawSample",
    "Sample",
    "decode_labels",
    "prometheus_of",
]

T = TypeVar("T")

TIMEOUT: Final = 30.0
"""Seconds that a query may take, on either side."""


class PrometheusError(Exception):
    """A query without a whole answer, and why."""


class Sample(msgspec.Struct):
    """One series of an instant vector: its labels, and [Unix time, number as text]."""

    metric: dict[str, str]
    value: tuple[float, str]


class RawSample(msgspec.Struct, gc=False):
    """The same, its labels as the JSON they came as: hundreds of thousands are compared as such."""

    metric: msgspec.Raw
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result_type: str = msgspec.field(name="resultType")
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = msgspec.field(default_factory=list)
    is_partial: bool = msgspec.field(default=False, name="isPartial")
    """VictoriaMetrics says it so; Thanos and Mimir say it in warnings."""


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_samples = msgspec.json.Decoder(list[Sample]).decode
_decode_raw_samples = msgspec.json.Decoder(list[RawSample]).decode
decode_labels = msgspec.json.Decoder(dict[str, str]).decode
"""The labels of a raw sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a server asks of who asks: `secret` holds a password, or without `username` a token.

    `ca` is who signed its certificate, where the system does not know them.
    """

    ca: Path | None = None
    username: str | None = None
    secret: Path | None = None


class _FileAuth(httpx.Auth):
    """Authorization by a file that is read with each query, so that it may be replaced."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # takes no answer
        """Add the header."""
        secret = self._access.secret
        text = secret.read_text().strip() if secret is not None else ""
        if self._access.username is None:
            request.headers["Authorization"] = f"Bearer {text}"
        else:
            pair = base64.b64encode(f"{self._access.username}:{text}".encode()).decode()
            request.headers["Authorization"] = f"Basic {pair}"
        yield request


class Prometheus:
    """A server that speaks Prometheus's query API, at a base URL."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT, access: Access | None = None) -> None:
        """Connects with the first query. Raises PrometheusError for a CA that is none."""
        access = access or Access()
        self.url = url.rstrip("/")
        self._timeout = timeout
        try:
            trusted = ssl.create_default_context(cafile=access.ca)
        except OSError as error:
            raise PrometheusError(f"{access.ca}: holds no certificate: {error}") from None
        # Prometheus is a neighbour: a proxy of the environment is for the world outside.
        self._client = httpx.Client(
            trust_env=False,
            timeout=httpx.Timeout(timeout, connect=5),
            verify=trusted,
            auth=_FileAuth(access) if access.secret is not None else None,
        )

    def query(self, expression: str, *, at: float) -> Sequence[Sample]:
        """The instant vector of an expression at a Unix time. Raises PrometheusError."""
        return self._vector(expression, at, _decode_samples)

    def query_raw(self, expression: str, at: float) -> Sequence[RawSample]:
        """The same, with labels undecoded."""
        return self._vector(expression, at, _decode_raw_samples)

    def _vector(
        self, expression: str, at: float, decode: Callable[[msgspec.Raw], list[T]]
    ) -> list[T]:
        form = {"query": expression, "time": f"{at:.3f}", "timeout": f"{self._timeout:g}s"}
        try:
            response = self._client.post(f"{self.url}/api/v1/query", data=form)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PrometheusError(f"{self.url}: {str(error) or type(error).__name__}") from None
        except (OSError, ValueError) as error:
            raise PrometheusError(f"{self.url}: its password or token: {error}") from None
        if response.status_code in (401, 403):
            raise PrometheusError(
                f"{self.url}: {response.status_code}: set stack.prometheus_access in models.yaml"
            )
        try:
            answer = _decode_answer(response.content)
        except msgspec.DecodeError:
            raise PrometheusError(
                f"{self.url}: status {response.status_code} and no answer of a query API"
            ) from None
        if answer.status != "success" or response.status_code != 200:
            raise PrometheusError(f"{self.url}: {answer.error or response.status_code}")
        if answer.warnings or answer.is_partial:
            reason = "; ".join(answer.warnings) or "isPartial"
            raise PrometheusError(f"{self.url}: a partial answer: {reason}")
        if answer.data is None or answer.data.result_type != "vector":
            raise PrometheusError(f"{self.url}: an answer that is no vector")
        try:
            return decode(answer.data.result)
        except msgspec.DecodeError as error:
            raise PrometheusError(f"{self.url}: a vector that cannot be read: {error}") from None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def prometheus_of(spec: Spec, address: str | None = None) -> Prometheus:
    """The Prometheus of models.yaml, or the one at another address with the same access."""
    own = spec.stack.prometheus_access
    secret = own.password_file or own.token_file
    access = Access(
        ca=None if own.ca is None else spec.path(own.ca),
        username=own.username,
        secret=None if secret is None else spec.path(secret),
    )
    return Prometheus(address or own.url or f"http://{spec.stack.prometheus}", access=access)
