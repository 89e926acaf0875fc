"""One look at a dashboard: what was chosen, what Prometheus answered, and when."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from preview.answer import Answer, Mark, ask_alerts, ask_annotations, ask_panels
from preview.board import Board
from preview.colours import Theme
from preview.prometheus import Prometheus
from preview.span import Span, resolve_span
from preview.variables import Choice, put_in_title, resolve_choices

__all__ = ["View", "look_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that is needed to draw a dashboard. `problems` concern the page as a whole."""

    board: Board
    choices: Mapping[str, Choice]
    span: Span
    theme: Theme
    answers: Mapping[int, Answer]
    marks: tuple[Mark, ...]
    problems: tuple[str, ...]
    source: str
    """Where Prometheus is."""


def look_at(
    board: Board,
    prometheus: Prometheus,
    *,
    wanted: Mapping[str, Sequence[str]],
    since: str,
    until: str,
    theme: Theme,
    scrape_interval: float,
) -> View:
    """Ask Prometheus everything the dashboard asks.

    What fails is in the view: a dashboard without Prometheus says so in every panel.

    Raises:
        preview.span.SpanError: the time range can't be read.
    """
    span = resolve_span(since or board.since, until or board.until, now=time.time())
    choices, refused = resolve_choices(board, wanted, prometheus, span)
    answers = ask_panels(board, choices, prometheus, span, scrape_interval=scrape_interval)
    for panel in board.panels:
        if panel.kind == "alertlist":
            answers[panel.id] = ask_alerts(panel, prometheus)
    marks, failed = ask_annotations(board, choices, prometheus, span)
    problems = list(dict.fromkeys([*(one.reason for one in refused), *failed]))
    down = [text for text in problems if "does not answer" in text]
    return View(
        board=_titled(board, choices),
        choices=choices,
        span=span,
        theme=theme,
        answers=_say_once(answers) if down else answers,
        marks=marks,
        # Without Prometheus everything fails for the one reason; it is said once, at the top.
        problems=tuple(down[:1] or problems),
        source=prometheus.url,
    )


def _titled(board: Board, choices: Mapping[str, Choice]) -> Board:
    """The dashboard with what was chosen in the titles of its panels."""
    panels = [replace(one, title=put_in_title(one.title, choices)) for one in board.panels]
    return replace(board, panels=tuple(panels))


def _say_once(answers: Mapping[int, Answer]) -> dict[int, Answer]:
    return {
        number: replace(answer, errors=("Prometheus does not answer",))
        if any("does not answer" in error for error in answer.errors)
        else answer
        for number, answer in answers.items()
    }
