"""The command: what it writes where, what it refuses, and with which exit status."""

from __future__ import annotations

import fcntl
import html.parser
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain, repeat
from pathlib import Path
from threading import Thread
from typing import Any, Final

import jsonschema
import pytest

from contract.spec import Spec
from generator.__main__ import main
from generator.report import command
from generator.report.ask import Progress
from tests.processes import ROOT, free_port

OCTOBER: Final = ("--from", "2026-10", "--to", "2026-10", "--zone", "UTC")
SCHEMA: Final = ROOT / "docs" / "report.schema.json"


def models_of(spec: Spec) -> str:
    return str(spec.path("models.yaml"))


def report(spec: Spec, *arguments: str) -> int:
    return main(["report", *arguments, "--models", models_of(spec), *OCTOBER])


# JSON


@pytest.mark.stack
@pytest.mark.parametrize("kind", ["sla", "performance", "drift"])
def test_json_keeps_its_schema_and_has_no_nan(
    october: Spec, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert report(october, kind, "--format", "json") == 0

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert found["schema_version"] == 1
    assert found["period"] == {"start": "2026-10-01T00:00:00Z", "end": "2026-11-01T00:00:00Z"}
    assert [model["name"] for model in found["models"]] == [
        "fraud", "fraud", "spiky", "spiky", "idle", "absent",
    ]  # fmt: skip
    asked_for = [part for part in ("sla", "performance", "drift") if found["models"][1][part]]
    assert asked_for == [kind]


NAMES: Final = {
    "Span": {"start", "end"},
    "Alert": {
        "name", "severity", "episodes", "firing_seconds", "first_firing", "last_firing",
        "firing_at_end",
    },
    "Outcome": {"start", "end", "events", "bad_events", "achieved_ratio"},
    "Statistics": {"start", "end", "mean", "min", "max", "median"},
    "Traffic": {"start", "end", "covered_ratio", "requests", "errors", "error_ratio"},
    "Report": {
        "schema_version", "kind", "generated_at", "prometheus", "period", "zone", "step", "notes",
        "figures_from", "models",
    },
}  # fmt: skip
"""Names that programs read: a change of one of these is a new schema_version."""


def test_names_that_programs_read_stay() -> None:
    schema = json.loads(SCHEMA.read_text())
    every = {**schema["$defs"], "Report": schema}
    for name, fields in NAMES.items():
        assert fields <= set(every[name]["properties"]), name
        assert fields <= set(every[name]["required"]), name


# HTML


class Elements(html.parser.HTMLParser):
    """The tags of a page, and what they link to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@pytest.mark.stack
def test_html_is_one_file_without_scripts_or_links(october: Spec, tmp_path: Path) -> None:
    out = tmp_path / "sla.html"
    assert report(october, "sla", "--format", "html", "--out", str(out)) == 0
    page = Elements()
    text = out.read_text()
    page.feed(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.links == []
    assert "url(http" not in text
    assert "@import" not in text
    # A chart of each promise that has events: one of fraud 1, two of fraud 2, one of each spiky.
    assert page.tags.count("svg") == 5
    assert "size: A4" in text
    assert "-100%" in text


# Files and pipes


@pytest.mark.stack
def test_out_replaces_a_file_whole(october: Spec, tmp_path: Path) -> None:
    out = tmp_path / "report.txt"
    out.write_text("old")
    assert report(october, "sla", "--model", "idle", "--out", str(out)) == 0
    assert out.read_text().startswith("SLA report\n")
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.stack
def test_a_file_that_cannot_be_written_is_an_error(
    october: Spec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "no" / "report.txt"
    assert report(october, "sla", "--out", str(out)) == 1
    assert capsys.readouterr().err.startswith(f"--out {out}: {out.parent}: No such file")


@pytest.mark.stack
def test_who_reads_a_few_lines_of_a_pipe_gets_them(october: Spec) -> None:
    argv = [sys.executable, "-m", "generator", "report", "sla", "--models", models_of(october)]
    with subprocess.Popen(
        [*argv, *OCTOBER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout
        assert started.stderr
        assert started.stdout.readline() == "SLA report\n"
        started.stdout.close()
        assert started.stderr.read() == ""
        assert started.wait(30) == 0


# Terminals


def on_terminal(spec: Spec, columns: int, **environment: str) -> str:
    """What a terminal of that width shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    argv = [sys.executable, "-m", "generator", "report", "sla", "--models", models_of(spec)]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    shown = b""
    with subprocess.Popen(
        [*argv, *OCTOBER], cwd=ROOT, stdout=theirs, stderr=theirs, env=inherited | environment
    ) as started:
        os.close(theirs)
        # A terminal whose program has ended can't be read any more, and says so with an error.
        with suppress(OSError):
            while part := os.read(ours, 65_536):
                shown += part
        os.close(ours)
        assert started.wait(30) == 0
    return shown.decode()


@pytest.mark.stack
@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_has_colours_and_its_own_width(october: Spec, columns: int) -> None:
    shown = on_terminal(october, columns)
    assert "[\033[1;31mBROKEN\033[0m]" in shown
    words = re.sub(r"\033\[[\d;]*m", "", shown).splitlines()
    assert max(map(len, words)) == columns


@pytest.mark.stack
def test_no_color_is_heeded(october: Spec) -> None:
    assert "\033" not in on_terminal(october, 80, NO_COLOR="1")


def test_progress_is_one_line_that_goes_away_and_comes_only_after_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = chain([0.0, 0.5], repeat(1.5))
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    progress = Progress(shown=True)
    for text in ("soon", "requests", "alerts"):
        progress.say(text)
    progress.done()
    shown = capsys.readouterr().err
    assert shown.split("\r") == ["", "requests", "alerts  ", "        ", ""]
    Progress(shown=False).done()
    assert capsys.readouterr().err == ""


# What is refused


@pytest.mark.stack
def test_an_unknown_model_is_suggested(october: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(october, "sla", "--model", "fruad") == 2
    assert capsys.readouterr().err == (
        "--model fruad: neither in models.yaml nor counted in this period; did you mean fraud?\n"
    )


BAD: Final = {
    "no time": (("--from", "soon"), "--from soon: no time; write 7d"),
    "no zone": (("--zone", "Mars/Olympus"), "--zone Mars/Olympus: no such zone"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_refused_before_anybody_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text("models: [{name: m, version: '1', task: regression}]\n")
    assert main(["report", "sla", "--models", str(models), *arguments]) == 2
    assert capsys.readouterr().err.startswith(message)


@contextmanager
def answering(status: int, body: Any) -> Iterator[str]:
    """A server that gives one answer to everything, or none where the body is None."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if body is None:
                return
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(tmp_path: Path, address: str) -> int:
    models = tmp_path / "models.yaml"
    models.write_text("models: [{name: m, version: '1', task: regression}]\n")
    return main(["report", "sla", "--models", str(models), "--address", f"prometheus={address}"])


def test_nobody_at_the_address_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert ask(tmp_path, address) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{address} does not answer: ")
    assert "--address prometheus=HOST:PORT" in error


REFUSALS: Final = {
    "a refusal is told in its words": (
        (422, {"status": "error", "error": "query processing would load too many samples"}),
        "answers 422 query processing would load too many samples\nAsk for less",
    ),
    "a login is a setting": ((401, {}), "answers 401: set stack.prometheus_access"),
    "something else answers": ((200, {"hello": 1}), "as Prometheus does"),
}


@pytest.mark.parametrize(("answer", "message"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_an_error(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, Any],
    message: str,
) -> None:
    with answering(*answer) as address:
        assert ask(tmp_path, address) == 1
    assert message in capsys.readouterr().err


def test_a_server_that_takes_too_long_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TIMEOUT", 0.2)
    # It listens and takes the question, and that is all.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert ask(tmp_path, f"127.0.0.1:{silent.getsockname()[1]}") == 1
    error = capsys.readouterr().err
    assert "gives no answer within 0.2 seconds" in error
    assert "Ask for less" in error
