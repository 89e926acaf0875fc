"""The form of a log line, the same in every process.

One JSON object a line: `time` (RFC 3339, UTC), `level`, `component`, `event` (a snake_case name),
and what belongs to the event: `model`, `trace_id`, ... On a terminal the same, readable.
Lines go to standard error; standard output is for what a command answers.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["FORMATS", "Format", "logger", "setup"]

Format = Literal["auto", "json", "console"]
FORMATS: tuple[Format, ...] = ("auto", "json", "console")


def setup(component: str, style: Format = "auto") -> None:
    """Send structlog's and the standard library's records through one formatter."""
    readable = style == "console" or (style == "auto" and sys.stderr.isatty())
    coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ

    def add_component(
        _: object, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event.setdefault("component", component)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_component,
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(timestamp_key="time", pad_event_to=24, colors=coloured)]
        if readable
        else [
            structlog.processors.format_exc_info,
            _first_keys,
            structlog.processors.JSONRenderer(),
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # httpx tells of every request at INFO; a line per query would drown ours.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def logger() -> FilteringBoundLogger:
    """A logger: `log.info("target_up", model="fraud", seconds=0.1)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


_FIRST = ("time", "level", "component", "event")


def _first_keys(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    ordered = {key: event[key] for key in _FIRST if key in event}
    return {**ordered, **event}
