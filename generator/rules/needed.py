"""Of all rules, those that a test needs: promtool evaluates every rule at every step of every test.

What is left out can't change a result, because no rule that is kept reads it; the rules that are
kept are the very ones that Prometheus gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from generator.text import render_yaml

__all__ = ["RuleFiles"]

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_:]*")


class RuleFiles:
    """Rule files by name, parsed once."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._groups = {
            name: yaml.load(text, Loader=_LOADER)["groups"]  # noqa: S506  # safe, only faster
            for name, text in files.items()
        }
        self._reads: dict[str, set[str]] = {}
        for groups in self._groups.values():
            for rule in (rule for group in groups for rule in group["rules"]):
                # Templates of annotations query, too.
                text = "\n".join((rule["expr"], *rule.get("annotations", {}).values()))
                self._reads.setdefault(_called(rule), set()).update(_NAME.findall(text))

    def needed(self, test: str) -> dict[str, str]:
        """The same files with the rules that a test file names, and those that they read."""
        found: set[str] = set()
        wanted = set(_NAME.findall(test)) & self._reads.keys()
        while wanted:
            found |= wanted
            read = set().union(*(self._reads[name] for name in wanted))
            wanted = (read & self._reads.keys()) - found
        return {name: render_yaml({"groups": self._kept(name, found)}) for name in self._groups}

    def _kept(self, file: str, names: set[str]) -> list[dict[str, Any]]:
        groups = (
            {**group, "rules": [rule for rule in group["rules"] if _called(rule) in names]}
            for group in self._groups[file]
        )
        return [group for group in groups if group["rules"]]


def _called(rule: Mapping[str, Any]) -> str:
    name: str = rule.get("record") or rule["alert"]
    return name
