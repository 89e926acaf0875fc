"""Where the stack's own processes are, and the GPUs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from contract.quantity import Duration, HostPort
from contract.spec.alerting import GpuAlerts
from contract.spec.section import Section, as_tuple

__all__ = [
    "Budget",
    "Dialect",
    "Gpu",
    "Stack",
]

Dialect = Literal["dcgm", "nvidia_smi"]


class Stack(Section):
    """Where the stack's own processes are, and how fast its clocks tick."""

    prometheus: HostPort = "127.0.0.1:9090"
    """Where Prometheus listens."""
    alertmanager: HostPort = "127.0.0.1:9093"
    """Where Alertmanager listens."""
    grafana: HostPort = "127.0.0.1:3000"
    """Where Grafana listens; links to dashboards start with it."""
    responder: HostPort = "127.0.0.1:9104"
    """Where the responder listens, which logs notifications and serves runbooks."""
    drift: HostPort = "127.0.0.1:9102"
    """Where the drift collector listens."""
    sidecar: HostPort = "127.0.0.1:9101"
    """Where the sidecar listens, for models without `serving.targets`."""
    gpu: Annotated[tuple[HostPort, ...], BeforeValidator(as_tuple)] = ("127.0.0.1:9103",)
    """Where the GPU exporters listen, one for each machine."""
    scrape_interval: Duration = Duration.parse("15s")
    """How often Prometheus scrapes."""
    evaluation_interval: Duration = Duration.parse("30s")
    """How often Prometheus evaluates rules."""
    retention: Duration = Duration.parse("35d")
    """How long Prometheus keeps samples."""


class Gpu(Section):
    """The GPUs that models run on, and how often the GPU exporter reads them."""

    expected: int | None = Field(default=None, ge=0)
    """How many each machine should have that is scraped for GPUs; left out, nobody knows."""
    interval: Duration = Duration.parse("1s")
    """Of cheap readings: utilization, memory, temperature, power, clocks."""
    slow_interval: Duration = Duration.parse("10s")
    """Of the rest: processes, PCIe, NVLink, ECC, modes, limits."""
    alerts: GpuAlerts = {}
    """A GPU serves several models, so its alerts are set here and not by each of them."""
    compatibility: Annotated[tuple[Dialect, ...], BeforeValidator(as_tuple)] = ()
    """Other exporters by whose names the GPU series are recorded, too, for dashboards that read
    those."""


class Budget(Section):
    """What the stack may cost at most; rendering more is refused."""

    series: int = Field(default=2_000_000, gt=0)
    """Series in Prometheus, as estimated. The default takes about 8 GiB of its memory."""
