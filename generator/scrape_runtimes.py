"""The spec → scrape jobs of serving runtimes, whose series get the names that models have here.

A target that one model has to itself carries the model's labels, and what it says of other models
is left out. What several models share is relabelled by what the runtime calls each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from contract.catalog import MODEL
from contract.runtimes import RUNTIMES, Runtime
from contract.spec import Model, Spec
from generator.queries.runtimes import ADAPTERS
from generator.queries.runtimes.adapter import job_name
from generator.queries.runtimes.jobs import runtimes_in_use

__all__ = ["runtime_scrapes"]

_CALLED: Final = "runtime_model"
_CALLED_VERSION: Final = "runtime_version"
"""Labels of targets: what the runtime calls the model. They are taken off what is scraped."""

_Rule = dict[str, Any]


def runtime_scrapes(spec: Spec, *, sample_limit: int) -> list[dict[str, Any]]:
    """One job for each runtime in use, and one more for each set of targets that models share."""
    return [
        job
        for name in runtimes_in_use(spec)
        for job in _jobs(RUNTIMES[name], spec, sample_limit=sample_limit)
    ]


def _jobs(runtime: Runtime, spec: Spec, *, sample_limit: int) -> Iterator[dict[str, Any]]:
    models = [
        model
        for model in spec.models
        if model.serving.runtime == runtime.name and model.serving.targets
    ]
    groups = _sharing(models)
    # Two models of one's own server are told apart by their expressions: each has its own scrape.
    own = [group for group in groups if len(group) == 1 or runtime.name == "custom"]
    shared = [group for group in groups if group not in own]
    name = job_name(runtime.name)
    fallback = spec.stack.fallback_scrape_protocol

    def job(suffix: str, targets: list[dict[str, Any]], rules: list[_Rule]) -> dict[str, Any]:
        return {
            "job_name": f"{name}{suffix}",
            "sample_limit": sample_limit,
            "metrics_path": runtime.path,
            **({"fallback_scrape_protocol": fallback} if fallback else {}),
            "static_configs": targets,
            **({"metric_relabel_configs": rules} if rules else {}),
        }

    if own:
        singles = [model for group in own for model in group]
        targets = [_own_target(runtime, model) for model in singles]
        yield job("", targets, [*_keep_own(runtime), *_left_out(runtime)])
    for number, group in enumerate(shared, start=1):
        yield job(
            f"-shared-{number}",
            _shared_targets(name, group),
            [*_rename(runtime, group), *_left_out(runtime)],
        )


def _sharing(models: Sequence[Model]) -> list[list[Model]]:
    """Models in groups: those that share a target, directly or by way of others, are together."""
    groups: list[tuple[set[str], list[Model]]] = []
    for model in models:
        targets, members = set(model.serving.targets), [model]
        rest = []
        for theirs, others in groups:
            if theirs & targets:
                targets |= theirs
                members = [*others, *members]
            else:
                rest.append((theirs, others))
        groups = [*rest, (targets, members)]
    return [members for _, members in groups]


# A target of one model


def _own_target(runtime: Runtime, model: Model) -> dict[str, Any]:
    serving = model.serving
    labels = dict(zip(MODEL, model.key, strict=True))
    if runtime.model_label:
        labels[_CALLED] = serving.model or model.name
    if serving.version:
        labels[_CALLED_VERSION] = serving.version
    if serving.metrics_path:
        labels["__metrics_path__"] = serving.metrics_path
    return {"targets": list(serving.targets), "labels": labels}


def _keep_own(runtime: Runtime) -> Iterator[_Rule]:
    """Leave out what a series says of another model, and keep what names none."""
    if runtime.model_label is None:
        return
    yield from _keep_equal(_exposed(runtime.model_label), _CALLED)
    if runtime.version_label:
        yield from _keep_equal(_exposed(runtime.version_label), _CALLED_VERSION)
    yield {"action": "labeldrop", "regex": f"{_CALLED}|{_CALLED_VERSION}|__tmp"}


def _keep_equal(label: str, called: str) -> Iterator[_Rule]:
    # What only one side names counts as equal: it is compared with itself.
    yield {"source_labels": [called], "target_label": "__tmp"}
    yield {
        "source_labels": [called, label],
        "regex": "(?s:.+);(.+)",
        "target_label": "__tmp",
    }
    yield {"action": "keepequal", "source_labels": ["__tmp"], "target_label": called}


def _exposed(label: str) -> str:
    """What Prometheus calls a label that the target has set already."""
    return f"exported_{label}" if label in MODEL else label


# Targets of several models


def _shared_targets(job: str, models: Sequence[Model]) -> list[dict[str, Any]]:
    paths: dict[str, str | None] = {}
    for model in models:
        for target in model.serving.targets:
            paths[target] = paths.get(target) or model.serving.metrics_path
    return [
        {
            "targets": [target],
            "labels": {"job": job, **({"__metrics_path__": path} if path else {})},
        }
        for target, path in paths.items()
    ]


def _rename(runtime: Runtime, models: Sequence[Model]) -> Iterator[_Rule]:
    """Give the series of each model its labels, and those of other models none."""
    assert runtime.model_label is not None
    sources = [runtime.model_label]
    if runtime.version_label:
        sources.append(runtime.version_label)
    for label in MODEL:
        if label in sources:
            yield {"source_labels": [label], "target_label": _exposed(label)}
            yield {"target_label": label, "replacement": ""}
    sources = [_exposed(label) for label in sources]
    for position, label in enumerate(MODEL):
        # Models that share a version, or a name, share a rule: a sample passes all of them.
        values: dict[str, list[str]] = {}
        for model in models:
            values.setdefault(model.key[position], []).append(_pattern(runtime, model))
        for value, patterns in values.items():
            yield {
                "source_labels": sources,
                "regex": "|".join(patterns),
                "target_label": label,
                "replacement": value.replace("$", "$$"),
            }


def _pattern(runtime: Runtime, model: Model) -> str:
    called = re.escape(model.serving.model or model.name)
    if runtime.version_label is None:
        return called
    version = re.escape(model.serving.version) if model.serving.version else ".*"
    return f"{called};{version}"


def _left_out(runtime: Runtime) -> Iterator[_Rule]:
    adapter = ADAPTERS[runtime.name]
    if adapter.dropped:
        yield {"action": "drop", "source_labels": ["__name__"], "regex": adapter.dropped}
    if adapter.dropped_labels:
        yield {"action": "labeldrop", "regex": adapter.dropped_labels}
