"""Whose memory is it: the processes on a GPU, folded into models. No pid leaves this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contract import catalog
from contract.catalog import Metric
from exporters.gpu.nvml import UNSUPPORTED, Driver, Handle, NvmlError
from exporters.gpu.owners import Owner, Owners
from exporters.gpu.signals import Answer, Tier, key, percent

__all__ = ["ProcessSource"]

LISTS: Final = tuple(
    tuple(f"nvmlDeviceGet{kind}RunningProcesses_{version}" for version in ("v3", "v2"))
    for kind in ("Compute", "Graphics", "MPSCompute")
)
"""The lists of processes, each by its newest name and by that of drivers before 510. A process may
stand in several of them, each time with all of its memory."""


class ProcessSource:
    """Memory, use of the multiprocessors and number of processes per model on one GPU."""

    tier = Tier.SLOW
    metrics: tuple[Metric, ...] = (
        catalog.GPU_MODEL_MEMORY,
        catalog.GPU_MODEL_SM_UTILIZATION,
        catalog.GPU_MODEL_PROCESSES,
    )

    def __init__(self, driver: Driver, handle: Handle, owners: Owners) -> None:
        self._driver = driver
        self._handle = handle
        self._owners = owners
        self._lists = [list(names) for names in LISTS]
        self._seen = 0
        self._measures_use = True

    def read(self) -> Answer:
        """Read the processes and fold them. Raises NvmlError where NVML lists none of its own."""
        held = self._held()
        answer = Answer()
        use = self._use(answer)
        owners = self._owners.resolve({*held, *(use or ())})
        memory: dict[Owner, int | None] = dict.fromkeys(self._owners.known, 0)
        number = dict.fromkeys(self._owners.known, 0)
        for pid, size in held.items():
            owner = owners[pid]
            number[owner] += 1
            before = memory[owner]
            # One that NVML cannot tell the size of makes the sum unknown, and not smaller.
            memory[owner] = None if size is None or before is None else before + size
        for owner in self._owners.known:
            answer.values[key(catalog.GPU_MODEL_PROCESSES, *owner)] = number[owner]
            total = memory[owner]
            if total is not None:
                answer.values[key(catalog.GPU_MODEL_MEMORY, *owner)] = total
        if use is not None:
            answer.values |= self._fold_use(use, owners)
        return answer

    def _fold_use(
        self, use: dict[int, float], owners: dict[int, Owner]
    ) -> dict[tuple[Metric, tuple[str, ...]], float]:
        sums = dict.fromkeys(self._owners.known, 0.0)
        for pid, ratio in use.items():
            sums[owners[pid]] += ratio
        return {
            key(catalog.GPU_MODEL_SM_UTILIZATION, *owner): total for owner, total in sums.items()
        }

    def _held(self) -> dict[int, int | None]:
        """Bytes by pid; None where NVML does not tell (as under WSL)."""
        held: dict[int, int | None] = {}
        for names in self._lists:
            for process in self._list(names):
                size, before = process.usedGpuMemory, held.get(process.pid)
                held[process.pid] = size if before is None else max(before, size or 0)
        if not any(self._lists):
            self._lists = [list(names) for names in LISTS]
            raise NvmlError("not_supported", "no list of processes is supported")
        return held

    def _list(self, names: list[str]) -> Sequence[Any]:
        """One list, by the first of its names that is known; the others are not tried again."""
        while names:
            try:
                found: Sequence[Any] = self._driver.call(names[0], self._handle)
            except NvmlError as error:
                if error.name not in UNSUPPORTED:
                    raise
                del names[0]
            else:
                return found
        return ()

    def _use(self, answer: Answer) -> dict[int, float] | None:
        """Use of the multiprocessors by pid since the last reading; None where not supported."""
        if not self._measures_use:
            return None
        try:
            samples = self._driver.call("nvmlDeviceGetProcessUtilization", self._handle, self._seen)
        except NvmlError as error:
            if error.name == "not_found":  # no samples: nothing ran
                return {}
            if error.name in UNSUPPORTED:
                self._measures_use = False
            else:
                answer.errors.append((catalog.GPU_MODEL_SM_UTILIZATION, error.name))
            return None
        use = {}
        for sample in sorted(samples, key=lambda sample: int(sample.timeStamp)):
            self._seen = max(self._seen, int(sample.timeStamp))
            if sample.pid:
                use[int(sample.pid)] = percent(min(sample.smUtil, 100))
        return use
