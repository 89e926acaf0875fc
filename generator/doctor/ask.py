"""Asking processes over HTTP: Prometheus's API, Alertmanager's, and what exporters expose."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any, Final

import httpx

from contract.spec import Spec

__all__ = ["AskError", "Prometheus", "Sample", "fetch", "fetch_json"]

TIMEOUT: Final = 30.0


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
    client: httpx.Client, path: str, who: str, parameters: dict[str, str] | None = None
) -> httpx.Response:
    try:
        response = client.get(path, params=parameters)
    except httpx.HTTPError as error:
        raise AskError(f"{who} does not answer: {str(error) or type(error).__name__}") from None
    if response.status_code in (401, 403):
        raise AskError(
            f"{who} answers {response.status_code}: set stack.prometheus_access in models.yaml"
        )
    if response.status_code != 200:
        first = " ".join(response.text.strip().splitlines()[:1])[:200]
        raise AskError(f"{who}{path} answers {response.status_code} {first}".rstrip())
    return response


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer, with its value now."""

    labels: dict[str, str]
    value: float

    @property
    def model(self) -> tuple[str, str]:
        """The name and version of the model that it is of."""
        return self.labels.get("model_name", ""), self.labels.get("model_version", "")


class Prometheus:
    """The HTTP API of the Prometheus of models.yaml; use it as a context manager."""

    def __init__(self, spec: Spec) -> None:
        """Connects with the first question. Raises AskError for a secret that can't be read."""
        access = spec.stack.prometheus_access
        self.address = spec.stack.prometheus
        self._who = access.url or self.address
        try:
            self._client = httpx.Client(
                base_url=access.url or f"http://{spec.stack.prometheus}",
                trust_env=False,
                timeout=TIMEOUT,
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

    def api(self, path: str, **parameters: str) -> Any:
        """The data of GET /api/v1/PATH."""
        response = _get(self._client, f"/api/v1/{path}", self._who, parameters)
        try:
            answer = response.json()
        except json.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise AskError(f"{self._who} does not answer /api/v1/{path} as Prometheus does")
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """An instant vector; a scalar is one series without labels."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]

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
