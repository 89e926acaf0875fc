"""A real MLServer, from PyPI."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.environments import installed
from tests.processes import Running, free_port, running

__all__ = ["serving_iris"]

REQUIREMENTS = Path(__file__).parent / "mlserver-requirements.txt"
"""mlserver and mlserver-sklearn, resolved with `uv pip compile --universal --generate-hashes`."""

TRAIN = """\
import sys
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
rows, classes = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(rows, classes), sys.argv[1])
"""


@contextmanager
def serving_iris(folder: Path) -> Iterator[tuple[str, Running]]:
    """MLServer with a classifier of irises; its address."""
    programs = installed("mlserver", REQUIREMENTS)
    model = folder / "iris"
    model.mkdir()
    subprocess.run([programs / "python", "-c", TRAIN, model / "model.joblib"], check=True)
    (model / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "iris",
                "implementation": "mlserver_sklearn.SKLearnModel",
                "parameters": {"uri": "./model.joblib", "version": "1"},
            }
        )
    )
    port = free_port()
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "http_port": port,
                "grpc_port": free_port(),
                "metrics_port": free_port(),
                "parallel_workers": 0,
            }
        )
    )
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [programs / "mlserver", "start", "."]
    path = f"{programs}:{os.environ['PATH']}"
    ready = f"{url}/v2/models/iris/ready"
    with running(command, ready_url=ready, cwd=folder, env={"PATH": path}, seconds=90) as process:
        yield url, process
