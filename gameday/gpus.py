"""Scenarios of one GPU, which is simulated: its driver is a text file."""

from __future__ import annotations

from typing import Final

from contract import catalog
from contract.alerts import NEARLY_FULL
from contract.spec import Severity
from gameday.consequences import LENIENT, NEARING, SLOWER, slow
from gameday.environment import GPUS, MEMORY_TOTAL, MEMORY_USED, UTILIZED, Environment
from gameday.injections import Fault, Gpu, Grow, Restart, Together
from gameday.reach import at_once, gpu_threshold, longest, of_window, plus
from gameday.scenario import Expected, Implied, Reach, Scenario
from generator.queries.windows import FIVE_MINUTES, HALF_HOUR, HOUR, window

__all__ = ["GPU_INCIDENTS"]

LEAKING: Final = 3e8
"""Bytes a second."""


def _of_gpu(
    alert: str, severity: Severity, model: str, metric: catalog.Metric, reach: Reach = at_once
) -> Expected:
    return Expected(alert=alert, severity=severity, model=model, seen_in=metric, reach=reach)


def _filling(environment: Environment) -> float:
    """When the slope over half an hour, by least squares, says that the memory is full in time.

    Of a window of W seconds in whose last t it grew evenly, that slope is r (3 u² - 2 u³), u = t/W.
    """
    spec = environment.spec
    limit = gpu_threshold(spec, "GpuMemoryFilling")
    whole = min(window(spec, HALF_HOUR).seconds, environment.uptime)
    for tenth in range(1, 3000):
        t = tenth / 10
        u = min(t / whole, 1.0)
        used = MEMORY_USED + LEAKING * t
        slope = LEAKING * (3 * u * u - 2 * u * u * u)
        if used > NEARLY_FULL * MEMORY_TOTAL and MEMORY_TOTAL - used < limit * slope:
            return t
    raise AssertionError("a leak that never fills the memory")


def _idle(environment: Environment) -> float:
    """When an hour's mean is below the threshold, of a GPU that was busy before."""
    share = 1 - gpu_threshold(environment.spec, "GpuIdleButHeld") * 100 / UTILIZED
    whole = window(environment.spec, HOUR).seconds
    return whole * share


GPU_INCIDENTS: Final = (
    Scenario(
        name="gpu idle",
        says="the GPU of progression-trial has nothing to do, and its memory is held",
        injection=Gpu({"gpu.5.utilization": "0"}),
        touches=frozenset({"gpu 5"}),
        expects=(
            _of_gpu("GpuIdleButHeld", "info", "progression-trial", catalog.GPU_UTILIZATION, _idle),
        ),
    ),
    Scenario(
        name="gpu memory leak",
        says="the memory of the GPU of progression fills up",
        injection=Grow("gpu.2.memory_used", MEMORY_USED, LEAKING, 84e9),
        touches=frozenset({"progression"}),
        expects=(
            _of_gpu(
                "GpuMemoryFilling", "warning", "progression", catalog.GPU_MEMORY_USED, _filling
            ),
        ),
        needs=60,
    ),
    Scenario(
        name="gpu throttled",
        says="the GPU of progression-trial gets too hot, and requests take a second",
        injection=Together(
            (
                # Nanoseconds that its driver counted: all of the time.
                Grow("gpu.5.field.269", 0.0, 1e9),
                Fault("progression-trial", {"extra_latency_seconds": 1.0}),
            )
        ),
        touches=frozenset({"progression-trial"}),
        expects=(
            _of_gpu(
                "GpuThrottledAndSlow",
                "warning",
                "progression-trial",
                catalog.GPU_CLOCK_EVENT_SECONDS,
                longest(of_window(FIVE_MINUTES, 0.1), plus(1.0, of_window(FIVE_MINUTES, 0.05))),
            ),
            *slow("progression-trial", 1.0),
        ),
        implied=(SLOWER, NEARING, LENIENT),
    ),
    Scenario(
        name="xid",
        says="the driver reports XID 79 on the GPU of risk: it has fallen off the bus",
        injection=Gpu({"xid": "1 1 79"}),
        touches=frozenset({"risk"}),
        expects=(_of_gpu("GpuXid", "critical", "risk", catalog.GPU_XID_LAST),),
    ),
    Scenario(
        name="gpu lost",
        says="the GPU of risk-trial no longer answers",
        injection=Gpu({"gpu.4": "!15"}),
        touches=frozenset({"risk-trial"}),
        expects=(_of_gpu("GpuLost", "critical", "risk-trial", catalog.GPU_UP),),
    ),
    Scenario(
        name="gpu hot",
        says="the GPU of screening-trial is 2 °C from slowing down",
        injection=Gpu({"gpu.3.temperature_margin": "2", "gpu.3.temperature": "90"}),
        touches=frozenset({"screening-trial"}),
        expects=(_of_gpu("GpuHot", "warning", "screening-trial", catalog.GPU_TEMPERATURE_MARGIN),),
    ),
    Scenario(
        name="gpu memory errors",
        says="a GPU that nobody holds has an uncorrectable memory error",
        injection=Gpu({f"gpu.{len(GPUS)}.ecc_uncorrected_volatile": "1"}),
        touches=frozenset({"platform"}),
        expects=(_of_gpu("GpuEccUncorrectable", "error", "none", catalog.GPU_ECC_ERRORS),),
    ),
    Scenario(
        name="gpu missing",
        says="after its exporter was started again, a GPU is not there any more",
        injection=Together((Gpu({"gpus": str(len(GPUS))}), Restart("gpu"))),
        touches=frozenset({"platform"}),
        alone=True,
        expects=(_of_gpu("GpusMissing", "critical", "none", catalog.GPU_UP),),
        implied=(Implied(alert="GpuLost", why="until its exporter starts again it is lost"),),
    ),
)
