"""models.yaml → spec, with every problem at once and each at its place.

PyYAML composes the file into nodes that know their line and column; pydantic checks the values;
what it finds is put back at the node it belongs to. Scalars follow YAML 1.2's core schema, so that
`off`, `on` and `2026-10-01` are text and mean what they look like.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from contract.alerts import ALERTS
from contract.problems import Problem, ProblemsError
from contract.spec import Model, Spec, resolve

__all__ = ["read_spec"]

Path_ = tuple[str | int, ...]

try:
    _Base: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML without libyaml: slower, otherwise the same
    _Base = yaml.SafeLoader


class _Loader(_Base):  # type: ignore[misc]  # chosen at run time
    """Safe YAML with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        ["" if c == "\0" else c for c in _first],
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value or key stands, counted from 1."""

    line: int
    column: int
    width: int


@dataclass(slots=True)
class _Document:
    """A composed file: its data, and the place of every key and value by path."""

    file: str
    lines: list[str]
    values: dict[Path_, _Place] = field(default_factory=dict)
    keys: dict[Path_, _Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(
        self, path: Path_, message: str, suggestion: str = "", *, at_key: bool = False
    ) -> None:
        path = self._as_written(path)
        place = self._place(path, at_key=at_key)
        source = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        self.problems.append(
            Problem(
                self.file,
                place.line,
                place.column,
                _dotted(path),
                message,
                suggestion.replace("{written}", source[place.column - 1 :][: place.width]),
                source,
                place.width,
            )
        )

    def _as_written(self, path: Path_) -> Path_:
        """The path without the [0] of a list that was written as its only item."""
        kept: Path_ = ()
        for part in path:
            alone = part == 0 and (*kept, part) not in self.values and kept in self.values
            kept = kept if alone else (*kept, part)
        return kept

    def _place(self, path: Path_, *, at_key: bool) -> _Place:
        """The place of the path or of the nearest thing above it that was written."""
        if at_key and path in self.keys:
            return self.keys[path]
        for end in range(len(path), -1, -1):
            if (place := self.values.get(path[:end])) is not None:
                return self.keys.get(path[:end], place) if end < len(path) and end else place
        return _Place(1, 1, 1)


def _dotted(path: Path_) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read_spec(
    path: Path,
    *,
    time_scale: float = 1.0,
    addresses: Mapping[str, str] | None = None,
    files: bool = True,
) -> Spec:
    """Read and resolve models.yaml. Raises ProblemsError with everything that is wrong.

    `addresses` overrides addresses of `stack:` by name; `time_scale` shortens every duration that
    Prometheus sees (tests, game days). Without `files`, the files that it names may be missing:
    what builds a profile has to read a models.yaml that already names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ProblemsError([Problem(str(path), 1, 1, "", f"cannot be read: {reason}")]) from None
    document = _Document(str(path), text.splitlines())
    data = _compose(text, document)
    if document.problems:
        raise ProblemsError(document.problems)
    spec = _validate(data, document, path.parent if files else None)
    _check_references(data, document)
    if spec is not None and not document.problems:
        spec = resolve(
            spec, root=path.parent, time_scale=time_scale, addresses=dict(addresses or {})
        )
        _check_meaning(spec, document)
    if document.problems or spec is None:
        raise ProblemsError(document.problems)
    return spec


# YAML → data with places


def _compose(text: str, document: _Document) -> Any:
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        source = document.lines[line - 1] if line <= len(document.lines) else ""
        message = f"is not YAML: {error.problem or error.context}"
        document.problems.append(Problem(document.file, line, column, "", message, source=source))
        return None
    if node is None:
        document.problems.append(
            Problem(document.file, 1, 1, "", "is empty", "start with `models:` and one model")
        )
        return None
    return _walk(node, (), document, ())


def _walk(node: yaml.Node, path: Path_, document: _Document, above: tuple[int, ...]) -> Any:
    """The Python value of a node; notes the place of each value and key on the way."""
    document.values[path] = _place_of(node)
    if id(node) in above:
        document.problem(path, "an alias refers to what contains it")
        return None
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        return _walk_mapping(node, path, document, above)
    if isinstance(node, yaml.SequenceNode):
        return [
            _walk(item, (*path, index), document, above) for index, item in enumerate(node.value)
        ]
    return _scalar(node)


def _walk_mapping(
    node: yaml.MappingNode, path: Path_, document: _Document, above: tuple[int, ...]
) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            sources = (
                value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            )
            for source in reversed(sources):
                value = _walk(source, path, document, above)
                if isinstance(value, dict):
                    merged |= value
            document.values[path] = _place_of(node)
            continue
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
        here = (*path, key)
        if not key:
            document.problem(path, "has a key that is not a word")
            continue
        duplicate = key in own
        document.keys[here] = _place_of(key_node)
        if duplicate:
            document.problem(here, "stands twice", "keep one of them", at_key=True)
        own[key] = _walk(value_node, here, document, above)
    return {**merged, **own}


def _place_of(node: yaml.Node) -> _Place:
    start, end = node.start_mark, node.end_mark
    width = end.column - start.column if end.line == start.line else 1
    return _Place(start.line + 1, start.column + 1, max(width, 1))


