"""What is promised of a model's performance and data, as models.yaml says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.problems import ProblemsError
from contract.quantity import Duration
from contract.spec import Promise
from tests.contract.models_file import read, with_model


def test_percentages_are_shares_and_numbers_numbers(tmp_path: Path) -> None:
    spec = read(
        tmp_path,
        with_model("performance: {r2: {min: 30%}, mae: {baseline: 43, max_drop: 8.5}}"),
    )
    performance = spec.models[0].performance
    assert performance.r2 == Promise(min=0.3)
    assert performance.mae == Promise(baseline=43, max_drop=8.5)
    assert [name for name, _ in performance.promises()] == ["mae", "r2"]


def test_one_window_stands_for_a_list_of_one(tmp_path: Path) -> None:
    spec = read(tmp_path, with_model("performance: {windows: 6h}"))
    assert spec.models[0].performance.windows == (Duration.parse("6h"),)


def test_a_model_says_only_what_differs_from_the_defaults(tmp_path: Path) -> None:
    defaults = (
        "defaults: {performance: {min_samples: 50, accuracy: {min: 90%}, mae: {max: 9}}, "
        "data_quality: {missing: 1%, range: 2%}}\n"
    )
    keys = "performance: {mae: {max: 5}}, data_quality: {range: 3%}"
    one = read(tmp_path, defaults + with_model(keys)).models[0]
    assert one.performance.min_samples == 50
    assert one.performance.mae == Promise(max=5)
    # Of another task: it stays, and whoever judges leaves it out.
    assert one.performance.accuracy == Promise(min=0.9)
    assert (one.data_quality.missing, one.data_quality.range) == (0.01, 0.03)


REFUSED = {
    "a metric of another task": (
        "performance: {auc: {min: 0.9}}",
        "models[0].performance.auc: is no metric of regression | write one of mae, rmse, r2, bias",
    ),
    "a metric that is misspelt": (
        "performance: {mea: {max: 5}}",
        "models[0].performance.mea: unknown key | did you mean mae?",
    ),
    "a drop from nothing": (
        "performance: {mae: {max_drop: 5}}",
        (
            "models[0].performance.mae: has a max_drop from no baseline "
            "| add baseline: what it was in tests"
        ),
    ),
    "a promise of nothing": (
        "performance: {mae: {}}",
        "models[0].performance.mae: promises nothing | write min, max, or baseline with max_drop",
    ),
    "an error that is good where it is large": (
        "performance: {mae: {min: 5}}",
        "models[0].performance: bounds mae by min, and it is good where it is small | write max",
    ),
    "an explained variance that is good where it is small": (
        "performance: {r2: {max: 0.5}}",
        "models[0].performance: bounds r2 by max, and it is good where it is large | write min",
    ),
    "a window that is named twice": (
        "performance: {windows: [1h, 60m]}",
        "models[0].performance.windows: names a window twice",
    ),
    "no window": (
        "performance: {windows: []}",
        "models[0].performance.windows: needs at least one item, got a list",
    ),
    "a share without a percent sign": (
        "data_quality: {missing: 0.05}",
        "models[0].data_quality.missing: needs a %, got 0.05 | write 5%",
    ),
    "a percentage of more than all": (
        "performance: {r2: {min: 130%}}",
        "models[0].performance.r2.min: is not a percentage between 0% and 100%: '130%'",
    ),
}


@pytest.mark.parametrize(("keys", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_promised_is_refused(tmp_path: Path, keys: str, expected: str) -> None:
    with pytest.raises(ProblemsError) as raised:
        read(tmp_path, with_model(keys))
    told = [
        f"{found.path}: {found.message}" + (f" | {found.suggestion}" if found.suggestion else "")
        for found in raised.value.problems
    ]
    assert told == [expected]
