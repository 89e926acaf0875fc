"""Import from MLflow: from a real server, and from what is none or refuses."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contract.read import read_spec
from generator.__main__ import main
from tests.generator.registry.mlflow_server import serving_models
from tests.processes import ROOT, free_port

MODELS = '# Ours.\nmodels:\n  - {name: other, version: "1", task: regression} # stays\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_models(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


def bring(path: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: MLflow keeps to itself which server it asks."""
    command = [sys.executable, "-m", "generator", "models", "import", "mlflow", "--uri", url]
    return subprocess.run(
        [*command, "--models", str(path), *more],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(MODELS)
    return path


@pytest.mark.timeout(300)
def test_versions_come_with_what_mlflow_knows_of_them(server: str, models: Path) -> None:
    dry = bring(models, server, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "+  - name: cancer" in dry.stdout
    assert models.read_text() == MODELS

    done = bring(models, server)
    assert done.returncode == 0, done.stderr
    assert "5 of 5 versions are new" in done.stdout
    assert models.read_text().startswith(MODELS)
    spec = read_spec(models)
    states = {model.key: model.state for model in spec.versions}
    assert states == {
        ("other", "1"): "live",
        ("cancer", "1"): "retired",
        ("cancer", "2"): "live",
        ("cancer", "3"): "registered",
        ("house-prices", "1"): "registered",
        ("old", "1"): "live",
    }
    cancer = spec.model("cancer", "3")
    assert cancer is not None
    assert (cancer.task, cancer.framework) == ("binary_classification", "scikit-learn")
    assert dict(cancer.training.metrics) == {"accuracy": 0.9, "auc": 0.985}
    assert cancer.training.source.startswith("mlflow: cancer version 3, run ")
    assert cancer.trained_at is not None
    # The hash is that of the file, as the server gives it.
    name = cancer.training.source.rpartition(", ")[2]
    client = {"name": "cancer", "version": "3"}
    uri = httpx.get(f"{server}/api/2.0/mlflow/model-versions/get", params=client).json()
    model_id = uri["model_version"]["source"].rpartition("/")[2]
    found = httpx.get(f"{server}/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files",
                      params={"artifact_file_path": name})  # fmt: skip
    assert found.status_code == 200, found.text
    assert cancer.artifact is not None
    assert cancer.artifact.sha256 == hashlib.sha256(found.content).hexdigest()
    prices = spec.model("house-prices")
    assert prices is not None
    assert prices.artifact is not None
    assert prices.artifact.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert (prices.task, dict(prices.training.metrics)) == ("regression", {"mae": 12.5})

    # Again, it changes nothing; and then what MLflow says is live is.
    before = models.read_bytes()
    assert "0 of 5 versions are new" in bring(models, server).stdout
    assert models.read_bytes() == before
    # But for what serves, what models.yaml says of a version stays.
    said = bring(models, server, "--live-alias", "nobody", "--model", "cancer")
    assert said.returncode == 0
    assert models.read_bytes() == before
    assert main(["models", "deploy", "cancer", "3", "--models", str(models)]) == 0
    said = bring(models, server, "--model", "cancer")
    assert "cancer 2 is live now" in said.stdout
    own = {model.version: model.state for model in read_spec(models).versions
              if model.name == "cancer"}  # fmt: skip
    assert own == {"1": "retired", "2": "live", "3": "retired"}


def test_a_model_that_the_server_does_not_have_is_refused(server: str, models: Path) -> None:
    said = bring(models, server, "--model", "cancr")
    assert said.returncode == 2
    assert "has no registered model cancr; it has cancer, house prices, old" in said.stderr
    assert models.read_text() == MODELS


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A real server that answers everything the same."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


ANSWERS = {
    "one that fails": (500, b"no database", "fails ("),
    "one that wants a password": (401, b"You are not authenticated.", "does not let you in: set "),
    "one that forbids": (403, b"Permission denied", "does not let you in: set "),
    "one that is no MLflow": (200, b"<html>Welcome</html>", "gives no answer of an MLflow server"),
}


@pytest.mark.parametrize(("status", "body", "message"), ANSWERS.values(), ids=ANSWERS)
def test_a_server_that_refuses_is_said_and_nothing_is_written(
    models: Path, status: int, body: bytes, message: str
) -> None:
    with answering(status, body) as url:
        said = bring(models, url.replace("//", "//me:s3cret@"))
    assert said.returncode == 2, said.stderr
    assert f"{url}: {message}" in said.stderr
    assert "s3cret" not in said.stderr
    assert "Traceback" not in said.stderr
    assert models.read_text() == MODELS


def test_a_server_that_is_not_there_is_said(models: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = bring(models, url)
    assert said.returncode == 2
    assert f"{url}: does not answer (" in said.stderr
    assert said.stderr.endswith("Nothing was written.\n")
    assert models.read_text() == MODELS


def test_without_mlflow_it_says_how_to_install_it(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    arguments = ["models", "import", "mlflow", "--uri", "http://127.0.0.1:1", "--models"]
    assert main([*arguments, str(models)]) == 2
    assert "pip install 'ml-observability[mlflow]'" in capsys.readouterr().err
