from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from examples.demo.data import DATASETS, read_dataset
from examples.demo.model import Model
from examples.demo.server import Canary, build_app, read_or_train
from exporters.sidecar.client import Monitor
from tests.exporters.sidecar.recorder import Recorder, recording


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder: Path = tmp_path_factory.mktemp("artifacts")
    return {name: read_or_train(read_dataset(name), folder) for name in DATASETS}


@pytest.fixture
def sidecar() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def monitor(sidecar: Recorder) -> Iterator[Monitor]:
    made = Monitor(sidecar.url, flush_interval=0.01)
    yield made
    made.close()


@pytest.fixture
def server(models: dict[str, Model], monitor: Monitor) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener, serving(models, monitor, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def serving(
    models: dict[str, Model],
    monitor: Monitor,
    listener: socket.socket,
    canaries: Sequence[Canary] = (),
) -> Iterator[None]:
    """The model server in a thread of this process, on a real port."""
    app = build_app(models, monitor, canaries)
    config = uvicorn.Config(app, log_config=None, log_level="warning")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        yield
    finally:
        running.should_exit = True
        thread.join()
