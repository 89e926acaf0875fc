"""Which version is newer than which."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from contract.spec import Model
from exporters.drift.versions.pairs import in_order

DAY = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)


def model(version: str, day: int | None = None, **keys: Any) -> Model:
    if day is not None:
        keys["deployed_at"] = DAY + dt.timedelta(days=day)
    return Model(name="m", version=version, task="regression", **keys)


@pytest.mark.parametrize(
    ("versions", "order"),
    [
        ([model("1.10"), model("1.9"), model("1.10-rc1")], ["1.9", "1.10-rc1", "1.10"]),
        ([model("2", 1), model("1", 5)], ["2", "1"]),
        ([model("2", 1), model("1")], ["1", "2"]),
        ([model("9", state="registered"), model("10", 1)], ["10", "9"]),
        ([model("2"), model("1"), model("3", state="retired")], ["1", "2"]),
    ],
    ids=[
        "by version",
        "by deployment: what was put back is newer",
        "by version, where a deployment has no date",
        "what is only registered is newer than what is live",
        "what is retired is not compared",
    ],
)
def test_versions_have_an_order(versions: list[Model], order: list[str]) -> None:
    assert [found.version for found in in_order(versions)["m"]] == order


def test_a_model_of_one_version_has_nothing_to_be_compared_with() -> None:
    assert in_order([model("1"), model("2", state="retired")]) == {}
