"""The JSON Schema of models.yaml, which editors complete and check it with."""

from __future__ import annotations

import json

from contract.spec import Spec

__all__ = ["render_schema"]


def render_schema() -> str:
    """The schema as text."""
    schema = Spec.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "models.yaml",
        "description": "What runs, who owns it, what is promised of it.",
    }
    return json.dumps(head | {k: v for k, v in schema.items() if k not in head}, indent=2) + "\n"
