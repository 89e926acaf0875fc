"""Where everything stands in a YAML text, and changes of it that leave the rest as it is.

Positions are characters of the text. A change is a list of edits, each of which replaces one range;
what no edit names stays byte for byte: comments, order, quotes, block and flow style, line ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import yaml

__all__ = [
    "Edit",
    "Node",
    "apply",
    "line_break",
    "line_end",
    "line_start",
    "parse_tree",
    "remove",
    "set_value",
]

try:
    _Loader: Any = yaml.CSafeLoader
except AttributeError:  # PyYAML without libyaml: slower, otherwise the same
    _Loader = yaml.SafeLoader

_MARK: Final = "\ufeff"
"""What some editors write before the first character of a file."""


class Edit(NamedTuple):
    """What replaces the characters from `start` to `end`."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Node:
    """One value. Of a collection in block style, `end` is where the last thing in it ends."""

    kind: Literal["scalar", "mapping", "sequence", "alias"]
    start: int
    end: int
    flow: bool = False
    value: str = ""
    """The text of a scalar, as YAML reads it."""
    anchor: str = ""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """The value of a mapping's own key; what is merged into it is not looked at."""
        return next((value for name, value in self.pairs if name.value == key), None)

    def within(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for below in (*self.items, *(node for pair in self.pairs for node in pair)):
            yield from below.within()


def parse_tree(text: str) -> Node:
    """The tree of a text that is known to be YAML with one document."""
    skipped = len(_MARK) if text.startswith(_MARK) else 0
    events: Iterator[Any] = iter(yaml.parse(text[skipped:], Loader=_Loader))
    next(events), next(events)  # the stream, the document
    return _read(next(events), events, text, skipped)


def _read(event: Any, events: Iterator[Any], text: str, skipped: int) -> Node:
    start, end = event.start_mark.index + skipped, event.end_mark.index + skipped
    anchor = event.anchor or ""
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", start, end)
    if isinstance(event, yaml.ScalarEvent):
        # A block scalar reaches up to what comes next.
        end = start + len(text[start:end].rstrip()) if event.style in ("|", ">") else end
        return Node("scalar", start, end, value=event.value, anchor=anchor)
    mapping = isinstance(event, yaml.MappingStartEvent)
    node = Node("mapping" if mapping else "sequence", start, end, bool(event.flow_style))
    node.anchor = anchor
    while not isinstance(event := next(events), yaml.MappingEndEvent | yaml.SequenceEndEvent):
        below = _read(event, events, text, skipped)
        if mapping:
            node.pairs.append((below, _read(next(events), events, text, skipped)))
        else:
            node.items.append(below)
    if node.flow:
        closed: Any = event.end_mark
        node.end = closed.index + skipped
    else:
        last = [value for _, value in node.pairs] or node.items
        node.end = max(last[-1].end, node.pairs[-1][0].end if mapping else 0)
    return node


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits. They must not overlap; those at one place keep their order."""
    parts, place = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < place:
            raise ValueError("two edits of one place")
        parts += [text[place : edit.start], edit.text]
        place = edit.end
    return "".join([*parts, text[place:]])


def line_start(text: str, place: int) -> int:
    """Where the line of a place begins."""
    return text.rfind("\n", 0, place) + 1


def line_end(text: str, place: int) -> int:
    """Where the line of a place ends, before its line break."""
    found = text.find("\n", place)
    end = len(text) if found < 0 else found
    return end - 1 if end > place and text[end - 1] == "\r" else end


def line_break(text: str) -> str:
    """What ends the lines of a text."""
    return "\r\n" if "\r\n" in text else "\n"


def set_value(
    text: str, mapping: Node, key: str, value: str, *, after: Sequence[str] = ()
) -> list[Edit]:
    """Give a key of a mapping a value, written as it is to stand there on one line.

    A key that is not there yet comes behind the first one of `after` that is, or else behind the
    last one.
    """
    for name, old in mapping.pairs:
        if name.value == key:
            return [_replace(text, name, old, value)]
    places = [pair for wanted in after for pair in mapping.pairs if pair[0].value == wanted]
    behind = (places or mapping.pairs[-1:])[0]
    end = max(behind[1].end, behind[0].end)
    if mapping.flow:
        return [Edit(end, end, f", {key}: {value}")]
    column = mapping.pairs[0][0].start - line_start(text, mapping.pairs[0][0].start)
    end = line_end(text, _colon(text, behind) if end == behind[0].end else end)
    return [Edit(end, end, f"{line_break(text)}{' ' * column}{key}: {value}")]


def _replace(text: str, name: Node, old: Node, value: str) -> Edit:
    inside = old.flow or old.kind in ("scalar", "alias")
    if inside and old.start < old.end:
        return Edit(old.start, old.end, value)
    # Nothing, or a block below its key: the value comes onto the key's line.
    colon = _colon(text, (name, old))
    return Edit(colon, max(old.end, colon), f" {value}")


def _colon(text: str, pair: tuple[Node, Node]) -> int:
    """The place behind the colon of a pair."""
    return text.index(":", pair[0].end) + 1


def remove(text: str, mapping: Node, key: str) -> list[Edit]:
    """Take a key out of a mapping that has others."""
    names = [name for name, _ in mapping.pairs]
    place = next((i for i, name in enumerate(names) if name.value == key), None)
    if place is None:
        return []
    name, value = mapping.pairs[place]
    following = names[place + 1].start if place + 1 < len(names) else None
    end = max(value.end, name.end)
    if mapping.flow:
        if following is not None:
            return [Edit(name.start, following, "")]
        comma = text.rindex(",", 0, name.start)
        between = text[comma + 1 : name.start]
        # A comment in between stays, and the comma with it, which YAML allows before the end.
        if between.strip():
            return [Edit(name.start, end, "")]
        return [Edit(comma, end, "")]
    if place == 0 and following is not None:
        return [Edit(name.start, following, "")]
    end = line_end(text, end)
    after = re.match(r"\r?\n", text[end:])
    if after:
        return [Edit(line_start(text, name.start), end + after.end(), "")]
    # The last line of a text that does not end in a line break.
    return [Edit(len(text[: line_start(text, name.start)].rstrip("\r\n")), end, "")]
