"""Versions that another registry knows, and what becomes of models.yaml with them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from contract.spec import State, Task
from contract.spec.performance import METRICS_OF_TASK, SCORE_METRICS
from contract.version import version_key
from generator.registry.deploy import moment, state_edits
from generator.registry.entry import Plain
from generator.registry.file import Change, Key, ModelsFile, RegistryError, changed
from generator.registry.register import Version, entry_edit, shown_path
from generator.registry.tree import Edit, apply

__all__ = ["Found", "add_found", "known_metrics", "model_name", "numbers", "task_of"]

Wanted = Literal["live", "retired", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One version as another registry has it; what it does not say is None or empty."""

    name: str
    version: str
    state: Wanted = ""
    """What the registry says of it; "" where that is nothing, as of most."""
    task: Task | None = None
    framework: str | None = None
    trained_at: dt.datetime | None = None
    metrics: Mapping[str, float]
    sha256: str | None = None
    path: str | None = None
    """Where its file is, if that can be found from here."""
    source: str | None = None

    @property
    def key(self) -> Key:
        """What tells versions apart."""
        return (self.name, self.version)


def add_found(
    file: ModelsFile, found: Iterable[Found], *, at: dt.datetime
) -> tuple[Change, list[Key], list[str]]:
    """Add the versions that models.yaml does not have; of those it has, states follow.

    Says which were added, and what else happened. What models.yaml says of a version that it knows
    stays as it is, but for which is live, where the registry says that. Of new versions that the
    registry says nothing of, those newer than what is live are registered, older ones retired.
    """
    every = sorted(found, key=lambda one: (one.name, version_key(one.version)))
    there = file.items()
    states = _states(file, every)
    new = [one for one in every if one.key not in there]
    working = file
    for one in new:
        edit = _edit(working, one, states[one.key])
        working = replace(working, text=apply(working.text, [edit]))
    followed = {
        key: state
        for key, state in states.items()
        if key in there and state != _now(file, key) and {state, _now(file, key)} & {"live"}
    }
    text = apply(working.text, state_edits(working, followed, at))
    touched = {*followed, *(one.key for one in new)}
    change = changed(file, [Edit(0, len(file.text), text)], touches=touched)
    notes = [f"{' '.join(key)} is {state} now" for key, state in followed.items()]
    return change, [one.key for one in new], notes


def _now(file: ModelsFile, key: Key) -> State:
    model = file.spec.model(*key)
    assert model is not None
    return model.state


def _states(file: ModelsFile, found: Sequence[Found]) -> dict[Key, State]:
    """The state of each version that was found, and of known ones that another one replaces."""
    states: dict[Key, State] = {}
    for name in dict.fromkeys(one.name for one in found):
        own = [one for one in found if one.name == name]
        live = [one.version for one in own if one.state == "live"]
        known = {m.version: m.state for m in file.spec.versions if m.name == name}
        serving = live or [version for version, state in known.items() if state == "live"]
        newest = max(serving or [own[-1].version], key=version_key)
        for one in own:
            if one.version in live:
                states[one.key] = "live"
            elif one.version in known:
                former = known[one.version] == "live" and bool(live)
                states[one.key] = "retired" if former else known[one.version]
            elif one.state == "retired" or version_key(one.version) < version_key(newest):
                states[one.key] = "retired"
            else:
                states[one.key] = "registered"
    return states


def _edit(file: ModelsFile, one: Found, state: State) -> Edit:
    known = [key for key in file.items() if key[0] == one.name]
    base = max(known, key=lambda key: version_key(key[1])) if known else None
    if base is None and one.task is None:
        raise RegistryError(
            f"nothing says what {one.name} predicts, neither its tags nor its metrics: add --task, "
            "or tag it: task=regression"
        )
    artifact = {"path": shown_path(file, Path(one.path))} if one.path and one.sha256 else {}
    return entry_edit(
        file,
        Version(
            name=one.name,
            version=one.version,
            state=state,
            task=one.task if base is None else None,
            framework=one.framework,
            trained_at=Plain(moment(one.trained_at)) if one.trained_at else None,
            artifact=artifact | {"sha256": one.sha256} if one.sha256 else None,
            metrics={name: Plain(_number(value)) for name, value in one.metrics.items()},
            source=one.source,
        ),
        base,
    )


def _number(value: float) -> str:
    return f"{value:.6g}"


def model_name(text: str) -> str:
    """A name as models.yaml can have it: letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100] or "model"


# Metrics

_CALLED: Final[Mapping[str, str]] = {
    "roc_auc": "auc",
    "roc_auc_score": "auc",
    "auroc": "auc",
    "acc": "accuracy",
    "accuracy_score": "accuracy",
    "precision_score": "precision",
    "recall_score": "recall",
    "f1_score": "f1",
    "pr_auc": "average_precision",
    "precision_recall_auc": "average_precision",
    "average_precision_score": "average_precision",
    "logloss": "log_loss",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "brier_loss": "brier",
    "ece": "calibration_error",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "macro_f1": "f1_macro",
    "weighted_f1": "f1_weighted",
}
"""What others call the metrics of performance."""

_HELD_OUT: Final = ("test_", "holdout_", "val_", "valid_", "validation_", "eval_")
"""Of several data, the first is the best: the further from training, the more it says."""

_OURS: Final = frozenset(metric for own in METRICS_OF_TASK.values() for metric in own)


def known_metrics(measured: Mapping[str, float]) -> dict[str, float]:
    """Those that are metrics of performance, under the names that they have there.

    What was measured on training data (`training_…`) is left out: it says too much good.
    """
    found: dict[str, tuple[int, float]] = {}
    for told, value in measured.items():
        bare = re.sub(r"[^a-z0-9]+", "_", told.lower()).strip("_")
        rank = 0
        for place, prefix in enumerate(_HELD_OUT, start=1):
            if bare.startswith(prefix):
                bare, rank = bare.removeprefix(prefix), place
        name = _CALLED.get(bare, bare)
        exact = 0 if name == told else rank + 1
        if name in _OURS and abs(value) < math.inf and exact <= found.get(name, (99, 0.0))[0]:
            found[name] = (exact, float(value))
    return {name: value for name, (_, value) in sorted(found.items())}


def task_of(metrics: Iterable[str], told: Iterable[str | None] = ()) -> Task | None:
    """What a model predicts, as somebody has told, or as the metrics that it has can tell."""
    for text in told:
        if text in METRICS_OF_TASK:
            return text  # type: ignore[return-value]  # one of the three
    names = set(metrics)
    if names & set(METRICS_OF_TASK["regression"]):
        return "regression"
    if names & {*SCORE_METRICS, "precision", "recall", "f1"}:
        return "binary_classification"
    if names & {name for name in METRICS_OF_TASK["multiclass_classification"] if "_" in name}:
        return "multiclass_classification"
    return None


def numbers(found: Iterable[tuple[object, object]]) -> Iterator[tuple[str, float]]:
    """The pairs whose value is a number, or a text or percentage that is one."""
    for name, value in found:
        if isinstance(value, str):
            text = value.strip()
            share = text.endswith("%")
            try:
                number = float(text.rstrip("%"))
            except ValueError:
                continue
            yield str(name), number / 100 if share else number
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield str(name), float(value)
