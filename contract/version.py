"""The order of versions: 1.9 before 1.10, 2.0.0-rc1 before 2.0.0, dates as dates."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

__all__ = ["version_key"]

_TOKEN: Final = re.compile(r"[0-9]+|[a-z]+")
_BEFORE: Final = {
    "dev": 0,
    "nightly": 0,
    "snapshot": 0,
    "a": 1,
    "alpha": 1,
    "b": 2,
    "beta": 2,
    "c": 3,
    "rc": 3,
    "pre": 3,
    "preview": 3,
}
"""Words that make a version come before the one without them."""

_SAME: Final = frozenset({"final", "ga", "release"})

_PRE, _END, _WORD, _NUMBER = range(4)

Key = tuple[tuple[tuple[int, int, str], ...], str]


def version_key(version: str) -> Key:
    """What versions sort by.

    A v in front, the separators and zeros at the end of the numbers do not matter (2 and v2.0.0 are
    equal but for the order of their texts); rc, beta, alpha and dev come before the version itself,
    other words and further numbers behind it.
    """
    text = re.sub(r"^v(?=[0-9])", "", version.strip().lower())
    if re.fullmatch(r"(?=.*[a-f])[0-9a-f]{7,64}", text):  # a commit: one word
        return (((_WORD, 0, text),), version)
    tokens = _TOKEN.findall(text)
    if tokens and (date := _compact_date(tokens[0])):
        tokens[:1] = date
    numbers = 0
    while numbers < len(tokens) and tokens[numbers].isdigit():
        numbers += 1
    release = [int(token) for token in tokens[:numbers]]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    rest = [token for token in tokens[numbers:] if token not in _SAME]
    if numbers >= 3 and rest[:1] == ["t"]:  # a time of day behind a date
        rest = rest[1:]
    return (
        (*((_NUMBER, number, "") for number in release), *map(_part, rest), (_END, 0, "")),
        version,
    )


def _part(token: str) -> tuple[int, int, str]:
    if token.isdigit():
        return (_NUMBER, int(token), "")
    return (_PRE, _BEFORE[token], "") if token in _BEFORE else (_WORD, 0, token)


def _compact_date(token: str) -> list[str]:
    """20261001 as 2026, 10, 1; empty for what is no date."""
    if len(token) not in (8, 12, 14) or not token.startswith(("19", "20")):
        return []
    try:
        dt.date(int(token[:4]), int(token[4:6]), int(token[6:8]))
    except ValueError:
        return []
    times = [token[place : place + 2] for place in range(8, len(token), 2)]
    return [token[:4], token[4:6], token[6:8], *times]
