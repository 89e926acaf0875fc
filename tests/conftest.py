"""Fixtures that every test can ask for."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests import processes
from tests.golden_files import Golden

# A time limit per example fails on a busy machine and says nothing about the code.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden anew from what the tests give, instead of comparing",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden("drift/psi.txt", text)` compares text with tests/golden/drift/psi.txt."""
    return Golden(request.node.nodeid, update=bool(request.config.getoption("--update-golden")))


@pytest.fixture
def free_port() -> int:
    """A free loopback port; for more than one call tests.processes.free_port."""
    return processes.free_port()