_CONSTRUCT: Final[dict[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:null": lambda _: None,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}


def _scalar(node: yaml.Node) -> Any:
    construct = _CONSTRUCT.get(node.tag)
    return construct(node.value) if construct else node.value


# Data → spec


def _validate(data: Any, document: _Document, root: Path | None) -> Spec | None:
    context = {"file": document.file} if root is None else {"file": document.file, "root": root}
    try:
        return Spec.model_validate(data, context=context)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            loc = tuple(part for part in found["loc"] if part != "[key]")
            _explain(found, loc, document)
        return None


def _explain(found: Mapping[str, Any], loc: Path_, document: _Document) -> None:
    kind, value = found["type"], found.get("input")
    context = found.get("ctx", {})
    if kind == "extra_forbidden":
        known = sorted(_keys_at(loc[:-1]))
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        document.problem(loc, "unknown key", hint, at_key=True)
    elif kind == "missing":
        document.problem(loc, "is required")
    elif kind == "spec":
        at_key = "[key]" in found["loc"]
        document.problem(loc, found["msg"], context.get("suggestion", ""), at_key=at_key)
    elif kind == "literal_error":
        wanted = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        near = difflib.get_close_matches(str(value), wanted.split(", "), n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {wanted}"
        document.problem(loc, f"is not known: {value!r}", hint)
    elif kind in {"model_type", "dict_type", "model_attributes_type"}:
        keys = ", ".join(sorted(_keys_at(loc))) or "key: value"
        document.problem(loc, f"should be a mapping, got {_called(value)}", f"keys: {keys}")
    else:
        message = found["msg"][0].lower() + found["msg"][1:]
        document.problem(loc, f"{message}, got {_called(value)}")


def _called(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", tuple: "a list", type(None): "nothing"}
    return names.get(type(value), repr(value))


def _keys_at(loc: Path_) -> Iterable[str]:
    """The keys that a mapping of the spec at this path may have."""
    model: type[BaseModel] | None = Spec
    for part in loc:
        if model is None:
            return ()
        if isinstance(part, int):
            continue
        info = _field(model, part)
        model = _model_in(info.annotation) if info else model
    return (info.alias or name for name, info in model.model_fields.items()) if model else ()


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, info in model.model_fields.items():
        if key in {name, info.alias}:
            return info
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section inside `Model`, `tuple[Model, ...]`, `dict[str, Team]` or `Smtp | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if (inside := _model_in(argument)) is not None:
            return inside
    return None


# What pydantic cannot see: one part of the file against another


def _models(data: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The models of a file whose other parts may be wrong."""
    models = data.get("models") if isinstance(data, dict) else None
    for index, model in enumerate(models if isinstance(models, list) else []):
        if isinstance(model, dict):
            yield index, model


def _check_references(data: Any, document: _Document) -> None:
    """Models that stand twice and teams that nobody described; on raw data, so always."""
    first: dict[tuple[str, str], int] = {}
    for index, model in _models(data):
        key = (str(model.get("name")), str(model.get("version")))
        if None in (model.get("name"), model.get("version")):
            continue
        if key in first:
            document.problem(
                ("models", index, "name"),
                f"{key[0]} {key[1]} is already models[{first[key]}]",
                "give it another version, or take one of them out",
            )
        first.setdefault(key, index)
    teams = data.get("teams", {"ml-platform": {}}) if isinstance(data, dict) else {}
    known = list(teams) if isinstance(teams, dict) else []
    defaults = data.get("defaults") if isinstance(data, dict) else None
    named: list[tuple[Path_, Any]] = [
        (("models", index, "team"), model["team"])
        for index, model in _models(data)
        if "team" in model
    ]
    if isinstance(defaults, dict) and "team" in defaults:
        named.append((("defaults", "team"), defaults["team"]))
    for path, team in named:
        if team not in known:
            near = difflib.get_close_matches(str(team), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"describe it under teams: {team}: {{}}"
            document.problem(path, f"no team is called {team}", hint)


def _check_meaning(spec: Spec, document: _Document) -> None:
    """What only the resolved spec shows."""
    _check_teams(spec, document)
    for index, model in enumerate(spec.models):
        here: Path_ = ("models", index)
        if model.drift.warning > model.drift.critical:
            drift = model.drift
            document.problem(
                (*here, "drift"),
                f"warns at {drift.warning:g}, above critical at {drift.critical:g}",
                "the warning threshold must be the lower one",
            )
        _check_alerts(model, (*here, "alerts"), document)


def _check_teams(spec: Spec, document: _Document) -> None:
    if spec.defaults.team not in spec.teams:
        document.problem(
            ("teams",),
            f"the default team {spec.defaults.team} is not among them",
            f"add {spec.defaults.team}: {{}} or set defaults.team",
            at_key=True,
        )
    for name in Counter(model.team for model in spec.models):
        team = spec.teams.get(name)
        if team is None:
            continue
        for severity in spec.routing.model_fields_set:
            lacking = set(getattr(spec.routing, severity)) - team.channels()
            for channel in sorted(lacking):
                document.problem(
                    ("routing", severity),
                    f"names {channel}, which team {name} does not have",
                    f"add teams.{name}.{channel}, or take {channel} out",
                )
    for name, team in spec.teams.items():
        if team.email is not None and spec.smtp is None:
            document.problem(
                ("teams", name, "email"),
                "needs a mail server",
                "add smtp: {smarthost: mail.example.com:587, from: alerts@example.com}",
                at_key=True,
            )


def _check_alerts(model: Model, path: Path_, document: _Document) -> None:
    for name, settings in model.alerts.items():
        alert = ALERTS[name]
        if settings.severity and len(alert.severities) > 1:
            document.problem(
                (*path, name, "severity"),
                f"{name} has a severity for each of its thresholds: {', '.join(alert.severities)}",
                "leave severity out",
            )
        if settings.threshold is not None and ".alerts." not in alert.set_by:
            where = alert.set_by or "nothing: it has no threshold"
            document.problem((*path, name, "threshold"), "is not set here", f"it is set by {where}")
