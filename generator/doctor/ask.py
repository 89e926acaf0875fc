"""Asking processes over HTTP: Prometheus's API, Alertmanager's, and what exporters expose."""

from __future__ import annotations

import datetime as dt
import json
import ssl
from dataclasses import dataclass
from typing import Any, Final

import httpx

from contract.spec import Spec

__all__ = ["AskError", "Prometheus", "Sample", "Series", "fetch", "fetch_json"]

TIMEOUT: Final = 30.0
SETTLING: Final = 180.0
"""Seconds after its start in which Prometheus may not have evaluated every rule, nor have sent an
alert: the first one is lost and repeated after a minute."""


class AskError(Exception):
    """Nobody answered, or not with what was asked for; the message says who and what."""


def fetch(address: str, path: str, *, timeout: float = TIMEOUT) -> str:
    """The body of a GET from host:port. Raises AskError for no answer, or any status but 200."""
    # What is asked is a neighbour: a proxy of the environment is for the world outside.
    with httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=timeout) as client:
        return _get(client, path, address).text


def fetch_json(address: str, path: str) -> Any:
    """The same as data."""
    try:
        return json.loads(fetch(address, path))
    except json.JSONDecodeError as error:
        raise AskError(f"{address}{path} is not JSON: {error}") from None


def _get(
    client: httpx.Client,
    path: str,
    who: str,
    parameters: dict[str, str] | None = None,
    *,
    method: str = "GET",
) -> httpx.Response:
    try:
        if method == "POST":
            response = client.post(path, data=parameters)
        else:
            response = client.get(path, params=parameters)
    except httpx.ReadTimeout:
        seconds = client.timeout.read or 0
        raise AskError(f"{who} gives no answer within {seconds:g} seconds") from None
    except httpx.HTTPError as error:
        raise AskError(f"{who} does not answer: {str(error) or type(error).__name__}") from None
    if response.status_code in (401, 403):
        raise AskError(
            f"{who} answers {response.status_code}: set stack.prometheus_access in models.yaml"
        )
    if response.status_code != 200:
        first = _reason(response)
        raise AskError(f"{who}{path} answers {response.status_code} {first}".rstrip())
    return response


def _reason(response: httpx.Response) -> str:
    """What a refusal says: Prometheus's own words, or the first line."""
    try:
        return str(response.json()["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return " ".join(response.text.strip().splitlines()[:1])[:200]


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer, with its value now."""

    labels: dict[str, str]
    value: float

    @property
    def model(self) -> tuple[str, str]:
        """The name and version of the model that it is of."""
        return self.labels.get("model_name", ""), self.labels.get("model_version", "")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a range: its labels, and its values by their Unix time."""

    labels: dict[str, str]
    values: dict[float, float]


class Prometheus:
    """The HTTP API of the Prometheus of models.yaml; use it as a context manager."""

    def __init__(self, spec: Spec, *, timeout: float = TIMEOUT) -> None:
        """Connects with the first question. Raises AskError for a secret that can't be read."""
        self._timeout = timeout
        self.warnings: dict[str, None] = {}
        """What answers came with, each once: of several servers one may not have answered."""
        access = spec.stack.prometheus_access
        self.address = spec.stack.prometheus
        self.who = access.url or self.address
        try:
            self._client = httpx.Client(
                base_url=access.url or f"http://{spec.stack.prometheus}",
                trust_env=False,
                timeout=httpx.Timeout(timeout, connect=5),
                verify=ssl.create_default_context(cafile=access.ca and spec.path(access.ca)),
                auth=_credentials(spec),
                headers=_token(spec),
            )
        except OSError as error:
            raise AskError(f"stack.prometheus_access: {error}") from None

    def __enter__(self) -> Prometheus:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def api(self, path: str, *, method: str = "GET", **parameters: str) -> Any:
        """The data of /api/v1/PATH."""
        response = _get(self._client, f"/api/v1/{path}", self.who, parameters, method=method)
        try:
            answer = response.json()
        except json.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise AskError(f"{self.who} does not answer /api/v1/{path} as Prometheus does")
        self.warnings |= dict.fromkeys(answer.get("warnings") or ())
        return answer["data"]

    def query(self, expression: str, *, at: float | None = None) -> list[Sample]:
        """An instant vector, now or at a Unix time; a scalar is one series without labels."""
        moment = {} if at is None else {"time": f"{at:.3f}"}
        data = self._evaluated("query", query=expression, **moment)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]

    def query_range(
        self, expression: str, *, start: float, end: float, step: float
    ) -> list[Series]:
        """The matrix of an expression, from start to end (Unix times, both included)."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        data = self._evaluated("query_range", query=expression, **times)
        return [
            Series(one["metric"], {float(at): float(value) for at, value in one["values"]})
            for one in data["result"]
        ]

    def _evaluated(self, path: str, **parameters: str) -> Any:
        # Posted: an expression that names many models is longer than some let a URL be.
        limit = f"{self._timeout:g}s"
        return self.api(path, method="POST", **parameters, timeout=limit)

    def retention(self) -> str:
        """For how long it keeps samples, as it says itself: 35d, or 2w or 10GiB."""
        return str(self.api("status/runtimeinfo").get("storageRetention", ""))

    def settling(self) -> str:
        """That it started only just, and when; empty where it had time for every rule."""
        try:
            started = dt.datetime.fromisoformat(self.api("status/runtimeinfo")["startTime"])
        except (AskError, KeyError, ValueError):
            return ""
        age = (dt.datetime.now(dt.UTC) - started).total_seconds()
        return f"Prometheus started {age:.0f} s ago" if age < SETTLING else ""

    def number(self, expression: str) -> float | None:
        """The one value of a query; None where it has none."""
        found = self.query(expression)
        return found[0].value if found else None


def _credentials(spec: Spec) -> tuple[str, str] | None:
    access = spec.stack.prometheus_access
    if access.username is None or access.password_file is None:
        return None
    return access.username, spec.path(access.password_file).read_text().strip()


def _token(spec: Spec) -> dict[str, str]:
    file = spec.stack.prometheus_access.token_file
    return {"Authorization": f"Bearer {spec.path(file).read_text().strip()}"} if file else {}
