"""What a scrape shows: readings as families whose text is rendered when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from contract import catalog
from contract.catalog import Metric
from exporters.expose import Family, Series, series
from exporters.gpu.gpu import METRICS, Gpu
from exporters.gpu.nvml import Versions
from exporters.gpu.signals import Tier, key
from exporters.gpu.xid import Xids

__all__ = [
    "Part",
    "Status",
    "call_families",
    "error_families",
    "in_order",
    "status_families",
    "support_families",
    "tier_families",
    "xid_families",
]

Part = tuple[Family, ...]

_ORDER: Final = {metric: place for place, metric in enumerate(catalog.METRICS)}


def in_order(parts: Iterable[Iterable[Family]]) -> Iterator[Family]:
    """All families of all parts, as the catalog orders them."""
    return iter(sorted((f for part in parts for f in part), key=lambda f: _ORDER[f.metric]))


@dataclass(frozen=True, slots=True)
class Status:
    """NVML as a whole: `devices` is how many GPUs it shows, None where it does not answer."""

    versions: Versions | None = None
    devices: int | None = None
    nameless: tuple[int, ...] = ()
    """Indices that NVML counts and whose GPU it does not name."""


def status_families(
    status: Status, gpus: Sequence[Gpu], *, expected: int | None, hangs: bool = False
) -> Part:
    """What there is, and whether it answers. Where the driver hangs, nothing does."""
    up = status.versions is not None and not hangs
    found = [_alone(catalog.GPU_NVML_UP, int(up))]
    if expected is not None:
        found.append(_alone(catalog.GPU_EXPECTED_DEVICES, expected))
    if up and status.devices is not None:
        found.append(_alone(catalog.GPU_DEVICES, status.devices))
    if up and status.versions is not None:
        versions = status.versions
        found.append(_alone(catalog.GPU_SIMULATED, int(versions.simulated)))
        line = series(
            catalog.GPU_DRIVER_INFO,
            driver_version=versions.driver,
            nvml_version=versions.nvml,
            cuda_version=versions.cuda,
        )
        found.append(Family(catalog.GPU_DRIVER_INFO, [(line, 1)]))
        named = [
            series(
                catalog.GPU_INFO,
                gpu_id=str(gpu.index),
                gpu_uuid=gpu.uuid,
                gpu_name=gpu.name,
                driver_version=versions.driver,
            )
            for gpu in gpus
            if gpu.up
        ]
        found.append(Family(catalog.GPU_INFO, [(line, 1) for line in named]))
    ups = [(gpu.line(key(catalog.GPU_UP)), int(gpu.up and up)) for gpu in gpus]
    ups += [
        (series(catalog.GPU_UP, gpu_id=str(index), gpu_uuid="unknown"), 0)
        for index in status.nameless
    ]
    found.append(Family(catalog.GPU_UP, ups))
    return tuple(family.prepared() for family in found)


def tier_families(tier: Tier, gpus: Sequence[Gpu]) -> Part:
    """What a tier read of all GPUs."""
    samples: dict[Metric, list[tuple[Series, float]]] = {}
    for gpu in gpus:
        for name, value in gpu.values[tier].items():
            samples.setdefault(name[0], []).append((gpu.line(name), value))
    return tuple(Family(metric, lines).prepared() for metric, lines in samples.items())


def support_families(gpus: Sequence[Gpu], announcing: frozenset[str]) -> Part:
    """What each GPU gives and what it does not; `announcing` are those that tell XID errors."""
    lines = []
    for gpu in gpus:
        if not gpu.up:
            continue
        given = gpu.given | {catalog.GPU_XID_ERRORS: gpu.uuid in announcing}
        lines += [
            (gpu.line(key(catalog.GPU_METRIC_SUPPORTED, metric.name)), int(given[metric]))
            for metric in METRICS
            if metric in given
        ]
    return (Family(catalog.GPU_METRIC_SUPPORTED, lines).prepared(),)


def xid_families(xids: Xids, gpus: Sequence[Gpu]) -> Part:
    """XID errors by code, also of a GPU that is lost by one."""
    counts, times = xids.snapshot()
    return (
        Family(
            catalog.GPU_XID_ERRORS,
            [
                (gpu.line(key(catalog.GPU_XID_ERRORS, code)), count)
                for gpu in gpus
                for code, count in counts.get(gpu.uuid, {}).items()
            ],
        ),
        Family(
            catalog.GPU_XID_LAST,
            [
                (gpu.line(key(catalog.GPU_XID_LAST, code)), moment)
                for gpu in gpus
                for code, moment in times.get(gpu.uuid, {}).items()
            ],
        ),
    )


def error_families(errors: Mapping[tuple[Metric, str], int]) -> Part:
    """Values that could not be read."""
    lines = [
        (series(catalog.GPU_READ_ERRORS, metric=metric.name, error=error), count)
        for (metric, error), count in errors.items()
    ]
    return (Family(catalog.GPU_READ_ERRORS, lines).prepared(),)


def call_families(costs: Mapping[str, tuple[int, float]]) -> Part:
    """How often NVML was called, and how long that took."""
    return (
        Family(
            catalog.GPU_NVML_CALLS,
            [
                (_call_line(catalog.GPU_NVML_CALLS, name), made)
                for name, (made, _) in sorted(costs.items())
            ],
        ),
        Family(
            catalog.GPU_NVML_CALL_SECONDS,
            [
                (_call_line(catalog.GPU_NVML_CALL_SECONDS, name), seconds)
                for name, (_, seconds) in sorted(costs.items())
            ],
        ),
    )


@cache
def _call_line(metric: Metric, name: str) -> Series:
    return series(metric, call=name)


def _alone(metric: Metric, value: int) -> Family:
    return Family(metric, [(series(metric), value)])
