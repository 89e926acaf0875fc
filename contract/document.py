"""A YAML file as data, with the place of every key and value in it.

PyYAML composes the file into nodes that know their line and column; `read_document` walks them.
Scalars follow YAML 1.2's core schema, so that `off`, `on` and `2026-10-01` are text and mean what
they look like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from contract.problems import Problem, ProblemsError

__all__ = ["Document", "KeyPath", "dotted", "read_document"]

KeyPath = tuple[str | int, ...]
"""Where a value is in nested mappings and lists: ("models", 0, "name")."""

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
class Document:
    """A composed file: its data, and the place of every key and value by path."""

    file: str
    lines: list[str]
    values: dict[KeyPath, _Place] = field(default_factory=dict)
    keys: dict[KeyPath, _Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def problem(
        self, path: KeyPath, message: str, suggestion: str = "", *, at_key: bool = False
    ) -> None:
        """Note a problem at the value of `path`, at its key, or at what stands above it.

        `{written}` in the suggestion becomes what the file says there.
        """
        path = self._as_written(path)
        place = self._place(path, at_key=at_key)
        source = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        self.problems.append(
            Problem(
                self.file,
                place.line,
                place.column,
                dotted(path),
                message,
                suggestion.replace("{written}", source[place.column - 1 :][: place.width]),
                source,
                place.width,
            )
        )

    def _as_written(self, path: KeyPath) -> KeyPath:
        """The path without the [0] of a list that was written as its only item."""
        kept: KeyPath = ()
        for part in path:
            alone = part == 0 and (*kept, part) not in self.values and kept in self.values
            kept = kept if alone else (*kept, part)
        return kept

    def _place(self, path: KeyPath, *, at_key: bool) -> _Place:
        """The place of the path or of the nearest thing above it that was written."""
        if at_key and path in self.keys:
            return self.keys[path]
        for end in range(len(path), -1, -1):
            if (place := self.values.get(path[:end])) is not None:
                return self.keys.get(path[:end], place) if end < len(path) and end else place
        return _Place(1, 1, 1)


def dotted(path: KeyPath) -> str:
    """The path as people write it: models[0].slo.latency."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


_MAX_NODES: Final = 1_000_000
"""Far above any real file; aliases of aliases grow tenfold a line."""


class _TooLargeError(Exception):
    """A file that never ends being read."""


def read_document(
    path: Path, *, if_empty: str = "", text: str | None = None
) -> tuple[Any, Document]:
    """A YAML file's data and its places; `if_empty` suggests what to write into an empty one.

    A `text` is read in place of what the file holds.

    Raises ProblemsError where it cannot be read, is no YAML, or says something twice.
    """
    file = str(path)
    try:
        if text is None:
            text = path.read_text(encoding="utf-8-sig")
        document = Document(file, text.splitlines())
        data = _compose(text, document, if_empty)
    except OSError as error:
        raise _unreadable(file, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _unreadable(file, "cannot be read: is not UTF-8 text") from None
    except RecursionError:
        raise _unreadable(file, "is nested too deeply") from None
    except _TooLargeError:
        message = f"its aliases stand for more than {_MAX_NODES} values"
        raise _unreadable(file, message) from None
    if document.problems:
        raise ProblemsError(document.problems)
    return data, document


def _unreadable(file: str, message: str) -> ProblemsError:
    return ProblemsError([Problem(file, 1, 1, "", message)])


def _compose(text: str, document: Document, if_empty: str) -> Any:
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(text, error.position)
        message = f"is not YAML: {error.reason}"
        document.problems.append(Problem(document.file, line, column, "", message))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        source = document.lines[line - 1] if line <= len(document.lines) else ""
        message = f"is not YAML: {error.problem or error.context}"
        document.problems.append(Problem(document.file, line, column, "", message, source=source))
        return None
    if node is None:
        document.problems.append(Problem(document.file, 1, 1, "", "is empty", if_empty))
        return None
    return _walk(node, (), document, ())


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position].splitlines(keepends=True) or [""]
    return (len(before), len(before[-1]) + 1)


_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "map", "null", "seq", "str")
)


def _walk(node: yaml.Node, path: KeyPath, document: Document, above: tuple[int, ...]) -> Any:
    """The Python value of a node; notes the place of each value and key on the way."""
    document.values[path] = _place_of(node)
    document.nodes += 1
    if document.nodes > _MAX_NODES:
        raise _TooLargeError
    if node.tag not in _TAGS:
        document.problem(path, f"has a tag that is not known: {node.tag}", "leave it out")
        return None
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
    try:
        return _scalar(node)
    except ValueError:
        document.problem(path, "is not a number that can be read")
        return None


def _walk_mapping(
    node: yaml.MappingNode, path: KeyPath, document: Document, above: tuple[int, ...]
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
                elif value is not None:
                    document.problem(path, "<< needs a mapping, or a list of mappings")
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
