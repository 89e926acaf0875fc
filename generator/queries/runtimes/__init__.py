"""Serving runtimes: how each fills the normalised series from its own metrics.

One module each holds what there is to know of it, as data; `rules` makes recording rules of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from generator.queries.runtimes.adapter import Adapter
from generator.queries.runtimes.bentoml import BENTOML
from generator.queries.runtimes.custom import CUSTOM
from generator.queries.runtimes.kserve import KSERVE
from generator.queries.runtimes.llamacpp import LLAMACPP
from generator.queries.runtimes.mlserver import MLSERVER
from generator.queries.runtimes.ovms import OVMS
from generator.queries.runtimes.ray_serve import RAY_SERVE
from generator.queries.runtimes.sglang import SGLANG
from generator.queries.runtimes.tfserving import TFSERVING
from generator.queries.runtimes.tgi import TGI
from generator.queries.runtimes.torchserve import TORCHSERVE
from generator.queries.runtimes.triton import TRITON
from generator.queries.runtimes.vllm import VLLM

__all__ = ["ADAPTERS"]

ADAPTERS: Final[Mapping[str, Adapter]] = {
    adapter.runtime: adapter
    for adapter in (
        TRITON,
        VLLM,
        SGLANG,
        TGI,
        TORCHSERVE,
        TFSERVING,
        KSERVE,
        MLSERVER,
        BENTOML,
        RAY_SERVE,
        OVMS,
        LLAMACPP,
        CUSTOM,
    )
}
"""Every runtime but the sidecar, whose names these are already."""
