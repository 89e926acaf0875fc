"""Which requests are inference, of which model, and how their bodies are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote

__all__ = ["Match", "Routes"]

_BUILT_IN: Final = {
    "v2": r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer",
    "tensorflow": r"/v1/models/(?P<model>[^/:]+)(?:/(?:versions|labels)/(?P<version>[^/:]+))?"
    r":predict",
    "mlflow": r"/invocations",
}

_REMEMBERED: Final = 1000
"""Paths whose match is remembered; which there are is up to clients, so not without end."""


class Match(NamedTuple):
    """An inference: `kind` is a protocol or `path:N`, the N-th of the mapped paths.

    `model` is empty and `version` None where the path does not say them; `place` is the model's
    among those of this proxy, -1 where it is none of them.
    """

    kind: str
    model: str
    version: str | None
    place: int


@dataclass(slots=True)
class Routes:
    """The inference paths of one proxy.

    `models` are (name, version) in the order of models.yaml, `mapped` the paths that it maps, each
    with the name of the model that maps it.
    """

    models: Sequence[tuple[str, str]]
    mapped: Sequence[tuple[str, str]] = ()
    _patterns: list[tuple[str, str, re.Pattern[str]]] = field(default_factory=list)
    _known: dict[str, Match | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, (path, model) in enumerate(self.mapped):
            own = "" if "{model}" in path else model
            self._patterns.append((f"path:{number}", own, re.compile(_pattern(path))))
        names = {name for name, _ in self.models}
        only = names.pop() if len(names) == 1 else ""
        for kind, pattern in _BUILT_IN.items():
            self._patterns.append((kind, only, re.compile(pattern)))

    def match(self, method: bytes, path: str) -> Match | None:
        """The inference that a request is; None for every other request."""
        if method != b"POST":
            return None
        try:
            return self._known[path]
        except KeyError:
            found = self._match(path)
            if len(self._known) < _REMEMBERED:
                self._known[path] = found
            return found

    def _match(self, path: str) -> Match | None:
        for kind, model, pattern in self._patterns:
            if found := pattern.fullmatch(path):
                parts = found.groupdict()
                name = unquote(parts.get("model") or "") or model
                version = parts.get("version")
                version = None if version is None else unquote(version)
                return Match(kind, name, version, self._place(name, version))
        return None

    def _place(self, name: str, version: str | None) -> int:
        fitting: Iterable[int] = (
            place
            for place, (own, its) in enumerate(self.models)
            if own == name and version in {None, its}
        )
        return max(fitting, default=-1)


def _pattern(path: str) -> str:
    """A path of models.yaml as a regular expression."""
    parts = re.split(r"\{(\w+)\}", path)
    texts = [re.escape(text) for text in parts[::2]]
    # A name may stand once in a path only; a second one matches without being looked at.
    named: set[str] = set()
    out = texts[0]
    for name, text in zip(parts[1::2], texts[1:], strict=True):
        out += "[^/]+" if name == "any" or name in named else f"(?P<{name}>[^/]+)"
        named.add(name)
        out += text
    return out
