"""The registered models of an MLflow server: versions, aliases and stages, metrics, artifacts."""

from __future__ import annotations

import datetime as dt
import importlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from contract.spec import Task
from generator.registry.file import Key, RegistryError
from generator.registry.found import Found, Wanted, known_metrics, model_name, task_of
from generator.registry.register import sha256_of

__all__ = ["LIVE_ALIASES", "Asked", "read_mlflow"]

LIVE_ALIASES: Final = ("champion", "production", "prod", "live")
"""Aliases of what serves, where nobody says which it is."""

_STAGES: Final[Mapping[str, Wanted]] = {"Production": "live", "Archived": "retired"}

_FILES: Final = ("pickled_model", "data", "model_data", "saved_model", "model_path", "python_model")
"""Keys of a flavor in MLmodel that name the file with the model."""

_PATIENCE: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Without these, MLflow asks a server that is away for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of an MLflow server."""

    uri: str
    models: Sequence[str] = ()
    """Names of registered models; all where none is named."""
    live: Sequence[str] = LIVE_ALIASES
    """The aliases of what serves."""
    task: Task | None = None
    artifacts: bool = True
    """Whether model files are downloaded for their hash."""


def read_mlflow(
    asked: Asked, *, known: frozenset[Key], told: Callable[[str], None]
) -> Iterator[Found]:
    """The versions of the registry; of those that are `known` only what may have changed.

    `told` is called with what is going on. Raises RegistryError where the server does not answer,
    refuses, or has no such model.
    """
    client = _client(asked.uri)
    with _refusals(asked.uri):
        models = _models(client, asked)
        for model in models:
            name = model_name(model.name)
            versions = list(_pages(client.search_model_versions, f"name='{_quoted(model.name)}'"))
            told(f"{model.name}: {len(versions)} versions")
            for version in versions:
                state = _state(model, version, asked.live)
                if (name, str(version.version)) in known:
                    yield Found(name=name, version=str(version.version), state=state, metrics={})
                else:
                    yield _found(client, model, version, state, asked, told)


def _client(uri: str) -> Any:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        mlflow: Any = importlib.import_module("mlflow")
    except ImportError:
        raise RegistryError(
            "import from MLflow needs mlflow-skinny: pip install 'ml-observability[mlflow]'"
        ) from None
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    # Artifacts are asked for by way of the global one.
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


class _refusals:  # noqa: N801  # reads as a function
    """What MLflow and its transport raise, as one message that names the server."""

    def __init__(self, uri: str) -> None:
        self._shown = re.sub(r"//[^/@]*@", "//", uri)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, RegistryError | GeneratorExit | KeyboardInterrupt):
            return
        text = re.sub(r"//[^/@\s]*@", "//", " ".join(str(error).split()))
        if re.search(r"\b40[13]\b|UNAUTHENTICATED|PERMISSION_DENIED|not authenticated", text):
            text = (
                "does not let you in: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
                f"or MLFLOW_TRACKING_TOKEN ({text[:120]})"
            )
        elif re.search(r"Max retries exceeded.*(refused|resolve|timed out|unreachable)", text):
            text = f"does not answer ({text[:160]})"
        elif re.search(r"\b5\d\d\b", text):
            text = f"fails ({text[:160]})"
        else:
            text = f"gives no answer of an MLflow server ({type(error).__name__}: {text[:160]})"
        raise RegistryError(f"{self._shown}: {text}") from None


def _models(client: Any, asked: Asked) -> list[Any]:
    prompt = "mlflow.prompt.is_prompt"
    every = [one for one in _pages(client.search_registered_models, None) if prompt not in one.tags]
    if not asked.models:
        return every
    names = {one.name: one for one in every}
    for name in asked.models:
        if name not in names:
            known = ", ".join(sorted(names)[:10]) or "none"
            raise RegistryError(f"{asked.uri}: has no registered model {name}; it has {known}")
    return [names[name] for name in asked.models]


def _pages(search: Callable[..., Any], what: str | None) -> Iterator[Any]:
    token = None
    while True:
        page = search(filter_string=what, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _state(model: Any, version: Any, live: Sequence[str]) -> Wanted:
    aliases = {alias for alias, its in model.aliases.items() if str(its) == str(version.version)}
    if aliases & set(live):
        return "live"
    return _STAGES.get(version.current_stage or "", "")


def _found(
    client: Any,
    model: Any,
    version: Any,
    state: Wanted,
    asked: Asked,
    told: Callable[[str], None],
) -> Found:
    metrics, tags, ended = _run(client, version)
    known = known_metrics(metrics)
    file = _file(version, told) if asked.artifacts else _File()
    run = f", run {version.run_id}" if version.run_id else ""
    return Found(
        name=model_name(model.name),
        version=str(version.version),
        state=state,
        task=asked.task
        or task_of(known, (each.get("task") for each in (version.tags, model.tags, tags))),
        framework=file.framework,
        trained_at=_moment(ended or version.creation_timestamp),
        metrics=known,
        sha256=file.sha256,
        path=file.path,
        source=f"mlflow: {model.name} version {version.version}{run}"
        + (f", {file.name}" if file.name else ""),
    )


def _run(client: Any, version: Any) -> tuple[dict[str, float], dict[str, str], int | None]:
    """Metrics, tags and end of the run that made a version; of its logged model, too."""
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    ended = None
    errors = importlib.import_module("mlflow.exceptions")
    try:
        if version.run_id:
            run = client.get_run(version.run_id)
            metrics, tags, ended = dict(run.data.metrics), dict(run.data.tags), run.info.end_time
        if getattr(version, "model_id", None):
            logged = client.get_logged_model(version.model_id)
            metrics |= {metric.key: metric.value for metric in logged.metrics or ()}
    except errors.MlflowException as error:
        # The version stands, also where its run was deleted.
        if error.error_code not in (
            "RESOURCE_DOES_NOT_EXIST",
            "NOT_FOUND",
            "INVALID_PARAMETER_VALUE",
        ):
            raise
    return metrics, tags, ended


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


@dataclass(frozen=True, slots=True)
class _File:
    """The file of a model: its name in the artifact, its hash, and where it is if on this disk."""

    name: str = ""
    sha256: str | None = None
    path: str | None = None
    framework: str | None = None


def _file(version: Any, told: Callable[[str], None]) -> _File:
    """The file of a version; nothing where its artifact can't be read, which is told."""
    here = _local(version.source)
    try:
        if here is not None:
            return _in_folder(here, lambda name: here / name, path=True)
        with tempfile.TemporaryDirectory() as folder:
            fetch = _fetcher(version, Path(folder))
            names = _names(version)
            if "MLmodel" in names:
                return _in_folder(fetch("MLmodel").parent, fetch, path=False)
            if len(names) == 1:
                return _File(names[0], sha256_of(fetch(names[0])))
            raise _UnreadableError(f"of {len(names)} files none is an MLmodel")
    except _UnreadableError as error:
        told(f"{version.name} {version.version}: no hash: {error}")
        return _File()


