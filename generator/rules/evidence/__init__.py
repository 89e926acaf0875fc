"""For each alert, raw series that must make it fire, and such that must only just not.

They are what exporters expose, so that a proof runs through the recording rules as well.
"""

from __future__ import annotations

from typing import Final

from generator.rules.evidence.evidence import Evidence, Inputs, Timeline, selector
from generator.rules.evidence.gpus import GPU_EVIDENCE, LONGEST_WINDOW
from generator.rules.evidence.models import MODEL_EVIDENCE as _REQUESTS
from generator.rules.evidence.quality import QUALITY_EVIDENCE
from generator.rules.evidence.serving import SERVING_EVIDENCE
from generator.rules.evidence.slo import SLO_EVALUATED, SLO_EVIDENCE, SLO_TIMELINES
from generator.rules.evidence.stack import STACK_EVIDENCE, STACK_WINDOWS

__all__ = [
    "GPU_EVIDENCE",
    "LONGEST_WINDOW",
    "MODEL_EVIDENCE",
    "SLO_EVALUATED",
    "SLO_TIMELINES",
    "STACK_EVIDENCE",
    "STACK_WINDOWS",
    "Evidence",
    "Inputs",
    "Timeline",
    "selector",
]

MODEL_EVIDENCE: Final = {**_REQUESTS, **SERVING_EVIDENCE, **QUALITY_EVIDENCE, **SLO_EVIDENCE}
"""By alert of models; None where no input can make it fire."""
