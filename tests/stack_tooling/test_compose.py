"""docker-compose.yml says what it promises: loopback only, pinned, confined, watched."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.read import read_spec
from stack.plan import STANDS_IN, read_procfile

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_runs_what_the_procfile_runs() -> None:
    # With compose there is always a Grafana, so nothing stands in for it.
    assert set(SERVICES) - {"pod"} == set(read_procfile(ROOT / "Procfile")) - set(STANDS_IN)


def test_ports_are_published_by_the_pod_alone_and_on_loopback_alone() -> None:
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["pod"]
    for port in SERVICES["pod"]["ports"]:
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:-(\d+)\}:\1", port)


def test_the_published_ports_are_those_of_models_yaml() -> None:
    stack = read_spec(ROOT / "models.yaml").stack
    native = [stack.prometheus, stack.alertmanager, stack.grafana, stack.sidecar, stack.drift]
    native += [*stack.gpu, stack.responder, "127.0.0.1:8001"]
    published = {port.rpartition(":")[2] for port in SERVICES["pod"]["ports"]}
    assert published == {address.rpartition(":")[2] for address in native}


def test_prometheus_keeps_what_models_yaml_says() -> None:
    (option,) = (o for o in SERVICES["prometheus"]["command"] if "retention.time" in o)
    retention = read_spec(ROOT / "models.yaml").stack.retention
    assert option == f"--storage.tsdb.retention.time=${{RETENTION:-{retention}}}"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    # Ours are made to run as 10001 by the Dockerfile; the others say it here.
    assert service["image"].startswith("${ML_OBSERVABILITY_IMAGE") or re.fullmatch(
        r"[1-9]\d*:\d+", service["user"]
    )


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"traffic"}))
def test_a_container_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"pod"}))
def test_a_container_shares_the_network_of_the_pod(name: str) -> None:
    assert SERVICES[name]["network_mode"] == "service:pod"
    assert "pod" in SERVICES[name]["depends_on"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_command_gives_no_option_twice(name: str) -> None:
    # Prometheus and Alertmanager refuse to start then, which no check of the file would show.
    options = [part.partition("=")[0] for part in SERVICES[name].get("command", [])]
    options = [option for option in options if option.startswith("--")]
    assert len(options) == len(set(options))


def test_images_of_others_are_pinned_to_a_version() -> None:
    images = {SERVICES[name]["image"] for name in ("prometheus", "alertmanager", "grafana")}
    for image in images:
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z/]+:v?\d+\.\d+\.\d+\}", image)


def test_the_image_is_not_root() -> None:
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_mounts_of_the_repository_are_read_only() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert not volume.startswith(".") or volume.endswith(":ro")


OURS = sorted(name for name in SERVICES if SERVICES[name].get("command", [""])[0] == "python")
ONLY_HERE = {"responder": {"--runbooks"}}
"""Options whose default is for a process that runs in the repository."""


def natively(name: str) -> tuple[str, set[str]]:
    """The module that the Procfile runs, and the options that it always gives it."""
    line = re.sub(r"\$\{[A-Z_]+:\+[^}]*\}", "", read_procfile(ROOT / "Procfile")[name])
    found = re.search(r"python -m (\S+)(.*)", line)
    assert found, line
    return found[1], set(re.findall(r"(?<=\s)--[a-z-]+", found[2]))


@pytest.mark.parametrize("name", OURS)
def test_a_process_gets_the_options_that_the_procfile_gives_it(name: str) -> None:
    module, options = natively(name)
    command = SERVICES[name]["command"]
    assert command[:3] == ["python", "-m", module]
    given = {part for part in command if part.startswith("--")}
    assert given == options | ONLY_HERE.get(name, set())


@pytest.mark.parametrize("name", OURS)
def test_what_a_process_reads_or_writes_is_mounted(name: str) -> None:
    mounts = dict(one.split(":")[1::-1] for one in SERVICES[name].get("volumes", []))
    for path in (part for part in SERVICES[name]["command"] if part.startswith("/")):
        top, rest = re.fullmatch(r"(/[a-z]+)(?:/(.*))?", path).groups()  # type: ignore[union-attr]
        assert top in mounts, f"{path} is in no volume"
        if mounts[top] == ".":
            assert (ROOT / rest).exists(), f"{path} is not in the repository"
        else:
            assert mounts[top] in COMPOSE["volumes"]