class _UnreadableError(Exception):
    """An artifact that can't be read, and why."""


def _local(source: str | None) -> Path | None:
    """The folder of an artifact on this disk."""
    parts = urlsplit(source or "")
    if parts.scheme not in ("", "file"):
        return None
    path = Path(unquote(parts.path))
    return path if path.is_absolute() and (path / "MLmodel").is_file() else None


def _names(version: Any) -> list[str]:
    """What lies in the folder of an artifact."""
    artifacts = importlib.import_module("mlflow.artifacts")
    uri = f"models:/{version.name}/{version.version}"
    try:
        listed = artifacts.list_artifacts(artifact_uri=uri)
    except Exception as error:  # noqa: BLE001  # each store raises its own
        raise _UnreadableError(f"{_first(error)}") from None
    return [PurePosixPath(one.path).name for one in listed if not one.is_dir]


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _fetcher(version: Any, folder: Path) -> Callable[[str], Path]:
    artifacts = importlib.import_module("mlflow.artifacts")

    def fetch(name: str) -> Path:
        uri = f"models:/{version.name}/{version.version}/{name}"
        try:
            return Path(artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
        except Exception as error:  # noqa: BLE001  # each store raises its own
            raise _UnreadableError(f"{name} cannot be read ({_first(error)})") from None

    return fetch


def _in_folder(folder: Path, fetch: Callable[[str], Path], *, path: bool) -> _File:
    try:
        described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
        flavors = dict(described["flavors"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise _UnreadableError(f"MLmodel cannot be read ({error})") from None
    own = {name: keys for name, keys in flavors.items() if name != "python_function"}
    for keys in (*own.values(), flavors.get("python_function", {})):
        for key in _FILES:
            name = keys.get(key)
            if not isinstance(name, str) or PurePosixPath(name).is_absolute() or ".." in name:
                continue
            file = fetch(name)
            if file.is_file():
                framework = next(iter(own), None)
                where = str(file) if path else None
                return _File(
                    name, sha256_of(file), where, _FRAMEWORKS.get(framework or "", framework)
                )
    raise _UnreadableError("MLmodel names no file with the model")


_FRAMEWORKS: Final = {"sklearn": "scikit-learn"}
