"""Where the stack's own processes are, and the GPUs."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from contract.quantity import Duration, HostPort, problem
from contract.spec.alerting import GpuAlerts, StackAlerts
from contract.spec.section import ExistingFile, Section, as_tuple

__all__ = [
    "Budget",
    "Dialect",
    "Gpu",
    "PrometheusAccess",
    "Stack",
]

Dialect = Literal["dcgm", "nvidia_smi"]

ScrapeProtocol = Literal[
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
    "PrometheusProto",
]


def _base_url(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^/@\s?#]+(/[^@\s?#]*)?", value):
        raise problem(
            f"is not a URL: {value!r}", "write https://prometheus.example.com, or with its path"
        )
    return value.rstrip("/")


class PrometheusAccess(Section):
    """How the drift collector asks Prometheus, or what answers its query API in its place."""

    url: Annotated[str, BeforeValidator(_base_url)] | None = Field(
        default=None, examples=["https://metrics.example.com/prometheus"]
    )
    """Where it answers, if not at stack.prometheus by plain HTTP."""
    ca: ExistingFile | None = None
    """Who signed its certificate (PEM), where the system does not know them."""
    username: Annotated[str, Field(min_length=1, pattern=r"^[^:]+$")] | None = Field(
        default=None, examples=["drift"]
    )
    """For basic authentication."""
    password_file: ExistingFile | None = None
    """The file that holds the password."""
    token_file: ExistingFile | None = None
    """The file that holds a bearer token."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise problem("has one of username and password_file", "write both, or token_file")
        if self.username is not None and self.token_file is not None:
            raise problem("has a token and a password", "write one of them")
        return self


class Stack(Section):
    """Where the stack's own processes are, and how fast its clocks tick."""

    prometheus: HostPort = "127.0.0.1:9090"
    """Where Prometheus listens."""
    prometheus_access: PrometheusAccess = PrometheusAccess()
    """How the drift collector asks it, if not by plain HTTP."""
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
    fallback_scrape_protocol: ScrapeProtocol | None = None
    """How to read a serving runtime that does not say what its metrics are written in. Prometheus 3
    refuses it otherwise; Prometheus 2 reads it as text, and does not know this key."""
    alerts: StackAlerts = {}
    """Alerts on the stack itself, where they differ from docs/alerts.md."""


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
