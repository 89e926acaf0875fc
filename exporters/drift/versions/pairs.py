"""Which versions of models.yaml are compared with which."""

from __future__ import annotations

from collections.abc import Iterable

from contract.spec import Model
from contract.version import version_key

__all__ = ["in_order"]


def in_order(models: Iterable[Model]) -> dict[str, tuple[Model, ...]]:
    """The versions of each model that has several, from the oldest to the newest.

    Those that are live come in the order in which they were deployed, where models.yaml says so of
    all of them, and otherwise in the order of their versions. What is only registered is newer.
    What is retired is not compared.
    """
    by_name: dict[str, list[Model]] = {}
    for model in models:
        if model.state != "retired":
            by_name.setdefault(model.name, []).append(model)
    return {name: _sorted(found) for name, found in by_name.items() if len(found) > 1}


def _sorted(versions: list[Model]) -> tuple[Model, ...]:
    dated = all(model.deployed_at for model in versions if model.state == "live")

    def moment(model: Model) -> float:
        return model.deployed_at.timestamp() if dated and model.deployed_at else 0.0

    def order(model: Model) -> tuple[object, ...]:
        registered = model.state == "registered"
        return (registered, 0.0 if registered else moment(model), version_key(model.version))

    return tuple(sorted(versions, key=order))
