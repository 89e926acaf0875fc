"""Which processes a run consists of, the commands from the Procfile, and their environment."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.settings import Settings

__all__ = [
    "STANDS_IN",
    "MissingProgramError",
    "Process",
    "Programs",
    "environment",
    "find_programs",
    "plan",
    "read_procfile",
]

HEALTH: Final = {
    "prometheus": "/-/ready",
    "alertmanager": "/-/ready",
    "grafana": "/api/health",
    "preview": "/healthz",
    "responder": "/healthz",
    "drift": "/healthz",
    "gpu": "/healthz",
    "sidecar": "/healthz",
    "web": "/healthz",
}
DEMO: Final = frozenset({"web", "traffic"})
LAST: Final = frozenset({"traffic"})
"""What starts once the rest has answered: it would only count failures before."""

STANDS_IN: Final = {"preview": "grafana"}
"""Who runs at whose address where the other is not installed, so that links lead somewhere."""

_LINE: Final = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


class MissingProgramError(Exception):
    """A program that the stack can't do without is not on the PATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of the Procfile in this run; `health` is the URL that answers 200 when it is up."""

    name: str
    command: str
    address: str = ""
    health: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the programs lie that are not ours. Grafana is optional: "" when it isn't there."""

    prometheus: str
    alertmanager: str
    grafana: str = ""
    grafana_home: str = ""


def find_programs() -> Programs:
    """Look on the PATH; Debian puts `prometheus-` before the name of Alertmanager.

    Raises:
        MissingProgramError: Prometheus or Alertmanager isn't there.
    """
    prometheus = shutil.which("prometheus")
    alertmanager = _first("prometheus-alertmanager", "alertmanager")
    if not prometheus or not alertmanager:
        name = "Alertmanager" if prometheus else "Prometheus"
        raise MissingProgramError(f"{name} is not on the PATH; make up installs it where apt is")
    grafana, home = _find_grafana()
    return Programs(
        prometheus=prometheus, alertmanager=alertmanager, grafana=grafana, grafana_home=home
    )


def _first(*names: str) -> str:
    """Of programs with these names the one that comes first on the PATH, or ""."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for name in names:
            if found := shutil.which(name, path=folder):
                return found
    return ""


def _find_grafana() -> tuple[str, str]:
    for name, command in (("grafana", "grafana server"), ("grafana-server", "grafana-server")):
        found = shutil.which(name)
        if not found:
            continue
        # A tarball keeps the program in bin/ of its home; packages split the two.
        for home in (Path(found).resolve().parent.parent, Path("/usr/share/grafana")):
            if (home / "conf" / "defaults.ini").is_file():
                return command.replace(name, found, 1), str(home)
    return "", ""


def read_procfile(path: Path) -> dict[str, str]:
    """Commands by name, in the file's order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {match[1]: match[2] for line in lines if (match := _LINE.match(line))}


def plan(settings: Settings, programs: Programs, procfile: Path) -> list[Process]:
    """The Procfile with either Grafana or the preview, and without the demo for DEMO=0."""
    chosen = []
    unused = "preview" if programs.grafana else "grafana"
    for name, command in read_procfile(procfile).items():
        if name == unused or (name in DEMO and not settings.demo):
            continue
        address = settings.addresses.get(STANDS_IN.get(name, name), "")
        health = f"http://{address}{HEALTH[name]}" if name in HEALTH else ""
        chosen.append(
            Process(name=name, command=command, address=address, health=health, last=name in LAST)
        )
    return chosen


def environment(
    settings: Settings, programs: Programs, environ: Mapping[str, str]
) -> dict[str, str]:
    """What the Procfile's lines may name, on top of the caller's environment."""
    bin_folder = str(Path(sys.executable).parent)
    variables = {
        **environ,
        # `python` in the Procfile is the one that runs this.
        "PATH": os.pathsep.join([bin_folder, environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "MODELS": str(settings.models),
        "DATA_DIR": str(settings.data),
        "GENERATED": str(settings.generated),
        "RETENTION": settings.retention,
        # Split into words where the Procfile names it; none of them holds a space.
        "SPEC_OPTIONS": " ".join(settings.spec_options),
        "PROMETHEUS": programs.prometheus,
        "ALERTMANAGER": programs.alertmanager,
    }
    for name, address in settings.addresses.items():
        variable = "MODEL_SERVER_ADDRESS" if name == "web" else f"{name.upper()}_ADDRESS"
        variables[variable] = address
    if programs.grafana:
        variables |= _grafana_environment(settings, programs)
    return variables


def _grafana_environment(settings: Settings, programs: Programs) -> dict[str, str]:
    host, _, port = settings.addresses["grafana"].rpartition(":")
    root = settings.generated / "grafana" / "generated"
    return {
        "GRAFANA": programs.grafana,
        "GRAFANA_HOME": programs.grafana_home,
        "GF_SERVER_HTTP_ADDR": host,
        "GF_SERVER_HTTP_PORT": port,
        "GF_PATHS_DATA": str(settings.data / "grafana"),
        "GF_PATHS_LOGS": str(settings.data / "grafana" / "log"),
        "GF_PATHS_PLUGINS": str(settings.data / "grafana" / "plugins"),
        "GF_PATHS_PROVISIONING": str(root / "provisioning"),
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        # On loopback whoever can open the page may look; changing things still needs a login.
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "PROMETHEUS_URL": f"http://{settings.addresses['prometheus']}",
        "DASHBOARDS_PATH": str(root / "dashboards"),
    }
