"""The Markdown of text panels, as far as dashboards use it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

__all__ = ["render_markdown"]


def render_markdown(text: str) -> Markup:
    """Headings, lists, paragraphs, emphasis, code and http(s) links; everything else as text."""
    return Markup("").join(_blocks(text))


def _blocks(text: str) -> Iterator[Markup]:
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.strip().splitlines()
        if found := re.match(r"(#{1,4})\s+(.*)", block.strip()):
            level = len(found[1]) + 1
            yield Markup("<h{0}>{1}</h{0}>").format(level, _spans(found[2]))
            lines = lines[1:]
        if lines and all(re.match(r"\s*[-*]\s+", line) for line in lines):
            items = (re.sub(r"^\s*[-*]\s+", "", line) for line in lines)
            inner = Markup("").join(Markup("<li>{}</li>").format(_spans(item)) for item in items)
            yield Markup("<ul>{}</ul>").format(inner)
        elif lines:
            yield Markup("<p>{}</p>").format(_spans(" ".join(lines)))


def _spans(text: str) -> Markup:
    safe = str(escape(text))
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", safe)
    safe = re.sub(r"(?<![\w*])\*([^*]+)\*(?![\w*])", r"<i>\1</i>", safe)
    # Escaped before, so neither the text nor the address can leave its place.
    safe = re.sub(r"\[([^\]]+)\]\(((?:https?://|/)[^)\s]+)\)", r'<a href="\2">\1</a>', safe)
    return Markup(safe)  # noqa: S704  (built from escaped text above)
