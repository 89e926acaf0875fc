"""Whether Prometheus keeps samples for as long as models.yaml looks back."""

from __future__ import annotations

from collections.abc import Iterator

from contract.document import Document, KeyPath
from contract.quantity import Duration
from contract.spec import Defaults, Model, Spec

__all__ = ["check_retention", "longest_window"]


def longest_window(spec: Spec) -> Duration:
    """The longest time over which anything of a model is judged."""
    return max(window for model in spec.models for _, window in _windows(model))


def check_retention(written: Spec, spec: Spec, document: Document) -> None:
    """Note a problem where a window of the resolved `spec` is longer than the retention.

    It stands where the file says the one or the other; `written` is the file as it was written.
    """
    if not spec.models:  # which is a problem of its own
        return
    retention, period = spec.stack.retention, longest_window(spec)
    if period <= retention:
        return
    model, path = next(
        (model, path)
        for model in spec.models
        for path, window in _windows(model)
        if window == period
    )
    index = [own.key for own in written.models].index(model.key)
    place: KeyPath = ("models", index, *path)
    if "retention" in written.stack.model_fields_set:
        place = ("stack", "retention")
    elif not _says(written.models[index], path):
        place = ("defaults", *path)
    document.problem(
        place,
        f"stack.retention {retention} is shorter than the {period} over which {model.name} "
        f"{model.version} is judged ({'.'.join(path)})",
        f"keep samples for longer: stack: {{retention: {_with_room(period)}}}",
    )


def _windows(model: Model) -> Iterator[tuple[tuple[str, str], Duration]]:
    yield ("slo", "window"), model.slo.window
    yield ("drift", "window"), model.drift.window
    yield ("performance", "windows"), max(model.performance.windows)


def _says(section: Model | Defaults, path: tuple[str, str]) -> bool:
    outer, inner = path
    return inner in getattr(section, outer).model_fields_set


def _with_room(period: Duration) -> Duration:
    """A sixth more, in whole days: Prometheus drops whole blocks of samples."""
    day = Duration.parse("1d").milliseconds
    return Duration(-(-period.milliseconds * 7 // 6 // day) * day)
