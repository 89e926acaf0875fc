"""Variables override models.yaml; what can't be used is refused by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack.plan import Programs, environment, find_programs, plan
from stack.settings import PORT_VARIABLES, Settings, SettingsError, read_settings

ROOT = Path(__file__).parents[2]
PROGRAMS = Programs(prometheus="/usr/bin/prometheus", alertmanager="/usr/bin/alertmanager")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def read(**environ: str) -> Settings:
    return read_settings({"MODELS": "models.yaml", **environ})


def test_without_variables_the_committed_stack_runs() -> None:
    settings = read()
    assert settings.committed
    assert settings.generated == ROOT
    assert settings.addresses["prometheus"] == "127.0.0.1:9090"
    assert settings.overrides == {}


@pytest.mark.parametrize("name", [name for name in PORT_VARIABLES if name != "web"])
def test_a_port_variable_moves_one_address_and_renders_elsewhere(name: str, tmp_path: Path) -> None:
    settings = read(**{PORT_VARIABLES[name]: "12345", "DATA_DIR": str(tmp_path)})
    assert settings.addresses[name] == "127.0.0.1:12345"
    assert settings.overrides == {name: "127.0.0.1:12345"}
    assert settings.generated == tmp_path / "generated"


def test_the_port_of_the_demos_server_changes_nothing_that_is_generated() -> None:
    settings = read(MODEL_SERVER_PORT="12345")
    assert settings.addresses["web"] == "127.0.0.1:12345"
    assert settings.committed


def test_shortened_windows_do_not_overwrite_the_committed_files() -> None:
    assert not read(TIME_SCALE="60").committed


def test_another_models_yaml_does_not_overwrite_the_committed_files(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text('models: [{name: m, version: "1", task: regression}]\n')
    assert not read(MODELS=str(other)).committed


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DRIFT_PORT", "abc", "DRIFT_PORT=abc: not a port; write a number from 1 to 65535"),
        ("DRIFT_PORT", "0", "DRIFT_PORT=0: not a port"),
        ("GPU_PORT", "70000", "GPU_PORT=70000: not a port"),
        ("TIME_SCALE", "fast", "TIME_SCALE=fast: write a number from 1 on"),
        ("TIME_SCALE", "0.5", "TIME_SCALE=0.5: write a number from 1 on"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{variable: value})
    assert message in str(caught.value)


def test_grafana_runs_where_it_is_installed_and_the_preview_at_its_address_elsewhere() -> None:
    settings = read()
    processes = {process.name: process for process in plan(settings, PROGRAMS, ROOT / "Procfile")}
    assert "grafana" not in processes
    assert processes["preview"].address == settings.addresses["grafana"]
    there = Programs(
        prometheus="/p", alertmanager="/a", grafana="/g server", grafana_home="/usr/share/grafana"
    )
    names = {process.name for process in plan(settings, there, ROOT / "Procfile")}
    assert "grafana" in names
    assert "preview" not in names


@pytest.mark.parametrize("first", ["alertmanager", "prometheus-alertmanager"])
def test_the_alertmanager_that_comes_first_on_the_path_is_taken(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called, so that another version can be put before Debian's."""
    second = {"alertmanager": "prometheus-alertmanager"}.get(first, "alertmanager")
    programs = [tmp_path / "a" / first, tmp_path / "b" / second, tmp_path / "b" / "prometheus"]
    for program in programs:
        program.parent.mkdir(exist_ok=True)
        program.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert find_programs().alertmanager == str(programs[0])


def test_the_demo_can_be_left_out() -> None:
    names = {process.name for process in plan(read(DEMO="0"), PROGRAMS, ROOT / "Procfile")}
    assert names.isdisjoint({"web", "traffic"})
    rest = {"prometheus", "alertmanager", "sidecar", "drift", "gpu", "responder", "preview"}
    assert names == rest


def test_every_variable_of_the_procfile_has_a_value() -> None:
    there = Programs(prometheus="/p", alertmanager="/a", grafana="/g server", grafana_home="/home")
    settings = read()
    values = environment(settings, there, {})
    for process in plan(settings, there, ROOT / "Procfile"):
        # ${NAME:+…} is for variables that may have none: NAME has a value inside of it.
        command = re.sub(
            r"\$\{([A-Z_]+):\+(.*?)\}", lambda m: m[2].replace(f"${m[1]}", ""), process.command
        )
        for name in re.findall(r"\$([A-Z_]+)", command):
            assert values[name], f"{process.name}: {name}"
