"""Prometheus's HTTP API: what a dashboard asks of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

__all__ = ["Asked", "Prometheus", "PrometheusError", "Series"]

AT_ONCE: Final = 8
"""Queries in flight; Prometheus itself runs at most 20 at a time."""


class PrometheusError(Exception):
    """No answer, or a refusal; the message is for the person who looks at the panel."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and values by Unix time in seconds (finite, or NaN)."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: of a range when `step` is given, else of the moment `end`. All in seconds."""

    expression: str
    end: float
    start: float = 0.0
    step: float | None = None


class Prometheus:
    """A connection to one Prometheus. Use it as a context manager."""

    def __init__(self, url: str, *, timeout: float = 20) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prometheus")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it; queries in flight are waited for."""
        self._pool.shutdown()
        self._client.close()

    def answers(self, asked: Sequence[Asked]) -> list[tuple[Series, ...] | PrometheusError]:
        """The answer to each query, in their order; what can't be answered is its error."""
        return list(self._pool.map(self._answer, asked))

    def _answer(self, asked: Asked) -> tuple[Series, ...] | PrometheusError:
        try:
            return self.query(asked)
        except PrometheusError as error:
            return error

    def query(self, asked: Asked) -> tuple[Series, ...]:
        """The series of one answer. Raises PrometheusError."""
        if asked.step is None:
            form = {"query": asked.expression, "time": f"{asked.end:.3f}"}
            data = self._ask("POST", "/api/v1/query", form)
        else:
            form = {
                "query": asked.expression,
                "start": f"{asked.start:.3f}",
                "end": f"{asked.end:.3f}",
                "step": f"{asked.step:g}",
            }
            data = self._ask("POST", "/api/v1/query_range", form)
        if data["resultType"] == "scalar":
            return (_series({}, [data["result"]]),)
        return tuple(
            _series(one["metric"], one["values"] if "values" in one else [one["value"]])
            for one in data["result"]
        )

    def label_values(self, label: str, match: str, *, start: float, end: float) -> list[str]:
        """The values of a label among the series that match. Raises PrometheusError."""
        form = {"start": f"{start:.3f}", "end": f"{end:.3f}"} | (
            {"match[]": match} if match else {}
        )
        found = self._ask("GET", f"/api/v1/label/{label}/values", form)
        return [str(value) for value in found]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that fire or are pending, as Prometheus lists them. Raises PrometheusError."""
        alerts: list[dict[str, Any]] = self._ask("GET", "/api/v1/alerts", {})["alerts"]
        return alerts

    def _ask(self, method: str, path: str, form: dict[str, str]) -> Any:
        try:
            if method == "POST":
                response = self._client.post(path, data=form)
            else:
                response = self._client.get(path, params=form)
        except httpx.TimeoutException as error:
            raise PrometheusError(f"Prometheus at {self.url} takes too long to answer") from error
        except httpx.HTTPError as error:
            raise PrometheusError(f"Prometheus at {self.url} does not answer: {error}") from error
        try:
            body = response.json()
            if body["status"] == "success":
                return body["data"]
            raise PrometheusError(f"Prometheus refuses the query: {body['error']}")
        except (ValueError, KeyError, TypeError) as error:
            raise PrometheusError(
                f"{self.url} is no Prometheus: HTTP {response.status_code} to {path}"
            ) from error


def _series(labels: Mapping[str, str], pairs: Sequence[Sequence[Any]]) -> Series:
    values = (float(text) for _, text in pairs)
    return Series(
        labels,
        tuple(float(time) for time, _ in pairs),
        # An infinite value can't be drawn; it is a gap, as in Grafana.
        tuple(value if math.isfinite(value) else math.nan for value in values),
    )
