"""XID errors, the numbered errors of NVIDIA's driver: which of them call for a reset or a reboot.

Most XIDs are faults of an application (13, 31, 43) or news (63, 92) and need nobody. Source:
NVIDIA, "Xid Errors", the catalog's immediate actions, for Volta to Blackwell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["OTHER", "RESET_CODES"]

RESET_CODES: Final[Mapping[int, str]] = {
    46: "the GPU stopped processing",
    48: "an uncorrectable memory error",
    62: "the internal micro-controller halted",
    64: "a faulty memory row could not be replaced",
    74: "an NVLink error",
    79: "the GPU has fallen off the bus",
    95: "an uncorrectable memory error that could not be contained",
    109: "a context switch timed out",
    110: "a security fault",
    119: "the GPU's system processor does not answer",
    120: "the GPU's system processor failed",
    136: "a link could not be trained",
    140: "an uncorrectable memory error that could not be recovered from",
    143: "the GPU could not be initialised",
    155: "NVLink: the software is in a wrong state",
    156: "a resource of the GPU was retired",
    158: "the GPU has lost time",
}
"""Code → what happened. The GPU exporter exposes them at 0 from the start; GpuXid watches them."""

OTHER: Final = "other"
"""The label `xid` of codes that nobody knows."""
