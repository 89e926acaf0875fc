"""Which versions are live: deploying one, and retiring one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from contract.spec import State
from generator.registry.entry import change_entry
from generator.registry.file import Key, ModelsFile, RegistryError, changed
from generator.registry.register import Outcome, find
from generator.registry.tree import Edit

__all__ = ["deploy", "moment", "retire", "set_states", "state_edits"]


def moment(at: dt.datetime) -> str:
    """A time as models.yaml has it: UTC, to the second."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def deploy(
    file: ModelsFile, name: str, version: str, *, beside: bool = False, at: dt.datetime
) -> Outcome:
    """Make a version live, and retire those that were, unless it goes `beside` them."""
    wanted = find(file, name, version)
    states: dict[Key, State] = {} if wanted.state == "live" else {wanted.key: "live"}
    former = [
        model
        for model in file.spec.versions
        if model.name == name and model.state == "live" and model.key != wanted.key
    ]
    if not beside:
        states |= {model.key: "retired" for model in former}
    others = " and ".join(model.version for model in former)
    if not states:
        return set_states(file, {}, at, f"{name} {version} is live already")
    said = f"{name} {version} is live"
    if former:
        said += f" beside {others}" if beside else f", {others} retired"
    return set_states(file, states, at, said)


def retire(file: ModelsFile, name: str, version: str) -> Outcome:
    """Keep a version for its history only."""
    model = find(file, name, version)
    if model.state == "retired":
        return set_states(file, {}, None, f"{name} {version} is retired already")
    watched = [one for one in file.spec.models if one.key != model.key]
    if not watched:
        raise RegistryError(
            f"{file.path}: {name} {version} is all that is watched: deploy another version first"
        )
    left = [one for one in watched if one.name == name and one.state == "live"]
    notes = () if left or model.state != "live" else (f"no version of {name} is live now",)
    return set_states(file, {model.key: "retired"}, None, f"{name} {version} is retired", notes)


def set_states(
    file: ModelsFile,
    states: dict[Key, State],
    at: dt.datetime | None,
    said: str,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Change the states of some versions."""
    edits = state_edits(file, states, at)
    return Outcome(changed(file, edits, touches=states.keys()), said, notes)


def state_edits(
    file: ModelsFile, states: Mapping[Key, State], at: dt.datetime | None
) -> list[Edit]:
    """The edits that give versions other states; what becomes live remembers when."""
    items = file.items()
    edits: list[Edit] = []
    for key, state in states.items():
        fields: dict[str, str | None] = {"state": state}
        if state == "live" and at is not None:
            fields["deployed_at"] = moment(at)
        edits += change_entry(file.text, items[key], fields)
    return edits
