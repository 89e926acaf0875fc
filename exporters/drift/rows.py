"""Samples of rows from the sidecars, held against the reference's now and then."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import httpx
import msgspec

from contract import catalog, logs
from contract.profile import CategoryBins, Profile, ProfileError, read_profile
from contract.spec import Model, Spec
from contract.spec.promises import Multivariate
from contract.table import TableError, Value, read_table
from exporters.drift.multivariate import Found, compare_rows
from exporters.expose import Family, series

__all__ = ["MOST_PER_WINDOW", "Together"]

log = logs.logger()

MOST_PER_WINDOW: Final = 10
"""Comparisons in the time of a window: more often, the rows are nearly the same."""

CERTAIN: Final = 0.01
"""A verdict needs a p-value of at most this."""

REFERENCE_SHARE: Final = 3
"""Rows of the reference for each of a window: its classifier takes one, the rest fit PCA."""

MAX_ANSWER: Final = 100_000_000
"""Bytes of one sidecar's rows."""

Severity = Literal["warning", "critical"]


class _RowsError(Exception):
    """Why there are no rows to compare."""


class _Answer(msgspec.Struct):
    columns: dict[str, list[Value]]


_decode = msgspec.json.Decoder(_Answer).decode


@dataclass(frozen=True, slots=True)
class _Watched:
    """A model whose rows are held together, and where its last comparison stands."""

    model: Model
    settings: Multivariate
    reference: dict[str, Sequence[Value]]
    categories: tuple[str, ...]


class Together:
    """The models of models.yaml whose features are compared together."""

    def __init__(self, spec: Spec) -> None:
        """Read the rows of the references. Raises ProfileError for data that cannot be read."""
        self._spec = spec
        self._watched = [_watch(spec, model) for model in spec.models if _settings(model)]
        self._due: dict[tuple[str, str], float] = {}
        self._found: dict[tuple[str, str], tuple[Found, float]] = {}
        self._told: dict[tuple[str, str], str] = {}

    def evaluate(self, *, deadline: float) -> set[tuple[str, str]]:
        """Compare what is due, until `deadline` (monotonic); the models that could not be."""
        failed = set()
        for own in self._watched:
            key, now = own.model.key, time.monotonic()
            if now < self._due.get(key, 0.0) or now > deadline:
                continue
            self._due[key] = now + self._pause(own)
            try:
                columns = self._read(own.model)
                found = compare_rows(own.reference, columns, categories=own.categories)
            except (_RowsError, ValueError) as error:
                failed.add(key)
                self._found.pop(key, None)
                self._tell(own.model, str(error))
            else:
                self._found[key] = (found, time.monotonic())
                self._tell(own.model, "")
        return failed

    def families(self) -> Iterator[Family]:
        """What was found last; what is older than three comparisons is withdrawn."""
        # A copy, since an evaluation may go on meanwhile.
        now, known = time.monotonic(), dict(self._found)
        held = [
            (own, known[own.model.key][0])
            for own in self._watched
            if own.model.key in known and now - known[own.model.key][1] <= 3 * self._pause(own) + 60
        ]
        scores, p_values, verdicts, rows = [], [], [], []
        for own, found in held:
            labels = {"model_name": own.model.name, "model_version": own.model.version}
            for method, score, p_value in (
                ("auc", found.auc, found.auc_p_value),
                ("pca", found.error, found.error_p_value),
            ):
                scores.append((series(catalog.MULTIVARIATE_SCORE, **labels, method=method), score))
                p_values.append(
                    (series(catalog.MULTIVARIATE_P_VALUE, **labels, method=method), p_value)
                )
            for severity, threshold in _thresholds(own.settings):
                drifted = found.auc > threshold and found.auc_p_value <= CERTAIN
                verdicts.append(
                    (
                        series(catalog.MULTIVARIATE_DETECTED, **labels, severity=severity),
                        int(drifted),
                    )
                )
            rows.append((series(catalog.MULTIVARIATE_ROWS, **labels), found.rows))
        yield Family(catalog.MULTIVARIATE_SCORE, scores)
        yield Family(catalog.MULTIVARIATE_P_VALUE, p_values)
        yield Family(catalog.MULTIVARIATE_DETECTED, verdicts)
        yield Family(catalog.MULTIVARIATE_ROWS, rows)

    def _pause(self, own: _Watched) -> float:
        return max(1.0, self._spec.clock(own.settings.window).seconds / MOST_PER_WINDOW)

    def _read(self, model: Model) -> dict[str, list[Value]]:
        """The rows of all sidecars of a model. Raises _RowsError, also where one is missing."""
        columns: dict[str, list[Value]] = {}
        for target in dict.fromkeys(model.serving.targets):
            for name, values in self._read_one(target, model).items():
                columns.setdefault(name, []).extend(values)
        return columns

    def _read_one(self, target: str, model: Model) -> dict[str, list[Value]]:
        sidecar = self._spec.sidecar
        headers = {}
        verify: ssl.SSLContext | bool = True
        try:
            if sidecar.token_file is not None:
                token = self._spec.path(sidecar.token_file).read_text().strip()
                headers["Authorization"] = f"Bearer {token}"
            if sidecar.tls is not None:
                ca = sidecar.tls.ca or sidecar.tls.certificate
                verify = ssl.create_default_context(cafile=self._spec.path(ca))
            scheme = "http" if sidecar.tls is None else "https"
            url = f"{scheme}://{target}/v1/rows/{model.name}/{model.version}"
            with (
                httpx.Client(trust_env=False, timeout=10, verify=verify) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise _RowsError(f"{url}: answers more than {MAX_ANSWER} bytes")
            if response.status_code != 200:
                said = bytes(body[:200]).decode(errors="replace").strip()
                raise _RowsError(f"{url}: {response.status_code}: {said}")
            return _decode(bytes(body)).columns
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _RowsError(f"{target}: {str(error) or type(error).__name__}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _RowsError(f"{target}: no rows: {error}") from None

    def _tell(self, model: Model, reason: str) -> None:
        """Log why a model's rows cannot be compared, once, and that they can again."""
        if reason and self._told.get(model.key) != reason:
            log.warning("no_rows", model=model.name, version=model.version, reason=reason)
        elif not reason and self._told.get(model.key):
            log.info("rows_compared", model=model.name, version=model.version)
        self._told[model.key] = reason


def _settings(model: Model) -> Multivariate | None:
    return model.drift.multivariate if model.profile is not None else None


def _thresholds(settings: Multivariate) -> tuple[tuple[Severity, float], ...]:
    return (("warning", settings.warning), ("critical", settings.critical))


def _watch(spec: Spec, model: Model) -> _Watched:
    settings = model.drift.multivariate
    if settings is None or model.profile is None:
        raise ValueError(f"{model.name} is not compared by rows")
    profile: Profile = read_profile(spec.path(model.profile))
    try:
        table = read_table(spec.path(settings.data))
    except TableError as error:
        raise ProfileError(str(error)) from None
    names = [name for name in profile.features if name in table.columns]
    if not names:
        raise ProfileError(f"{table.path}: has no column that is a feature of {model.name}")
    # Rows from all over the file, since files are often sorted.
    step = max(1, table.rows // (REFERENCE_SHARE * settings.rows))
    return _Watched(
        model=model,
        settings=settings,
        reference={name: table.columns[name][::step] for name in names},
        categories=tuple(
            name for name in names if isinstance(profile.features[name], CategoryBins)
        ),
    )
