"""GPM: what the units of a GPU work on, between two samples of the driver (Hopper and later)."""

from __future__ import annotations

from typing import Any, Final

import pynvml

from contract import catalog
from contract.catalog import Metric
from exporters.gpu.nvml import UNSUPPORTED, Driver, Handle, NvmlError, error_name
from exporters.gpu.signals import Answer, Tier, key, percent

__all__ = ["GpmSource"]

FIGURES: Final = {
    2: catalog.GPU_SM_ACTIVE,
    3: catalog.GPU_SM_OCCUPANCY,
    5: catalog.GPU_TENSOR_ACTIVE,
    10: catalog.GPU_DRAM_ACTIVE,
    11: catalog.GPU_FP64_ACTIVE,
    12: catalog.GPU_FP32_ACTIVE,
    13: catalog.GPU_FP16_ACTIVE,
}
"""NVML's numbers of the figures, all in percent."""


class GpmSource:
    """The figures of one GPU over the time since the reading before."""

    tier = Tier.SLOW
    metrics: tuple[Metric, ...] = tuple(FIGURES.values())

    def __init__(self, driver: Driver, handle: Handle) -> None:
        self._driver = driver
        self._handle = handle
        self._samples: list[Any] = []
        self._taken = 0
        # 19 kB with the newest nvidia-ml-py: made once.
        self._request: Any = None

    def read(self) -> Answer:
        """Take a sample and compare it with the one before; the first gives nothing yet."""
        if not self._samples:
            self._begin()
        before, after = self._samples
        self._driver.call("nvmlGpmSampleGet", self._handle, after)
        self._samples = [after, before]
        self._taken += 1
        return self._compare(before, after) if self._taken > 1 else Answer(pending=True)

    def close(self) -> None:
        """Give the samples back."""
        samples, self._samples, self._taken = self._samples, [], 0
        for sample in samples:
            try:
                self._driver.call("nvmlGpmSampleFree", sample)
            except NvmlError:
                return

    def _begin(self) -> None:
        if not self._driver.call("nvmlGpmQueryDeviceSupport", self._handle).isSupportedDevice:
            raise NvmlError("not_supported", "no GPM on this GPU")
        self._samples = [self._driver.call("nvmlGpmSampleAlloc") for _ in range(2)]
        self._request = pynvml.c_nvmlGpmMetricsGet_t()
        self._request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        self._request.numMetrics = len(FIGURES)
        for place, number in enumerate(FIGURES):
            self._request.metrics[place].metricId = number

    def _compare(self, before: Any, after: Any) -> Answer:
        self._request.sample1, self._request.sample2 = before, after
        self._driver.call("nvmlGpmMetricsGet", self._request)
        answer = Answer()
        for place, metric in enumerate(FIGURES.values()):
            figure = self._request.metrics[place]
            status = error_name(figure.nvmlReturn)
            # A driver that cannot tell gives NaN and no error.
            if status == "success" and figure.value == figure.value:
                answer.values[key(metric)] = percent(figure.value)
            elif status != "success" and status not in UNSUPPORTED:
                answer.errors.append((metric, status))
        return answer
