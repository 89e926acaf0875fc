"""Model cards in a folder: README.md as on Hugging Face, model_card.yaml, model_card.json."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from contract.problems import Problem, ProblemsError
from contract.spec import Task
from generator.registry.file import RegistryError
from generator.registry.found import Found, Wanted, known_metrics, model_name, numbers, task_of
from generator.registry.register import sha256_of

__all__ = ["CARDS", "read_cards"]

CARDS: Final = ("model_card.yaml", "model_card.yml", "model_card.json", "README.md")
"""The names of cards; of several in one folder the first is read."""

DEPTH: Final = 3
"""Folders below the one that is named, down to which cards are looked for."""

_TASKS: Final[Mapping[str, Task]] = {
    "tabular-regression": "regression",
    "text-classification": "multiclass_classification",
    "image-classification": "multiclass_classification",
    "audio-classification": "multiclass_classification",
}
"""Pipelines of Hugging Face that say what is predicted. Of tabular-classification the metrics say
whether it is of two classes."""

_STATES: Final[Mapping[str, Wanted]] = {"live": "live", "production": "live", "retired": "retired"}


def read_cards(
    folder: Path, *, version: str | None = None, task: Task | None = None
) -> list[Found]:
    """The versions that the cards in and below a folder describe.

    `version` and `task` are those of cards that say none. Raises RegistryError, and ProblemsError
    with the place in a card that can't be read.
    """
    if not folder.is_dir():
        raise RegistryError(f"{folder}: is no folder")
    cards = list(_cards(folder))
    if not cards:
        raise RegistryError(f"{folder}: no model card in it: {', '.join(CARDS)}")
    found = [_read(card, folder, version, task) for card in cards]
    by_key: dict[tuple[str, str], Path] = {}
    for card, one in zip(cards, found, strict=True):
        other = by_key.setdefault(one.key, card)
        if other != card:
            raise RegistryError(f"{card}: is {one.name} {one.version}, which {other} is already")
    return found


def _cards(folder: Path) -> Iterator[Path]:
    folders = [folder]
    for depth in range(1, DEPTH + 1):
        folders += [path.parent for path in folder.glob("*/" * depth + "*") if path.name in CARDS]
    for each in sorted(dict.fromkeys(folders)):
        named = [each / name for name in CARDS if (each / name).is_file()]
        # A README without front matter describes a folder and no model.
        yield from [card for card in named if card.suffix != ".md" or _front(card)][:1]


def _front(card: Path) -> str:
    """The YAML between the lines of dashes that a card begins with."""
    try:
        text = card.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{card}: cannot be read: {error}") from None
    found = re.match(r"---[ \t]*\r?\n(.*?)\r?\n(---|\.\.\.)[ \t]*(\r?\n|$)", text, re.DOTALL)
    return found[1] if found else ""


def _load(card: Path) -> dict[str, Any]:
    """What a card says. JSON is YAML, too; dates stay text."""
    try:
        text = _front(card) if card.suffix == ".md" else card.read_text(encoding="utf-8-sig")
        data = yaml.load(text, Loader=_Texts)  # noqa: S506  # a safe loader
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryError(f"{card}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = (mark.line if mark else 0) + (2 if card.suffix == ".md" else 1)
        message = f"is not YAML: {error.problem or error.context}"
        column = mark.column + 1 if mark else 1
        raise ProblemsError([Problem(str(card), line, column, "", message)]) from None
    if not isinstance(data, dict):
        raise RegistryError(f"{card}: should be a mapping: {{name: fraud, version: ...}}")
    return data


class _Texts(yaml.SafeLoader):
    """Safe YAML in which versions and dates stay the text that they are."""


_Texts.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(card: Path, folder: Path, version: str | None, task: Task | None) -> Found:
    data = _load(card)
    details = data.get("model_details")  # Google's Model Card Toolkit
    said = {**data, **_details(details)} if isinstance(details, dict) else data
    metrics = known_metrics(dict(numbers(_metrics(data))))
    index = _index(data)
    told = _text(said.get("version")) or _text(said.get("model_version")) or version
    if not told:
        raise RegistryError(f"{card}: says no version: add version: to it, or give --version")
    name = _text(said.get("name")) or _text(said.get("model_name")) or _text(index.get("name"))
    pipeline = _text(data.get("pipeline_tag")) or ""
    kinds = (_text(said.get("task")), _TASKS.get(pipeline))
    path, sha256 = _artifact(card, said)
    return Found(
        name=model_name(name or card.parent.resolve().name),
        version=told,
        state=_STATES.get((_text(said.get("state")) or "").lower(), ""),
        # A classifier with the metrics of two classes has two of them.
        task=task or task_of((), kinds[:1]) or task_of(metrics) or kinds[1],
        framework=_framework(said),
        trained_at=_trained(card, said),
        metrics=metrics,
        sha256=sha256,
        path=path,
        source=_text(said.get("source")) or f"card: {card.relative_to(folder).as_posix()}",
    )


def _details(details: Mapping[str, Any]) -> dict[str, Any]:
    version = details.get("version")
    named = version if isinstance(version, dict) else {"name": version}
    return {
        "name": details.get("name"),
        "version": named.get("name"),
        "trained_at": named.get("date"),
    }


def _text(value: object) -> str | None:
    return str(value).strip() or None if isinstance(value, str | int | float) else None


def _index(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first model of Hugging Face's model-index."""
    index = data.get("model-index")
    first = index[0] if isinstance(index, list) and index else {}
    return first if isinstance(first, dict) else {}


def _metrics(data: Mapping[str, Any]) -> Iterator[tuple[object, object]]:
    own = data.get("metrics")
    if isinstance(own, dict):
        yield from own.items()
    analysis = data.get("quantitative_analysis")
    listed = [analysis.get("performance_metrics")] if isinstance(analysis, dict) else []
    results = _index(data).get("results")
    results = results if isinstance(results, list) else []
    listed += [result.get("metrics") for result in results if isinstance(result, dict)]
    for metrics in listed:
        for metric in metrics if isinstance(metrics, list) else []:
            if isinstance(metric, dict):
                yield metric.get("type") or metric.get("name"), metric.get("value")


def _framework(said: Mapping[str, Any]) -> str | None:
    name = _text(said.get("framework")) or _text(said.get("library_name"))
    return {"sklearn": "scikit-learn"}.get(name, name) if name else None


def _trained(card: Path, said: Mapping[str, Any]) -> dt.datetime | None:
    text = _text(said.get("trained_at")) or _text(said.get("date"))
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RegistryError(
            f"{card}: trained_at is not a date: {text!r}; write 2026-10-01 or 2026-10-01T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _artifact(card: Path, said: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The file that a card names, beside it, and its hash; or just the hash that it says."""
    artifact = said.get("artifact")
    if isinstance(artifact, dict):
        named, told = _text(artifact.get("path")), _text(artifact.get("sha256"))
    else:
        named, told = _text(artifact), _text(said.get("sha256"))
    if named is None:
        return None, told
    file = card.parent / named
    measured = sha256_of(file)
    if told and told != measured:
        raise RegistryError(f"{card}: says SHA-256 {told}, and that of {file} is {measured}")
    return str(file), measured
