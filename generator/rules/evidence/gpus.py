"""For each alert of GPUs, raw series that must make it fire, and such that must only just not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from contract import catalog
from contract.alerts import NEARLY_FULL, CommonThreshold, Threshold, thresholds
from contract.catalog import Metric
from contract.quantity import Duration
from contract.spec import Spec
from generator.queries.recorded_gpu import OTHER
from generator.queries.windows import FIVE_MINUTES, HALF_HOUR, HOUR, window
from generator.rules.evidence.evidence import Evidence, Timeline, selector
from generator.rules.evidence.models import MODEL_EVIDENCE

__all__ = ["GPU_EVIDENCE", "LONGEST_WINDOW"]

LONGEST_WINDOW: Final[Mapping[str, Duration]] = {
    "GpuMemoryFilling": HALF_HOUR,
    "GpuIdleButHeld": HOUR,
}
"""By alert, where it is longer than five minutes."""

_MEMORY: Final = 64 * 2**30
_MOST: Final = 100
"""GPUs of a machine: each is a series of the proof."""
_UUID: Final = "GPU-00000000-0000-0000-0000-000000000000"


def _device(spec: Spec) -> dict[str, str]:
    instance = spec.stack.gpu[0] if spec.stack.gpu else "127.0.0.1:9103"
    return {"instance": instance, "gpu_id": "0", "gpu_uuid": _UUID}


def _series(metric: Metric, spec: Spec, **labels: str) -> str:
    return selector(metric, **_device(spec), **labels)


def _held(spec: Spec, times: Timeline, *, by: Threshold | None = None) -> dict[str, str]:
    """A GPU that answers, and a model that holds it; the first one of all."""
    model, team = _model(spec, by)
    memory = _series(catalog.GPU_MODEL_MEMORY, spec, **model)
    return {
        _series(catalog.GPU_UP, spec): times.gauge(1, 1),
        memory: times.gauge(2**30, 2**30),
        selector(
            catalog.MODEL_TARGET_INFO, **model, team=team, target="127.0.0.1:9101"
        ): times.gauge(1, 1),
    }


def _model(spec: Spec, by: Threshold | None = None) -> tuple[dict[str, str], str]:
    first = spec.models[0]
    name, version, team = (
        (by.model_name, by.model_version, by.team)
        if by
        else (first.name, first.version, first.team)
    )
    return {"model_name": name, "model_version": version}, team


def _labels(spec: Spec, by: Threshold | None = None) -> dict[str, str]:
    model, team = _model(spec, by)
    return {**_device(spec), **model, "team": team}


def _lost(_: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    model, _team = _model(spec)
    there = _held(spec, times)
    lost = {
        **there,
        _series(catalog.GPU_UP, spec): times.gauge(0, 1),
        # A lost GPU shows no processes; who held it is remembered.
        _series(catalog.GPU_MODEL_MEMORY, spec, **model): f"{2**30} stale _x{times.end - 1}",
    }
    return Evidence(firing=lost, labels=_labels(spec), silent={"answers": there})


def _missing(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence | None:
    missing = math.floor(threshold.value) + 1
    if missing > _MOST:
        return None  # more than any machine has
    expected = selector(catalog.GPU_EXPECTED_DEVICES, instance=_device(spec)["instance"])
    seen = _series(catalog.GPU_UP, spec)
    others = {
        _series(catalog.GPU_UP, spec).replace(_UUID, f"GPU-{number}"): times.gauge(0, 0)
        for number in range(missing)
    }
    return Evidence(
        firing={expected: times.gauge(1 + missing, 1), seen: times.gauge(1, 1)},
        labels={"instance": _device(spec)["instance"]},
        value=missing,
        also={
            "none is seen at all": {expected: times.gauge(missing, 0)},
            "nobody said how many, and the driver is gone": _gone(missing, spec, times),
        },
        silent={
            "just as many": {expected: times.gauge(missing, missing), seen: times.gauge(1, 1)},
            "lost ones, which are known": {
                expected: times.gauge(1 + missing, 1),
                seen: times.gauge(1, 1),
                **others,
            },
        },
    )


def _gone(number: int, spec: Spec, times: Timeline) -> dict[str, str]:
    """A machine that showed so many GPUs, until its exporter started again without a driver."""
    where = {"instance": _device(spec)["instance"]}
    back = f"{number}x{times.end - times.bad - 1}"
    return {
        selector(catalog.GPU_NVML_UP, **where): times.gauge(0, 1),
        selector(catalog.GPU_DEVICES, **where): f"{number} stale _x{times.bad - 1} {back}",
        **{
            _series(catalog.GPU_UP, spec).replace(_UUID, f"GPU-{one}"): times.absent(1)
            for one in range(number)
        },
    }


def _xid(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    young, old = math.floor(threshold.value * 0.99), math.ceil(threshold.value * 1.01)

    def errors(ages: Mapping[str, float]) -> dict[str, str]:
        return {
            **_held(spec, times),
            **{
                _series(catalog.GPU_XID_LAST, spec, xid=xid): times.gauge(
                    -age, -old, times.step.seconds
                )
                for xid, age in ages.items()
            },
        }

    return Evidence(
        firing=errors({"79": young, "48": young, "64": old}),
        labels=_labels(spec),
        value=young,
        looked_up={"codes": "48, 79"},
        silent={
            "long ago": errors({"79": old}),
            "an error of an application": errors({"13": young, "31": young, OTHER: young}),
        },
    )


def _ecc(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    above = math.floor(threshold.value) + 1
    held = _held(spec, times)

    def errors(kind: str, number: float) -> dict[str, str]:
        series = _series(catalog.GPU_ECC_ERRORS, spec, error=kind)
        return {**held, series: times.gauge(number, 0)}

    failed = {_series(catalog.GPU_ROW_REMAP_FAILED, spec): times.gauge(above, 0)}
    return Evidence(
        firing=errors("uncorrected", above),
        labels=_labels(spec),
        value=above,
        also={"a row could not be replaced": {**errors("uncorrected", 0), **failed}},
        silent={
            "just as many": errors("uncorrected", threshold.value),
            "corrected ones": errors("corrected", above),
        },
    )


def _memory_filling(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence | None:
    step = times.step.seconds
    steps = math.ceil(threshold.hold.milliseconds / times.step.milliseconds)
    # Time passes while the hold runs; half a second, because the slope is a float.
    left = threshold.value - (steps + 3) * step + 0.5
    if left <= 0:
        return None  # full before the hold is over
    flat = times.gauge(_MEMORY, _MEMORY)

    def filling(seconds: float, free: float) -> dict[str, str]:
        """`free` of the memory is left when it is bad for the last time, for so many seconds."""
        pace = free * _MEMORY / seconds * step
        least = free * _MEMORY
        emptying = f"{least + pace * times.bad:.0f}-{pace:.0f}x{times.bad}"
        filling_up = f"{_MEMORY - least - pace * times.bad:.0f}+{pace:.0f}x{times.bad}"
        rest = times.end - times.bad - 1
        return {
            **_held(spec, times),
            _series(catalog.GPU_MEMORY_TOTAL, spec): flat,
            _series(catalog.GPU_MEMORY_FREE, spec): f"{emptying} {_MEMORY}x{rest}",
            _series(catalog.GPU_MEMORY_USED, spec): f"{filling_up} 0x{rest}",
        }

    nearly, room = (1 - NEARLY_FULL) / 8, (1 - NEARLY_FULL) * 1.01
    return Evidence(
        firing=filling(left, nearly),
        labels=_labels(spec),
        value=left,
        since=times.bad - steps - 2,
        silent={
            "just slow enough": filling(threshold.value * 1.01, nearly),
            "much is free": filling(left, room),
            "it was loaded and grows no more": _loaded(filling(left, nearly), spec, times),
        },
    )


def _loaded(inputs: Mapping[str, str], spec: Spec, times: Timeline) -> dict[str, str]:
    """The same GPU, on which a model was loaded a quarter of an hour ago."""
    before = times.bad - math.ceil(15 * 60 / times.step.seconds)
    full = round(_MEMORY * (NEARLY_FULL + 1) / 2)
    rest = times.end - before - 1
    return {
        **inputs,
        _series(catalog.GPU_MEMORY_USED, spec): f"0x{before} {full}x{rest}",
        _series(catalog.GPU_MEMORY_FREE, spec): f"{_MEMORY}x{before} {_MEMORY - full}x{rest}",
    }


def _hot(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    limit = threshold.value
    slack = abs(limit) * 0.01 or 0.01

    def margin(degrees: float) -> dict[str, str]:
        series = _series(catalog.GPU_TEMPERATURE_MARGIN, spec)
        return {**_held(spec, times), series: times.gauge(degrees, limit + slack)}

    return Evidence(
        firing=margin(limit - slack),
        labels=_labels(spec),
        value=limit - slack,
        silent={"just cool enough": margin(limit + slack)},
    )


def _throttled_and_slow(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence | None:
    limit = threshold.value
    slow = next((t for t in thresholds(spec) if t.alert.startswith("HighLatency")), None)
    if slow is None or limit * 1.01 > 1:
        return None  # nothing is promised, or more than all of the time
    model = spec.model(slow.model_name, slow.model_version)
    assert model is not None
    latency = MODEL_EVIDENCE[slow.alert](slow, model, spec, times)
    assert latency is not None
    promise = selector(
        catalog.ALERT_THRESHOLD,
        **_model(spec, slow)[0],
        team=slow.team,
        alert=slow.alert,
        severity=slow.severity,
        hold=str(slow.hold),
    )
    held = {**_held(spec, times, by=slow), promise: times.gauge(slow.value, slow.value)}

    def throttled(share: float, reason: str = "sw_power_cap") -> dict[str, str]:
        series = _series(catalog.GPU_CLOCK_EVENT_SECONDS, spec, reason=reason)
        return {**held, series: times.counter(share * times.step.seconds, 0)}

    return Evidence(
        firing={**throttled(limit * 1.01), **latency.firing},
        labels=_labels(spec, slow),
        value=limit * 1.01,
        # A rate is too low until its window is full.
        since=math.ceil(window(spec, FIVE_MINUTES).milliseconds / times.step.milliseconds),
        silent={
            "just not throttled": {**throttled(limit * 0.99), **latency.firing},
            "held back by a setting": {
                **throttled(limit * 1.01, "applications_clocks_setting"),
                **latency.firing,
            },
            **{
                f"latency {case}": {**throttled(limit * 1.01), **inputs}
                for case, inputs in latency.silent.items()
            },
        },
    )


def _idle(threshold: CommonThreshold, spec: Spec, times: Timeline) -> Evidence:
    limit = threshold.value

    def busy(share: float) -> dict[str, str]:
        series = _series(catalog.GPU_UTILIZATION, spec)
        return {**_held(spec, times), series: times.gauge(share, 1)}

    nobody = busy(limit * 0.99)
    nobody.pop(_series(catalog.GPU_MODEL_MEMORY, spec, **_model(spec)[0]))
    somebody = _series(catalog.GPU_MODEL_MEMORY, spec, model_name=OTHER, model_version="")
    return Evidence(
        firing=busy(limit * 0.99),
        labels=_labels(spec),
        value=limit * 0.99,
        silent={
            "just busy": busy(limit * 1.01),
            "no model holds it": nobody,
            "processes of no model hold it": {**nobody, somebody: times.gauge(1, 1)},
        },
    )


GPU_EVIDENCE: Final[dict[str, Callable[[CommonThreshold, Spec, Timeline], Evidence | None]]] = {
    "GpuLost": _lost,
    "GpusMissing": _missing,
    "GpuXid": _xid,
    "GpuEccUncorrectable": _ecc,
    "GpuMemoryFilling": _memory_filling,
    "GpuHot": _hot,
    "GpuThrottledAndSlow": _throttled_and_slow,
    "GpuIdleButHeld": _idle,
}
"""By alert; None where no input can make it fire."""
