"""What must hold among the keys of `serving`, of one model and between models."""

from __future__ import annotations

from collections.abc import Iterator

from contract.document import Document
from contract.runtimes import RUNTIMES, SIDECAR
from contract.spec import Model, Spec

__all__ = ["check_serving"]


def check_serving(spec: Spec, document: Document) -> None:
    """Tell `document` what is wrong with the serving of the models, as they are written."""
    _check_proxies(spec, document)
    _check_runtimes(spec, document)
    _check_shared_targets(spec, document)


def _check_proxies(spec: Spec, document: Document) -> None:
    """A proxy needs an upstream, and forwards to one alone; for what is retired there is none."""
    upstreams: dict[str, str] = {}
    for index, model in enumerate(spec.models):
        path, serving = ("models", index, "serving"), model.serving
        for key in ("proxy", "health", "paths"):
            if getattr(serving, key) and serving.upstream is None:
                document.problem(
                    (*path, key), "needs an upstream", "add upstream: http://127.0.0.1:8001"
                )
        if serving.paths and serving.upstream and serving.proxy is None:
            document.problem((*path, "paths"), "needs a proxy", "add proxy: 127.0.0.1:9105")
        if serving.proxy is None or serving.upstream is None or model.state == "retired":
            continue
        other = upstreams.setdefault(serving.proxy, serving.upstream)
        if other != serving.upstream:
            document.problem(
                (*path, "proxy"),
                f"forwards to {other} already, and to one upstream only",
                "give this model another address",
            )


def _check_runtimes(spec: Spec, document: Document) -> None:
    """Another runtime than the sidecar has targets, and no key is without a use."""
    for index, model in enumerate(spec.models):
        path, serving = ("models", index, "serving"), model.serving
        runtime = RUNTIMES[serving.runtime]
        for key, message in _misplaced(model):
            document.problem((*path, key), message)
        if runtime.name != SIDECAR and not serving.targets:
            document.problem(
                (*path, "runtime"),
                f"needs targets: where {runtime.title} has its metrics",
                f"add targets: [127.0.0.1:{runtime.port}]",
            )
        if runtime.name == "custom" and not serving.expressions:
            document.problem(
                (*path, "runtime"),
                "needs expressions",
                "add expressions: {requests: sum(rate(my_requests_total{$model}[$window]))}",
            )


def _check_shared_targets(spec: Spec, document: Document) -> None:
    """What two live models on one server are called there tells them apart.

    A version that is not live may still say where it will be served: its targets are left out.
    """
    served: dict[str, list[Model]] = {}
    for index, model in enumerate(spec.models):
        runtime = RUNTIMES[model.serving.runtime]
        if runtime.name in (SIDECAR, "custom") or model.state != "live":
            continue
        for place, target in enumerate(model.serving.targets):
            others = served.setdefault(target, [])
            if other := next((one for one in others if model.looks_like(one)), None):
                document.problem(
                    ("models", index, "serving", "targets", place),
                    f"serves {other.name} {other.version} already, and nothing in the metrics of "
                    f"{runtime.title} tells the two apart",
                    "give both a serving.version as the server calls it"
                    if runtime.version_label
                    else "give this model another target",
                )
            others.append(model)


def _misplaced(model: Model) -> Iterator[tuple[str, str]]:
    """Keys of `serving` that its runtime has no use for, and why."""
    serving, runtime = model.serving, RUNTIMES[model.serving.runtime]
    title = runtime.title
    if serving.expressions and runtime.name != "custom":
        yield "expressions", f"are for the runtime custom; those of {title} are built in"
    if serving.model and runtime.model_label is None:
        yield "model", f"is not used: the metrics of {title} name no model"
    if serving.version and runtime.version_label is None:
        yield "version", f"is not used: the metrics of {title} name no version"
    for key in ("metrics_path", "sidecars"):
        if getattr(serving, key) and runtime.name == SIDECAR:
            yield key, "is not used: the runtime is the sidecar"
