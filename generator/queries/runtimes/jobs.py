"""Which runtimes models.yaml uses, and the scrape jobs of their targets."""

from __future__ import annotations

from contract.runtimes import RUNTIMES, SIDECAR
from contract.spec import Spec
from generator.queries.runtimes.adapter import job_name

__all__ = ["runtime_jobs", "runtimes_in_use"]


def runtimes_in_use(spec: Spec) -> list[str]:
    """The runtimes of models other than the sidecar, in the order of contract.runtimes."""
    used = {model.serving.runtime for model in spec.models}
    return [name for name in RUNTIMES if name in used and name != SIDECAR]


def runtime_jobs(spec: Spec) -> list[str]:
    """Their scrape jobs."""
    return [job_name(name) for name in runtimes_in_use(spec)]
