"""The spec → prometheus.yml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from contract.catalog import MODEL
from contract.spec import Spec
from generator.scrape_runtimes import runtime_scrapes
from generator.text import render_yaml

__all__ = ["render_scrape"]

SAMPLE_LIMIT: Final = 2_000_000
"""Samples in one scrape beyond which it is refused: hundreds of models with hundreds of features
stay below it, a label that takes its values from requests does not."""


def render_scrape(spec: Spec) -> str:
    """The text of prometheus.yml. Its paths are relative, so it works wherever the tree lies."""
    stack = spec.stack
    sidecars = [target for model in spec.models for target in model.serving.sidecars]
    return render_yaml(
        {
            "global": {
                "scrape_interval": str(spec.clock(stack.scrape_interval)),
                "evaluation_interval": str(spec.clock(stack.evaluation_interval)),
            },
            "rule_files": ["rules/*.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [stack.alertmanager]}]}]
            },
            "scrape_configs": [
                *(
                    [{**_job("ml-sidecar", sidecars), **_tls(spec), **_strangers(spec)}]
                    if sidecars
                    else []
                ),
                *runtime_scrapes(spec, sample_limit=SAMPLE_LIMIT),
                _job("ml-drift", [stack.drift]),
                _job("ml-gpu", stack.gpu),
                _job("ml-responder", [stack.responder]),
                _job("prometheus", [stack.prometheus]),
                _job("alertmanager", [stack.alertmanager]),
            ],
        }
    )


def _strangers(spec: Spec) -> dict[str, Any]:
    """Leave out models that no sidecar counts: it knows all of models.yaml and says 0 of them."""
    strangers = [
        ";".join(re.escape(part) for part in model.key)
        for model in spec.versions
        if not model.serving.sidecars
    ]
    if not strangers:
        return {}
    return {
        "metric_relabel_configs": [
            {"action": "drop", "source_labels": list(MODEL), "regex": "|".join(strangers)}
        ]
    }


def _tls(spec: Spec) -> dict[str, Any]:
    """How Prometheus speaks to a sidecar that has a certificate; its CA, where one is named."""
    tls = spec.sidecar.tls
    if tls is None:
        return {}
    # Prometheus looks for relative paths beside its own configuration.
    ca = {"ca_file": str(spec.path(tls.ca).resolve())} if tls.ca else {}
    return {"scheme": "https", **({"tls_config": ca} if ca else {})}


def _job(name: str, targets: Iterable[str]) -> dict[str, Any]:
    """One job; a target that several models share is scraped once."""
    return {
        "job_name": name,
        "sample_limit": SAMPLE_LIMIT,
        "static_configs": [{"targets": list(dict.fromkeys(targets))}],
    }
