"""What the processes of a model server tell of themselves: `POST /v1/process`.

Calls in progress, queues and memory are no events. Each process reports them every few seconds;
what is exposed is the sum over the processes that still do. A process that says it leaves, or is
silent for `SILENT` of its own intervals, is forgotten, so that none of its gauges stays behind.

What only grows (drops, allocation retries) comes as a total since the process began, beside the
total that a sidecar has already acknowledged. The difference to what is known of the process is
counted, so that a repeated report, or one to a sidecar that has just restarted, counts nothing
twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from contract import catalog
from contract.catalog import Metric
from contract.profile import OTHER
from contract.spec import Model
from exporters.expose import Family, Series, series

__all__ = ["SILENT", "Device", "Processes", "Report", "Served", "read_report"]

SILENT: Final = 3.0
"""Intervals without a report after which a process is forgotten."""

MAX_PROCESSES: Final = 1_000
MAX_QUEUES: Final = 20
"""Queues of one model that are told apart; the others add up as `other`."""

Key = tuple[str, str]
L = TypeVar("L", bound=tuple[str, ...])

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, Meta(min_length=1, max_length=100)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Served(Struct, frozen=True, kw_only=True):
    """One model as a process serves it; without a version, the newest of models.yaml.

    `artifact_sha256` is of the file that the process loaded it from.
    """

    model_name: _Name
    model_version: _Name | None = None
    in_progress: _Count = 0
    queues: Annotated[dict[_Name, _Count], Meta(max_length=1_000)] = msgspec.field(
        default_factory=dict
    )
    artifact_sha256: _Sha256 | None = None


class Device(Struct, frozen=True, kw_only=True):
    """Memory of one CUDA device as torch's allocator of the process counts it, in bytes.

    `retries` are allocations that succeeded only after cached memory was freed.
    """

    index: Annotated[int, Meta(ge=0, le=1_000)]
    gpu_uuid: Annotated[str, Meta(max_length=100)] = ""
    allocated_bytes: _Count
    reserved_bytes: _Count
    peak_bytes: _Count
    retries: _Count = 0
    retries_before: _Count = 0


class Report(Struct, frozen=True, kw_only=True):
    """One process at one moment.

    `process` tells processes apart where a pid is used again; `interval` are seconds until the
    next report, `memory_bytes` is resident memory; `…_before` are totals already acknowledged.
    """

    process: _Name
    pid: Annotated[int, Meta(ge=1, le=2**32)]
    interval: Annotated[float, Meta(gt=0, le=60)] = 5.0
    memory_bytes: _Count | None = None
    dropped: _Count = 0
    dropped_before: _Count = 0
    leaving: bool = False
    models: Annotated[list[Served], Meta(max_length=1_000)] = msgspec.field(default_factory=list)
    cuda: Annotated[list[Device], Meta(max_length=64)] = msgspec.field(default_factory=list)


_decoder: Final = msgspec.json.Decoder(Report)


def read_report(body: bytes) -> Report:
    """The report in a body. Raises ValueError that names the field that is wrong."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


@dataclass(slots=True)
class _Process:
    """The last report of a process, by the models of this sidecar."""

    pid: int
    ends: float
    memory: int | None
    dropped: int
    in_progress: Counter[Key] = field(default_factory=Counter)
    queues: Counter[tuple[Key, str]] = field(default_factory=Counter)
    devices: dict[tuple[int, str], Device] = field(default_factory=dict)
    artifacts: dict[Key, str] = field(default_factory=dict)


