"""What models.yaml says of one version: a new one beside an older one, or other keys of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import yaml

from generator.registry.tree import (
    Edit,
    Node,
    apply,
    line_break,
    line_end,
    line_start,
    remove,
    set_value,
)

__all__ = ["Plain", "add_entry", "change_entry", "written"]

ORDER: Final = (
    "name",
    "version",
    "state",
    "deployed_at",
    "team",
    "task",
    "framework",
    "trained_at",
    "artifact",
    "training",
    "serving",
    "profile",
)
"""Where a key comes that was not there before: behind the nearest of those before it here."""

Fields = Mapping[str, str | None]
"""Keys with what is to stand there, written out; None is to go."""


class Plain(str):
    """Text that needs no quotes: a date, a number."""

    __slots__ = ()


_BARE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_NO_TEXT: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def written(value: object) -> str:
    """A value as YAML writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and value.lower() not in _NO_TEXT
        return str(value) if bare or isinstance(value, Plain) else quoted(value)
    raise TypeError(f"no way to write {value!r}")


def quoted(text: str) -> str:
    """Text in double quotes, as versions have to be."""
    out: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**20)
    return out.removesuffix("\n")


def change_entry(text: str, item: Node, fields: Fields) -> list[Edit]:
    """Give keys of a version other values, or take them away."""
    edits = []
    for key, value in fields.items():
        if value is None:
            edits += remove(text, item, key)
            continue
        before = ORDER[: ORDER.index(key)] if key in ORDER else ()
        staying = [name for name in reversed(before) if fields.get(name, "") is not None]
        edits += set_value(text, item, key, value, after=staying)
    return edits


def add_entry(
    text: str,
    versions: Node,
    fields: Fields,
    *,
    behind: Node | None,
    like: Node | None = None,
    more: Sequence[Edit] = (),
) -> Edit:
    """Add a version to the list of `versions`, behind one of them, or else behind the last.

    With `like`, it is a copy of what stands there with other `fields` and `more` edits of that
    place; else it has just these fields.
    """
    behind = behind or versions.items[-1]
    if versions.flow:
        own = text[line_start(text, behind.start) : behind.start]
        separator = f",{line_break(text)}{own}" if not own.strip() else ", "
        end = behind.end
        body = _copy(text, like, like.start, like.end, fields, more) if like else _flow(fields)
        return Edit(end, end, separator + body)
    column = _column(text, versions)
    end = _end(text, behind, column)
    if like is None:
        body = _block(fields, column, line_break(text))
    else:
        body = _copy(text, like, _start(text, like, column), _end(text, like, column), fields, more)
    gap = line_break(text) * (2 if _spaced(text, versions, column) else 1)
    return Edit(end, end, gap + body)


def _flow(fields: Fields) -> str:
    return "{" + ", ".join(_ordered(fields)) + "}"


def _ordered(fields: Fields) -> list[str]:
    """The keys that have a value, each with it."""
    given = {key: value for key, value in fields.items() if value}
    return [f"{key}: {given[key]}" for key in sorted(given, key=ORDER.index)]


def _block(fields: Fields, column: int, end: str) -> str:
    lines = _ordered(fields)
    indents = [" " * column + "- ", *[" " * (column + 2)] * len(lines)]
    return end.join(indent + line for indent, line in zip(indents, lines, strict=False))


def _copy(text: str, like: Node, start: int, end: int, fields: Fields, more: Sequence[Edit]) -> str:
    """The text from `start` to `end`, which is the version `like`, with what is other in it."""
    edits = [_with_comment(text, edit) for edit in change_entry(text, like, fields)]
    edits += more
    for node in like.within():
        inside = any(edit.start <= node.start < edit.end for edit in edits)
        if node.anchor and not inside:
            # Twice, an anchor would stand for the second thing from there on.
            place = text.index(f"&{node.anchor}", node.start)
            length = len(node.anchor) + 1
            blanks = len(re.match(r"[ \t]*", text[place + length :])[0])  # type: ignore[index]
            edits.append(Edit(place, place + length + blanks, ""))
    return apply(text[start:end], [Edit(e.start - start, e.end - start, e.text) for e in edits])


def _with_comment(text: str, edit: Edit) -> Edit:
    """Of a value that becomes another one, also the comment behind it: it was about the old one."""
    end = line_end(text, edit.end)
    about_old = edit.end > edit.start and edit.text != text[edit.start : edit.end]
    if about_old and re.fullmatch(r"[ \t]+#.*", text[edit.end : end]):
        return Edit(edit.start, end, edit.text)
    return edit


def _column(text: str, versions: Node) -> int:
    """The column of the dashes."""
    return versions.start - line_start(text, versions.start)


def _start(text: str, item: Node, column: int) -> int:
    """Where the line with the dash of an item begins."""
    place = line_start(text, item.start)
    while not re.match(rf"[ ]{{{column}}}-", text[place:]):
        place = line_start(text, place - 1)
    return place


def _end(text: str, item: Node, column: int) -> int:
    """Where the last line of an item ends, with comments below it that are indented like it."""
    end = line_end(text, item.end)
    while found := re.match(rf"\r?\n[ \t]{{{column + 1},}}#[^\r\n]*", text[end:]):
        end += found.end()
    return end


def _spaced(text: str, versions: Node, column: int) -> bool:
    """Whether there are empty lines between versions."""
    return any(not line.strip() for line in _between(text, versions, column))


def _between(text: str, versions: Node, column: int) -> Iterator[str]:
    for one, other in zip(versions.items, versions.items[1:], strict=False):
        yield from text[_end(text, one, column) : _start(text, other, column)].splitlines()[1:]
