"""A line of the log is one JSON object with the same first keys in every process."""

from __future__ import annotations

import datetime as dt
import json
import os
import pty
import subprocess
import sys
from typing import Any

from tests.processes import ROOT


def lines(code: str, style: str = "json") -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(code, style).splitlines()]


def written(code: str, style: str) -> str:
    """What a process writes to standard error, with nothing on standard output."""
    script = (
        f"from contract import logs\nlogs.setup('test', {style!r})\nlog = logs.logger()\n{code}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_a_line_begins_with_time_level_component_and_event() -> None:
    [line] = lines("log.info('target_up', model='fraud', seconds=0.5)")
    assert list(line) == ["time", "level", "component", "event", "model", "seconds"]
    assert line | {"time": ""} == {
        "time": "",
        "level": "info",
        "component": "test",
        "event": "target_up",
        "model": "fraud",
        "seconds": 0.5,
    }
    time = dt.datetime.fromisoformat(line["time"])
    assert time.utcoffset() == dt.timedelta(0)


def test_text_of_any_kind_stays_one_line() -> None:
    text = 'a "quote"\nand a break ☃'
    [line] = lines(f"log.warning('odd', text={text!r})")
    assert (line["text"], line["level"]) == (text, "warning")


def test_what_libraries_log_has_the_same_form() -> None:
    code = "import logging; logging.getLogger('lib').warning('disk %s', 'full', extra={'free': 1})"
    [line] = lines(code)
    assert (line["component"], line["level"], line["event"], line["free"]) == (
        "test",
        "warning",
        "disk full",
        1,
    )


def test_an_exception_stays_one_line_with_its_trace() -> None:
    [line] = lines("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed')")
    assert line["event"] == "failed"
    assert "ZeroDivisionError: division by zero" in line["exception"]


def test_what_cannot_be_json_is_written_as_text() -> None:
    [line] = lines("import pathlib; log.info('read', path=pathlib.Path('a'), seconds=float('nan'))")
    assert "a" in line["path"]


def test_debug_is_left_out_and_so_are_the_requests_of_clients() -> None:
    code = "log.debug('x'); import logging; logging.getLogger('httpx').info('GET /')"
    assert lines(code) == []


def test_auto_is_json_where_it_is_not_a_terminal() -> None:
    [line] = lines("log.info('up')", style="auto")
    assert line["event"] == "up"


def test_console_is_readable() -> None:
    text = written("log.info('target_up', model='fraud')", "console")
    assert "target_up" in text
    assert "model=fraud" in text
    assert "\x1b" not in text, "no colours in a file"


def test_auto_is_readable_at_a_terminal() -> None:
    script = "from contract import logs; logs.setup('test'); logs.logger().info('target_up', a=1)"
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-c", script], stderr=theirs, cwd=ROOT, check=True, env=environment
    )
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "target_up" in text
    assert "\x1b[" in text
