"""The model of models.yaml that a command names."""

from __future__ import annotations

import difflib

from contract.spec import Model, Spec

__all__ = ["UnknownModelError", "resolve_model"]


class UnknownModelError(Exception):
    """A model that models.yaml does not have, and which it may have meant."""


def resolve_model(spec: Spec, name: str, version: str | None) -> Model:
    """The model of that name (and version) in models.yaml. Raises UnknownModelError."""
    model = spec.model(name, version)
    if model is not None:
        return model
    versions = [model.version for model in spec.versions if model.name == name]
    if versions:
        raise UnknownModelError(f"{name} has no version {version}; it has {', '.join(versions)}")
    names = list(dict.fromkeys(model.name for model in spec.versions))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"models are: {', '.join(names)}"
    raise UnknownModelError(f"no model is called {name}; {hint}")
