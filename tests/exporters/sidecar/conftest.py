"""A sidecar for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporters.sidecar.serving import Sidecar, serving


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A running sidecar; tests look at what they changed, not at totals."""
    with serving(tmp_path_factory.mktemp("sidecar")) as started:
        yield started
