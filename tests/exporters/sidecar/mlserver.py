"""A real MLServer, from PyPI, in an environment of its own that is made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import ROOT, Running, free_port, running

__all__ = ["installed", "serving_iris"]

REQUIREMENTS = Path(__file__).parent / "mlserver-requirements.txt"
"""mlserver and mlserver-sklearn, resolved with `uv pip compile --universal --generate-hashes`."""

CACHE = ROOT / ".cache/mlserver"

TRAIN = """\
import sys
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
rows, classes = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(rows, classes), sys.argv[1])
"""


def installed() -> Path:
    """The folder of MLServer's programs; installs it at first, which takes a minute or two."""
    CACHE.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = CACHE / "installed"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            venv.create(CACHE / "venv", with_pip=True, clear=True)
            pip: list[str | Path] = [CACHE / "venv/bin/python", "-m", "pip", "install", "--quiet"]
            options: list[str | Path] = [
                "--disable-pip-version-check",
                "--require-hashes",
                "-r",
                REQUIREMENTS,
            ]
            subprocess.run([*pip, *options], check=True)
            stamp.write_text(wanted)
    return CACHE / "venv/bin"


@contextmanager
def serving_iris(folder: Path) -> Iterator[tuple[str, Running]]:
    """MLServer with a classifier of irises; its address."""
    programs = installed()
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
