"""A model server like many: FastAPI, scikit-learn models, and the sidecar's client.

python -m examples.demo.server --listen 127.0.0.1:8001 --sidecar http://127.0.0.1:9101
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from contract import logs
from examples.demo.command_line import (
    DATA_FOLDER,
    SIDECAR,
    add_log_format,
    add_models,
    listening_socket,
    parse_url,
    served,
)
from examples.demo.data import Dataset, Value, read_dataset
from examples.demo.faults import Change, Faults, Switches
from examples.demo.model import Model, artifact_path, fit_model, read_model, write_model
from exporters.sidecar.client import Call, Monitor

__all__ = ["build_app", "main", "read_or_train"]

log = logs.logger()


class Request(BaseModel):
    """What POST /predict/{model} takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: dict[str, Value | None] = Field(examples=[{"age": 59, "sex": 2, "bmi": 32.1}])
    """A number, or the name of a category; null where it is not known."""


class Answer(BaseModel):
    """What POST /predict/{model} answers."""

    prediction_id: str
    model_version: str
    prediction: str | float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """A second version of a model that gets a share of its requests.

    It is the same model: it does otherwise only what is switched on for it.
    """

    model: str
    version: str
    share: float

    @property
    def name(self) -> str:
        """What it is called where something is switched on for it."""
        return f"{self.model}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> Canary:
        """`breast-cancer@1.1.0=20%`."""
        found = re.fullmatch(r"([^@=]+)@([^@=]+)=(\d+(?:\.\d+)?)%", text)
        if found is None or not 0 < float(found[3]) <= 100:
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME@1.1.0=20%")
        return cls(found[1], found[2], float(found[3]) / 100)


class AllFaults(BaseModel):
    """What is switched on, by model."""

    models: dict[str, Switches]


def build_app(
    models: Mapping[str, Model], monitor: Monitor, canaries: Sequence[Canary] = ()
) -> FastAPI:
    """The server's application for models by the names they are served under.

    `monitor` hears of every prediction.
    """
    app = FastAPI(title="Demo model server")
    data = {name: read_dataset(model.name) for name, model in models.items()}
    faults = Faults(data | {one.name: data[one.model] for one in canaries})
    canary_of = {one.model: one for one in canaries}

    @app.post("/predict/{model}", response_model_exclude_none=True)
    async def predict(model: str, request: Request) -> Answer:
        if model not in models:
            raise HTTPException(404, f"no model {model!r} here, only {', '.join(models)}")
        served = models[model]
        switches = faults.of(model)
        canary = canary_of.get(model)
        if canary is not None and random.random() < canary.share:
            served, switches = replace(served, version=canary.version), faults.of(canary.name)
        with monitor.inference(model, served.version) as call:
            # An await and no thread is held: a latency spike must not use up a pool.
            await asyncio.sleep(switches.extra_latency_seconds)
            return _answer(served, request.features, call, switches)

    @app.get("/faults")
    async def read_faults() -> AllFaults:
        return AllFaults(models=faults.all())

    @app.post("/faults")
    async def change_faults(change: Change) -> AllFaults:
        try:
            faults.apply(change)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        log.info("faults_changed", **change.model_dump(exclude_none=True))
        return AllFaults(models=faults.all())

    @app.delete("/faults")
    async def clear_faults(model: str | None = None) -> AllFaults:
        try:
            faults.clear(model)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        log.info("faults_cleared", model=model)
        return AllFaults(models=faults.all())

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", "models": {name: model.version for name, model in models.items()}}

    return app


def _answer(
    model: Model, features: Mapping[str, Value | None], call: Call, switches: Switches
) -> Answer:
    with call.stage("preprocess"):
        row = _row(model, features, call)
    call.record(features=features)
    with call.stage("inference"):
        if random.random() < switches.error_ratio:
            # FastAPI makes this a 500; leaving the block by it is what makes it an error.
            raise HTTPException(500, "injected fault: the model could not be run")
        raw = model.infer(row)
    with call.stage("postprocess"):
        (outcome,) = model.interpret(_disturbed(raw, switches))
    call.record(prediction=outcome.prediction, confidence=outcome.confidence)
    return Answer(
        prediction_id=call.prediction_id,
        model_version=model.version,
        prediction=outcome.prediction,
        confidence=outcome.confidence,
    )


def _disturbed(raw: NDArray[np.float64], switches: Switches) -> NDArray[np.float64]:
    """Raw output for one row as the switches have it; those that are here need classes."""
    if switches.flat_confidence:
        raw = raw + switches.flat_confidence * (1 / raw.shape[1] - raw)
    if random.random() < switches.wrong_ratio:
        raw = raw[:, ::-1]
    return raw


def _row(model: Model, features: Mapping[str, Value | None], call: Call) -> NDArray[np.float64]:
    """The features as (1, features), in the model's order; a row it can't use is rejected."""
    try:
        return model.row(features)
    except ValueError as error:
        call.reject()
        raise HTTPException(422, f"features: {error}") from None


def read_or_train(dataset: Dataset, folder: Path) -> Model:
    """The model from its artifact; trained now, and kept, when there is none."""
    path = artifact_path(folder, dataset)
    if path.exists():
        return read_model(path)
    model = fit_model(dataset)
    write_model(model, path)
    log.info("model_trained", model=dataset.name, version=dataset.version, artifact=str(path))
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logs.setup("demo-server", options.log_format)
    try:
        models = {
            name: read_or_train(dataset, options.data_dir / "demo")
            for name, dataset in served(options).items()
        }
        if strangers := {one.model for one in options.canary} - models.keys():
            raise ValueError(f"--canary: no model {min(strangers)!r} here")
    except (OSError, ValueError) as error:
        log.error("no_models", reason=str(error))
        return 2
    monitor = Monitor(options.sidecar)
    config = uvicorn.Config(
        build_app(models, monitor, options.canary),
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    # Uvicorn takes the signals itself while it runs, and repeats them to us when it has stopped.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    host, port = options.listen.getsockname()[:2]
    log.info("listening", address=f"{host}:{port}", models=list(models), sidecar=options.sidecar)
    server.run(sockets=[options.listen])
    monitor.close()
    log.info("stopped")
    return 0 if server.started else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.server",
        description="Serve the demo's models, which are trained first when need be.",
        epilog="example: python -m examples.demo.server --listen 127.0.0.1:8001",
    )
    parser.add_argument(
        "--listen",
        type=listening_socket,
        default="127.0.0.1:8001",
        metavar="HOST:PORT",
        help="default: %(default)s; port 0 takes a free one",
    )
    parser.add_argument(
        "--sidecar",
        type=parse_url,
        default=SIDECAR,
        metavar="URL",
        help="where to send what happens; default: %(default)s",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DATA_FOLDER,
        metavar="DIR",
        help="artifacts go to its folder demo; default: %(default)s",
    )
    parser.add_argument(
        "--canary",
        type=Canary.parse,
        action="append",
        default=[],
        metavar="NAME@VERSION=SHARE",
        help="answer a share of a model's requests as another version of it, for example "
        "breast-cancer@1.1.0=20%%; faults are switched on for NAME@VERSION",
    )
    add_models(parser)
    add_log_format(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
