"""What one run of the stack is made of: models.yaml, plus what the environment overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.read import read_spec

__all__ = ["PORT_VARIABLES", "Settings", "SettingsError", "read_settings"]

PORT_VARIABLES: Final = {
    "prometheus": "PROMETHEUS_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
    "grafana": "GRAFANA_PORT",
    "responder": "RESPONDER_PORT",
    "drift": "DRIFT_PORT",
    "gpu": "GPU_PORT",
    "sidecar": "SIDECAR_PORT",
    "web": "MODEL_SERVER_PORT",
}
"""What listens, by its name in the Procfile, and the variable that moves its port."""

MODEL_SERVER: Final = "127.0.0.1:8001"


class SettingsError(Exception):
    """A variable that can't be used; the message says which and what instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run of the stack. Paths are absolute, addresses are host:port."""

    models: Path
    data: Path
    addresses: Mapping[str, str]
    overrides: Mapping[str, str]
    retention: str
    time_scale: float
    demo: bool
    committed: bool
    """Whether this is the stack as committed, whose generated files lie in the repository."""

    @property
    def spec_options(self) -> list[str]:
        """What every command that reads models.yaml is told besides its path."""
        options = [f"--address={name}={address}" for name, address in self.overrides.items()]
        return [*options, f"--time-scale={self.time_scale:g}"]

    @property
    def generated(self) -> Path:
        """The folder that the generated tree is rendered into for this run."""
        return Path.cwd() if self.committed else self.data / "generated"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read models.yaml and apply the variables of the Makefile.

    Raises:
        SettingsError: a variable has no usable value.
        contract.problems.SpecError: models.yaml has problems.
    """
    models = Path(environ.get("MODELS") or "models.yaml")
    time_scale = _time_scale(environ.get("TIME_SCALE") or "1")
    spec = read_spec(models)
    stack = spec.stack
    addresses = {
        "prometheus": stack.prometheus,
        "alertmanager": stack.alertmanager,
        "grafana": stack.grafana,
        "responder": stack.responder,
        "drift": stack.drift,
        "gpu": stack.gpu[0] if stack.gpu else "127.0.0.1:9103",
        "sidecar": stack.sidecar,
        "web": MODEL_SERVER,
    }
    overrides = {
        name: f"{addresses[name].rpartition(':')[0]}:{_port(variable, environ[variable])}"
        for name, variable in PORT_VARIABLES.items()
        if environ.get(variable)
    }
    # Nothing generated names the demo's model server.
    rendered = {name: address for name, address in overrides.items() if name != "web"}
    return Settings(
        models=models.resolve(),
        data=Path(environ.get("DATA_DIR") or "data").resolve(),
        addresses=addresses | overrides,
        overrides=rendered,
        retention=str(stack.retention),
        time_scale=time_scale,
        demo=environ.get("DEMO", "1") not in ("0", "no", "false"),
        committed=not rendered
        and time_scale == 1
        and models.resolve() == Path("models.yaml").resolve(),
    )


def _port(variable: str, text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise SettingsError(f"{variable}={text}: not a port; write a number from 1 to 65535")


def _time_scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if scale >= 1:
        return scale
    raise SettingsError(f"TIME_SCALE={text}: write a number from 1 on; 60 makes a minute a second")
