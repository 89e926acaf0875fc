"""Which runtime is a target really, does it serve the model, and what to know of it?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from contract.runtimes import RUNTIMES, SIDECAR, Runtime
from contract.spec import Model, Spec
from generator.doctor.ask import AskError, Prometheus, fetch
from generator.doctor.finding import Finding, broken, fine, note, warning
from generator.queries.runtimes import ADAPTERS
from generator.queries.runtimes.adapter import job_name

__all__ = ["check_runtimes", "recognise"]

_OURS: Final = "ml_inference_requests_total"
_SHOWN: Final = 5


def recognise(names: set[str]) -> str | None:
    """The runtime that exposes these names; None for one that nobody knows."""
    if any(name.startswith(_OURS) for name in names):
        return SIDECAR
    plain = {_plain(name) for name in names}
    for runtime, adapter in ADAPTERS.items():
        if any(_plain(sign) in plain for sign in adapter.fingerprint):
            return runtime
    return None


def _plain(name: str) -> str:
    """A family's name: tools differ in whether they say the suffix of a sample."""
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def check_runtimes(spec: Spec, prometheus: Prometheus) -> Iterator[Finding]:
    """Each target of each model, and the traps of the runtimes in use."""
    seen: set[str] = set()
    for model in spec.models:
        for target in model.serving.targets:
            yield from _target(model, target, prometheus)
        if model.serving.runtime != SIDECAR and model.serving.runtime not in seen:
            seen.add(model.serving.runtime)
            adapter = ADAPTERS[model.serving.runtime]
            for trap in adapter.traps:
                yield note("runtimes", RUNTIMES[adapter.runtime].title, trap)


def _target(model: Model, target: str, prometheus: Prometheus) -> Iterator[Finding]:
    who, runtime = f"{model.name} {model.version}", RUNTIMES[model.serving.runtime]
    names = _names(target, prometheus)
    if not names:
        yield note("runtimes", who, f"nothing is known of {target}: it has not been scraped")
        return
    if runtime.name == "custom":
        yield fine("runtimes", who, f"{target} exposes {len(names)} metrics")
        return
    found = recognise(names)
    if found == runtime.name:
        yield from _serves(model, target, runtime, prometheus)
    elif found is None:
        how = "serve it" if runtime.name == SIDECAR else ADAPTERS[runtime.name].enabled_by
        yield warning(
            "runtimes",
            who,
            f"{target} exposes nothing of {runtime.title}, nor of any runtime that is known",
            f"check that its metrics are on ({how}), or write runtime: custom",
        )
    else:
        yield broken(
            "runtimes",
            who,
            f"{target} is {RUNTIMES[found].title} and not {runtime.title}",
            f"write serving: {{runtime: {found}, ...}}",
        )


def _names(target: str, prometheus: Prometheus) -> set[str]:
    """What a target exposes, before anything of it is left out."""
    matcher = f'{{instance="{target}"}}'
    try:
        told = prometheus.api("targets/metadata", match_target=matcher)
    except AskError:
        told = []
    kept = prometheus.query(f"group by (__name__) ({matcher})")
    return {one["metric"] for one in told} | {
        one.labels["__name__"] for one in kept if not one.labels["__name__"].startswith("scrape_")
    } - {"up"}


def _serves(
    model: Model, target: str, runtime: Runtime, prometheus: Prometheus
) -> Iterator[Finding]:
    """Whether it says anything of the model, by the name that models.yaml has for it."""
    who = f"{model.name} {model.version}"
    job = "ml-sidecar" if runtime.name == SIDECAR else job_name(runtime.name)
    own = (
        f'{{job="{job}", instance="{target}", model_name="{model.name}",'
        f" model_version={_quoted(model.version)}}}"
    )
    label = _label(runtime)
    of_model = f'count({own[:-1]}, {label}!=""}})' if label else f"count({own})"
    if prometheus.number(of_model):
        yield fine("runtimes", who, f"{target} is {runtime.title} and serves it")
        return
    called = model.serving.model or model.name
    served = _served(model, target, runtime)
    if served is None:
        advice = f"correct serving.model: what does the server at {target} call it?"
    elif served:
        shown = ", ".join(sorted(served)[:_SHOWN])
        advice = f"it serves {shown}: set serving.model (and serving.version) to what it calls it"
    else:
        advice = "it has said nothing of any model yet; some do only after the first request"
    early = model.state != "live" or (served is not None and not served)
    level = note if early else broken
    yield level("runtimes", who, f"{target} says nothing of a model {called}", advice)


def _label(runtime: Runtime) -> str:
    """The label of the runtime's own name for the model, after relabelling."""
    label = runtime.model_label or ""
    return f"exported_{label}" if label == "model_name" else label


def _served(model: Model, target: str, runtime: Runtime) -> set[str] | None:
    """The models that the server itself names; None where it can't be asked from here."""
    if runtime.model_label is None:
        return set()
    try:
        text = fetch(target, model.serving.metrics_path or runtime.path, timeout=3)
    except AskError:
        return None
    return set(re.findall(rf'[{{,]{runtime.model_label}="((?:[^"\\]|\\.)*)"', text))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
