"""The health of models' upstreams, probed at an interval, so that silence is told from idleness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx

from contract import catalog, logs
from contract.spec import Model
from exporters.expose import Family, Series, series

__all__ = ["PROBED_PATHS", "Health"]

log = logs.logger()

PROBED_PATHS: Final = (
    "/v2/models/{model}/ready",
    "/v2/health/ready",
    "/v1/models/{model}",
    "/ping",
    "/readyz",
    "/healthz",
    "/health",
)
"""Where servers have their readiness, the most telling first: the Open Inference Protocol,
TensorFlow Serving, MLflow and SageMaker, and what others use. The first that has answered with a
success is a model's own from then on."""

TIMEOUTS: Final = (1.0, 5.0)
"""Seconds that a probe waits for its answer: as long as the interval, but no less and no more."""


@dataclass(slots=True)
class _Probed:
    """One model version and what its probes found. `path` is None until one has been found."""

    model: Model
    path: str | None
    ready: bool | None = None
    probes: int = 0
    failures: int = 0
    why: str = ""


class Health:
    """The probes of all models that have an upstream."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._probed = [
            _Probed(model, model.serving.health) for model in models if model.serving.upstream
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Probe each upstream, at the model's interval, for the length of the block."""
        async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as client:
            tasks = [asyncio.create_task(_probe_on(client, probed)) for probed in self._probed]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task

    def families(self) -> Iterator[Family]:
        """What is known now; a model that was not probed yet is absent from ml_model_loaded."""
        loaded = [
            (probed, int(probed.ready)) for probed in self._probed if probed.ready is not None
        ]
        yield Family(
            catalog.MODEL_LOADED,
            [(_series(catalog.MODEL_LOADED, probed), ready) for probed, ready in loaded],
        )
        for metric, name in (
            (catalog.UPSTREAM_PROBES, "probes"),
            (catalog.UPSTREAM_PROBE_FAILURES, "failures"),
        ):
            yield Family(
                metric,
                [(_series(metric, probed), getattr(probed, name)) for probed in self._probed],
            )

    def status(self) -> dict[tuple[str, str], dict[str, object]]:
        """The same for /v1/status, by model name and version; `ready` is None before a probe."""
        return {
            probed.model.key: {
                "upstream": probed.model.serving.upstream,
                "ready": probed.ready,
                "path": probed.path,
                "why": probed.why,
            }
            for probed in self._probed
        }


async def _probe_on(client: httpx.AsyncClient, probed: _Probed) -> None:
    interval = probed.model.serving.probe_interval.seconds
    while True:
        began = asyncio.get_running_loop().time()
        why = await _probe(client, probed, min(max(interval, TIMEOUTS[0]), TIMEOUTS[1]))
        probed.probes += 1
        probed.failures += bool(why)
        if probed.ready is not (not why):
            name, version = probed.model.key
            say = log.warning if why else log.info
            say("upstream_probed", model=name, version=version, ready=not why, why=why)
        probed.ready, probed.why = not why, why
        spent = asyncio.get_running_loop().time() - began
        await asyncio.sleep(max(interval - spent, 0.05))


async def _probe(client: httpx.AsyncClient, probed: _Probed, timeout: float) -> str:
    """Why the model is not ready; empty where it is."""
    paths = (probed.path,) if probed.path else PROBED_PATHS
    answers = []
    try:
        async with asyncio.timeout(timeout):
            for path in paths:
                name = path.replace("{model}", probed.model.name)
                response = await client.get(f"{probed.model.serving.upstream}{name}")
                if response.is_success:
                    probed.path = path
                    return ""
                answers.append(f"{name} answers {response.status_code}")
                if response.status_code >= 500:
                    break
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return str(error) or type(error).__name__
    return "; ".join(answers)


def _series(metric: catalog.Metric, probed: _Probed) -> Series:
    name, version = probed.model.key
    return series(metric, model_name=name, model_version=version)
