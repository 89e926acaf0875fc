"""models.yaml files for tests."""

from __future__ import annotations

from pathlib import Path

from contract.read import read_spec
from contract.spec import Spec

__all__ = ["MODEL", "ONE", "read", "with_model"]

MODEL = '  - {name: a, version: "1", task: regression}\n'
ONE = f"models:\n{MODEL}"


def read(folder: Path, text: str | bytes) -> Spec:
    file = folder / "models.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_spec(file)


def with_model(keys: str) -> str:
    """A file of one model with these further keys."""
    return f'models:\n  - {{name: a, version: "1", task: regression, {keys}}}\n'
