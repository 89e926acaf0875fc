"""The log that models.yaml asks for."""

from __future__ import annotations

from pathlib import Path

from contract.spec import Spec
from exporters.sidecar.log.batch import Log, LogError
from exporters.sidecar.log.commits import Commits, Counted
from exporters.sidecar.log.export import Period, Source, read_sqlite
from exporters.sidecar.log.memory import MemoryLog
from exporters.sidecar.log.sqlite import FILE, SqliteLog

__all__ = ["open_log", "open_source"]


def open_log(spec: Spec, folder: Path, versions: list[Counted]) -> Commits:
    """Open the log and count what it holds beyond its last checkpoint. Raises LogError."""
    commits = Commits(_store(spec, folder), versions, sampling=spec.sidecar.log.sampling)
    commits.open()
    return commits


def _store(spec: Spec, folder: Path) -> Log:
    wanted = spec.sidecar.log
    retention, ttl = wanted.retention.seconds, wanted.label_ttl.seconds
    wait, size = wanted.label_wait.seconds, wanted.max_size
    if wanted.store == "memory":
        return MemoryLog(retention=retention, ttl=ttl, wait=wait)
    if wanted.store == "sqlite":
        return SqliteLog(folder, retention=retention, max_size=size, ttl=ttl, wait=wait)
    # Imported here: the driver is an extra.
    from exporters.sidecar.log.postgres import PostgresLog

    return PostgresLog(database_url(spec), retention=retention, max_size=size, ttl=ttl, wait=wait)


def open_source(spec: Spec, folder: Path, model: str, period: Period) -> Source:
    """Where the predictions of a model can be read. Raises LogError."""
    if spec.sidecar.log.store == "memory":
        raise LogError("models.yaml says store: memory, which keeps nothing")
    if spec.sidecar.log.store == "sqlite":
        return read_sqlite(folder / FILE, model, period)
    from exporters.sidecar.log.postgres import read_postgres

    return read_postgres(database_url(spec), model, period)


def database_url(spec: Spec) -> str:
    """Where PostgreSQL is, with the password of its file. Raises LogError without the extra."""
    try:
        from psycopg.conninfo import make_conninfo
    except ImportError:
        raise LogError(
            "PostgreSQL needs the extra postgres: pip install 'ml-observability[postgres]'"
        ) from None
    wanted = spec.sidecar.log
    assert wanted.url is not None
    if wanted.password_file is None:
        return wanted.url
    path = spec.path(wanted.password_file)
    try:
        return make_conninfo(wanted.url, password=path.read_text().strip())
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}") from None
