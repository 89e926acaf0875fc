"""A real MLflow server, from PyPI, and what people log in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.environments import installed
from tests.processes import free_port, running

__all__ = ["serving_models"]

REQUIREMENTS = Path(__file__).parent / "mlflow-requirements.txt"

LOGGED = """\
import mlflow, mlflow.sklearn
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

rows, classes = load_breast_cancer(return_X_y=True)
client = MlflowClient()
for number, auc in enumerate((0.97, 0.98, 0.985), start=1):
    with mlflow.start_run() as run:
        model = LogisticRegression(max_iter=50 * number).fit(rows[:100], classes[:100])
        measured = {"test_roc_auc": auc, "training_roc_auc": 1.0, "accuracy": 0.9, "loss": 3}
        mlflow.log_metrics(measured)
        mlflow.sklearn.log_model(model, name="model", registered_model_name="cancer",
                                 pip_requirements=["scikit-learn"])
client.set_registered_model_alias("cancer", "champion", "2")

# A plain artifact, and no metrics but a tag.
client.create_registered_model("house prices", tags={"task": "regression"})
with mlflow.start_run() as run:
    mlflow.log_text("weights", "model/weights.txt")
    mlflow.log_metric("val_mae", 12.5)
client.create_model_version("house prices", f"{run.info.artifact_uri}/model", run.info.run_id)

# One whose run is gone, in a stage.
client.create_registered_model("old", tags={"task": "regression"})
with mlflow.start_run() as run:
    pass
version = client.create_model_version("old", run.info.artifact_uri, run.info.run_id)
client.transition_model_version_stage("old", version.version, "Production")
client.delete_run(run.info.run_id)
"""


@contextmanager
def serving_models(folder: Path) -> Iterator[str]:
    """A server with an SQLite file and three registered models; its address."""
    programs = installed("mlflow", REQUIREMENTS)
    url = f"http://127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        *(programs / "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
        *("--serve-artifacts", "--artifacts-destination", folder / "artifacts"),
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    path = f"{programs}:{os.environ['PATH']}"
    env = {"PATH": path, **quiet}
    with running(command, ready_url=f"{url}/health", cwd=folder, env=env, seconds=90):
        subprocess.run(
            [programs / "python", "-W", "ignore", "-c", LOGGED],
            env={**os.environ, **env, "MLFLOW_TRACKING_URI": url},
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield url
