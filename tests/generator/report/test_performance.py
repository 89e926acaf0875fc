"""Latency, throughput and energy of two hours that are known (tests/generator/report/past.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from generator.report.figures import Measure, ModelReport, Performance, Report

pytestmark = pytest.mark.stack

Tell = Callable[..., Report]
ModelsOf = Callable[[Report], dict[str, ModelReport]]


@pytest.fixture
def noon(tell: Tell, models_of: ModelsOf) -> Performance:
    """Ten requests a second from 11 to 12, one a second from 12 to 13."""
    report = tell(
        "performance", "fraud", since="2026-10-24T11:00:00", until="2026-10-24T13:00:00", step="1h"
    )
    found = models_of(report)["fraud 2"].performance
    assert found
    return found


def measure(performance: Performance, name: str) -> Measure:
    [found] = [one for one in performance.measures if one.name == name]
    return found


def test_quantiles_are_of_all_requests_and_no_mean_of_quantiles(noon: Performance) -> None:
    # Of 39,600 requests 32,400 took up to 0.1 s, then 5,400 up to 0.25 s, and 1,800 more than 10 s.
    latency = noon.latency
    assert latency.timed_requests == pytest.approx(39_600)
    assert latency.p50_seconds == pytest.approx(0.1 * 19_800 / 32_400)
    assert latency.p90_seconds == pytest.approx(0.1 + 0.15 * (35_640 - 32_400) / 5_400)
    assert latency.p95_seconds == pytest.approx(0.1 + 0.15 * (37_620 - 32_400) / 5_400)
    # The mean of the two hours' p99 would be somewhere between; there is no bucket for it.
    assert latency.p99_seconds == 10
    assert latency.beyond_buckets == ["p99_seconds", "p999_seconds"]


def test_a_mean_latency_is_weighted_by_requests(noon: Performance) -> None:
    assert noon.latency.mean_seconds == pytest.approx((36_000 * 0.05 + 3_600 * 6) / 39_600)
    assert [one.mean_seconds for one in noon.latency_series] == [
        pytest.approx(0.05),
        pytest.approx(6),
    ]


def test_each_hour_has_its_own_quantiles(noon: Performance) -> None:
    first, second = noon.latency_series
    assert first.p50_seconds == pytest.approx(0.1 * 5 / 9)
    assert first.p99_seconds == pytest.approx(0.1 + 0.15 * 0.9)
    # Half of the requests took up to a quarter of a second, and none less than 0.1 s.
    assert second.p50_seconds == pytest.approx(0.25)
    assert second.beyond_buckets == ["p90_seconds", "p95_seconds", "p99_seconds", "p999_seconds"]


def test_throughput_comes_from_counts_and_its_peak_from_five_minutes(noon: Performance) -> None:
    # The counts of this model are 100 every five minutes, whatever its rates say.
    assert noon.requests_per_second_mean == pytest.approx(100 / 300)
    assert noon.requests_per_second_peak == 10
    throughput = measure(noon, "throughput_requests_per_second")
    assert (throughput.whole.min, throughput.whole.max) == (1, 10)
    assert throughput.series[0].median == 10


def test_gauges_have_their_mean_over_time(noon: Performance) -> None:
    memory = measure(noon, "gpu_memory_bytes")
    assert memory.whole.mean == pytest.approx(2e9)
    assert (memory.whole.min, memory.whole.median, memory.whole.max) == (1e9, 2e9, 3e9)
    assert [one.mean for one in memory.series] == [1e9, 3e9]


def test_energy_is_power_by_time(noon: Performance) -> None:
    assert noon.energy_joules == pytest.approx(100 * 3600 + 40 * 3600)


def test_a_quantile_has_no_mean(noon: Performance) -> None:
    assert measure(noon, "latency_mean_seconds").whole.mean == noon.latency.mean_seconds
    assert all(one.whole.mean is None for one in noon.measures if one.name.startswith("latency_p"))


def test_nothing_is_told_of_a_model_without_requests(tell: Tell, models_of: ModelsOf) -> None:
    idle = models_of(tell("performance", "idle"))["idle 1"]
    assert idle.performance
    assert idle.performance.latency.p99_seconds is None
    assert idle.performance.latency.mean_seconds is None
    assert idle.performance.requests_per_second_mean == 0
    assert idle.traffic.error_ratio is None