class Processes:
    """All processes that report to this sidecar."""

    def __init__(self) -> None:
        self.here: Counter[Key] = Counter()
        """Calls in progress that this process sees itself, as a proxy does."""
        self._live: dict[str, _Process] = {}
        self._dropped = 0
        self._retries: Counter[tuple[str, str, str, str]] = Counter()

    def take(self, report: Report, models: Sequence[Model]) -> list[int]:
        """Note a report; the places of those of its models that are not among `models`."""
        known: dict[tuple[str, str | None], Key] = {(m.name, None): m.key for m in models}
        known |= {(m.name, m.version): m.key for m in models}
        now = time.monotonic()
        before = self._live.pop(report.process, None)
        process = _Process(
            report.pid, now + SILENT * report.interval, report.memory_bytes, report.dropped
        )
        unknown = []
        for place, served in enumerate(report.models):
            key = known.get((served.model_name, served.model_version))
            if key is None:
                unknown.append(place)
                continue
            process.in_progress[key] += served.in_progress
            if served.artifact_sha256 is not None:
                process.artifacts[key] = served.artifact_sha256
            for name, depth in served.queues.items():
                process.queues[key, name] += depth
        if before is not None:
            process.dropped = max(before.dropped, report.dropped)
        self._dropped += max(
            0, report.dropped - (before.dropped if before else report.dropped_before)
        )
        self._count_retries(report, process, before)
        if not report.leaving:
            self._live[report.process] = process
        self._forget(now)
        return unknown

    def pids(self, key: Key) -> list[int]:
        """The processes that serve a model version, as they number themselves."""
        self._forget(time.monotonic())
        return sorted({own.pid for own in self._live.values() if key in own.in_progress})

    def artifacts(self, key: Key) -> list[str]:
        """The SHA-256 of what live processes say that they loaded a model version from."""
        self._forget(time.monotonic())
        return sorted({own.artifacts[key] for own in self._live.values() if key in own.artifacts})

    def families(self, models: Sequence[Model]) -> Iterator[Family]:
        """Everything that live processes say of `models` now."""
        self._forget(time.monotonic())
        live = list(self._live.values())
        busy, memory, serving = Counter(self.here), Counter[Key](), Counter[Key]()
        for process in live:
            for key, count in process.in_progress.items():
                busy[key] += count
                serving[key] += 1
                if process.memory is not None:
                    memory[key] += process.memory
        keys = [model.key for model in models]
        yield _family(catalog.INFERENCE_IN_PROGRESS, {key: busy[key] for key in keys})
        yield _family(catalog.CLIENT_PROCESSES, {key: serving[key] for key in keys})
        yield _family(catalog.MODEL_MEMORY, {key: memory[key] for key in keys if key in memory})
        yield _family(catalog.QUEUE_DEPTH, _queues(live, set(keys)))
        yield _family(catalog.CLIENT_DROPPED, {(): self._dropped})
        yield from self._torch(live, set(keys))

    def _torch(self, live: Sequence[_Process], keys: set[Key]) -> Iterator[Family]:
        sizes: tuple[Counter[tuple[str, ...]], ...] = (Counter(), Counter(), Counter())
        for process in live:
            for key in process.in_progress.keys() & keys:
                for device in process.devices.values():
                    labels = _device_labels(key, device)
                    bytes_ = (device.allocated_bytes, device.reserved_bytes, device.peak_bytes)
                    for counter, size in zip(sizes, bytes_, strict=True):
                        counter[labels] += size
        for metric, counter in zip(
            (catalog.TORCH_ALLOCATED, catalog.TORCH_RESERVED, catalog.TORCH_PEAK),
            sizes,
            strict=True,
        ):
            yield _family(metric, counter)
        known = {labels: n for labels, n in self._retries.items() if labels[:2] in keys}
        yield _family(catalog.TORCH_RETRIES, known)

    def _count_retries(self, report: Report, process: _Process, before: _Process | None) -> None:
        for device in report.cuda:
            own = (device.index, device.gpu_uuid)
            process.devices[own] = device
            earlier = before.devices.get(own) if before else None
            counted = earlier.retries if earlier else device.retries_before
            for key in process.in_progress:
                labels = _device_labels(key, device)
                # Uuids come from outside: no more of them than any machine has devices.
                if labels in self._retries or len(self._retries) < MAX_PROCESSES:
                    self._retries[labels] += max(0, device.retries - counted)

    def _forget(self, now: float) -> None:
        for name in [name for name, own in self._live.items() if own.ends <= now]:
            del self._live[name]
        while len(self._live) > MAX_PROCESSES:
            del self._live[next(iter(self._live))]  # the one that reported longest ago


def _queues(live: Sequence[_Process], keys: set[Key]) -> dict[tuple[str, ...], int]:
    """Depths by model, version and queue."""
    found: Counter[tuple[str, ...]] = Counter()
    told_apart: Counter[Key] = Counter()
    for process in live:
        for (key, name), depth in process.queues.items():
            if key not in keys:
                continue
            labels = (*key, name)
            if labels not in found:
                if told_apart[key] >= MAX_QUEUES:
                    labels = (*key, OTHER)
                told_apart[key] += 1
            found[labels] += depth
    return found


def _device_labels(key: Key, device: Device) -> tuple[str, str, str, str]:
    return (*key, device.gpu_uuid, f"cuda:{device.index}")


def _family(metric: Metric, values: Mapping[L, int]) -> Family:
    return Family(metric, [(_series(metric, *labels), value) for labels, value in values.items()])


@lru_cache(maxsize=20_000)
def _series(metric: Metric, *values: str) -> Series:
    return series(metric, **dict(zip(metric.labels, values, strict=True)))
