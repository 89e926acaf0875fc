"""`make up`: read → check → render → start → wait → watch → stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

import psutil

from stack.display import render_line, render_table
from stack.plan import STANDS_IN, Process, environment, find_programs, plan
from stack.ports import find_taken
from stack.record import (
    Entry,
    Record,
    find_process,
    read_record,
    remove_record,
    write_record,
)
from stack.settings import PORT_VARIABLES, Settings
from stack.supervisor import StackError, Supervisor

__all__ = ["RefusedError", "detach", "doctor", "up"]

SHOWN: Final = ("responder",)
"""Whose lines the terminal shows: the notifications. Everything is in the log files."""

WHAT: Final = {
    "grafana": "dashboards",
    "preview": "dashboards",
    "prometheus": "metrics, rules, alerts",
    "alertmanager": "notifications and silences",
    "sidecar": "takes prediction events",
    "drift": "drift against the training data",
    "gpu": "GPU metrics",
    "responder": "logs notifications",
    "web": "the demo's model server",
    "traffic": "the demo's requests",
}


NO_GRAFANA: Final = (
    "No Grafana here: preview draws its dashboards at its address. With a grafana binary on the "
    "PATH, make up starts Grafana instead."
)


class RefusedError(Exception):
    """The stack can't be started as things are; nothing was started."""


def up(settings: Settings, *, verbose: bool) -> int:
    """Run the stack in the foreground until SIGINT or SIGTERM. Returns the exit status.

    Raises:
        RefusedError: a port is taken, a stack runs already, or nothing could be rendered.
    """
    programs = find_programs()
    processes = plan(settings, programs, Path("Procfile"))
    verify_startable(settings, processes)
    render(settings)
    shown = [process.name for process in processes] if verbose else SHOWN
    supervisor = Supervisor(
        processes,
        env=environment(settings, programs, os.environ),
        logs=settings.data / "logs",
        show=dict.fromkeys(shown, _show),
    )
    _stop_on_signals(supervisor)
    return _run(supervisor, settings)


def _run(supervisor: Supervisor, settings: Settings) -> int:
    this = psutil.Process()
    me = Entry(name="stack", pid=this.pid, created=this.create_time())
    write_record(settings.data, Record(supervisor=me))
    status = 0
    try:
        _say(f"Starting; logs are in {settings.data / 'logs'} ...")
        for entries in supervisor.start():
            write_record(settings.data, Record(supervisor=me, processes=entries))
        if not supervisor.stopping.is_set():
            write_record(settings.data, Record(supervisor=me, processes=entries, ready=True))
            _say(render_addresses(entries))
            _say("Ctrl-C stops everything.")
        for news in supervisor.watch():
            write_record(
                settings.data, Record(supervisor=me, processes=supervisor.entries, ready=True)
            )
            print(news, file=sys.stderr, flush=True)
    except StackError as error:
        print(error, file=sys.stderr, flush=True)
        status = 1
    finally:
        # From here a second Ctrl-C must not cut the stopping short: it has a limit of its own.
        _say("Stopping ...")
        killed = supervisor.stop()
        remove_record(settings.data)
    if killed:
        _say(f"Had to be killed: {', '.join(killed)}")
    _say("Everything has stopped.")
    return status


def verify_startable(settings: Settings, processes: Sequence[Process]) -> None:
    """Raise RefusedError when a stack runs in this data folder, or ports are taken: all at once."""
    record = read_record(settings.data)
    if record is not None and find_process(record.supervisor):
        raise RefusedError(
            f"a stack is running already in {settings.data} (pid {record.supervisor.pid}); "
            "make status shows it, make down stops it"
        )
    if record is not None and (left := [e for e in record.processes if find_process(e)]):
        names = ", ".join(entry.name for entry in left)
        raise RefusedError(f"left over from a stack that was killed: {names}; make down stops them")
    addresses = {STANDS_IN.get(p.name, p.name): p.address for p in processes if p.address}
    taken = find_taken(addresses, PORT_VARIABLES)
    if taken:
        raise RefusedError("\n".join(map(str, taken)))


def render(settings: Settings) -> None:
    """Render for this run: into the repository as committed, else into the data folder."""
    command = [sys.executable, "-m", "generator", "render", "--models", str(settings.models)]
    command += ["--out", str(settings.generated)]
    command += settings.spec_options
    settings.generated.mkdir(parents=True, exist_ok=True)
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise RefusedError(f"rendering failed:\n{(finished.stderr or finished.stdout).rstrip()}")


def doctor(settings: Settings, style: str) -> int:
    """Let the generator ask this stack whether all of it works; its exit status."""
    command = [sys.executable, "-m", "generator", "doctor", "--models", str(settings.models)]
    command += ["--out", str(settings.generated), "--format", style]
    return subprocess.run([*command, *settings.spec_options], check=False).returncode


def render_addresses(entries: Sequence[Entry]) -> str:
    """The table of what to open, people's pages first."""
    order = list(WHAT)
    entries = sorted(entries, key=lambda entry: order.index(entry.name))
    rows = [(e.name, f"http://{e.address}", WHAT[e.name]) for e in entries if e.address]
    table = "\n" + render_table(("WHAT", "URL", "FOR"), rows) + "\n"
    if not any(entry.name == "grafana" for entry in entries):
        table += f"\n{NO_GRAFANA}"
    return table


def _stop_on_signals(supervisor: Supervisor) -> None:
    def stop(_: int, __: FrameType | None) -> None:
        supervisor.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup's
            signal.signal(number, stop)


def detach(settings: Settings, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `up` in the background, return once it is ready (0) or has failed (1)."""
    logs = settings.data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "stack.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "stack", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )
    while popen.poll() is None:
        record = read_record(settings.data)
        if record is not None and record.ready and record.supervisor.pid == popen.pid:
            _say(render_addresses(record.processes))
            _say(f"Running in the background (pid {popen.pid}); make down stops it.")
            return 0
        time.sleep(0.1)
    print(log.read_text(encoding="utf-8", errors="replace").rstrip(), file=sys.stderr)
    return 1


def _show(name: str, line: str) -> None:
    _say(render_line(name, line))


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Whoever read along has gone; the stack goes on, and can still be stopped.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (stays open)
