"""A month of October, and what reports say of it."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from contract.quantity import Duration
from contract.spec import Spec
from generator.doctor.ask import Prometheus
from generator.report.ask import Progress
from generator.report.figures import Kind, ModelReport, Report
from generator.report.gather import gather
from generator.report.period import read_period
from tests.generator.report.past import END, month, spec_of

UTC: Final = zoneinfo.ZoneInfo("UTC")

Tell = Callable[..., Report]


@pytest.fixture(scope="session")
def october(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spec]:
    """The spec, whose stack.prometheus answers."""
    folder = tmp_path_factory.mktemp("october")
    with month(folder) as address:
        yield spec_of(folder, address)


@pytest.fixture
def tell(october: Spec) -> Tell:
    """`tell("sla", "fraud", since="2026-10", until="2026-10")` is a report."""

    def report(
        kind: Kind, *names: str, since: str = "2026-10", until: str = "2026-10", step: str = ""
    ) -> Report:
        period = read_period(
            since,
            until,
            now=END + 600,
            zone=UTC,
            usual=Duration.parse("30d"),
            step=Duration.parse(step) if step else None,
            shortest=Duration.parse("5m"),
        )
        chosen = names or [model.name for model in october.models]
        with Prometheus(october) as prometheus:
            return gather(
                october,
                kind,
                chosen,
                period,
                prometheus,
                now=END + 600,
                progress=Progress(shown=False),
            )

    return report


@pytest.fixture
def models_of() -> Callable[[Report], dict[str, ModelReport]]:
    """The models of a report by name and version."""
    return lambda report: {f"{one.name} {one.version}": one for one in report.models}
