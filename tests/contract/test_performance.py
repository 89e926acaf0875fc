"""What is promised of a model's performance and data, as models.yaml says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.problems import ProblemsError
from contract.quantity import Duration
from contract.spec import Promise
from contract.spec.performance import Drop
from tests.contract.models_file import read, with_model


def test_percentages_are_shares_and_numbers_numbers(tmp_path: Path) -> None:
    spec = read(
        tmp_path,
        with_model("performance: {r2: {min: 30%}, mae: {baseline: 43, max_drop: 8.5}}"),
    )
    performance = spec.models[0].performance
    assert performance.r2 == Promise(min=0.3)
    assert performance.mae == Promise(baseline=43, max_drop=Drop(8.5))
    assert [name for name, _ in performance.promises()] == ["mae", "r2"]


def promised(folder: Path, text: str) -> dict[str, tuple[float | None, float | None]]:
    """Of the only model: (baseline, max_drop) by metric."""
    [model] = read(folder, text).models
    return {name: (own.baseline, own.max_drop) for name, own in model.performance.promises()}


def test_a_drop_is_in_the_metrics_own_units_or_a_share_of_its_baseline(tmp_path: Path) -> None:
    keys = "r2: {baseline: 0.5, max_drop: 5%}, mae: {baseline: 40, max_drop: 5% of baseline}, "
    keys += "bias: {baseline: -2, max_drop: 50% of baseline}"
    assert promised(tmp_path, with_model(f"performance: {{{keys}}}")) == {
        "mae": (40, 2), "r2": (0.5, 0.05), "bias": (-2, 1),
    }  # fmt: skip


def test_a_baseline_from_training_is_what_its_own_version_measured(tmp_path: Path) -> None:
    defaults = (
        "defaults: {performance: {mae: {baseline: from_training, max_drop: 10% of baseline}, "
        "auc: {baseline: from_training}}}\n"
    )
    keys = "training: {metrics: {mae: 43, r2: 61%, loss: 7}}, "
    text = defaults + with_model(keys + "performance: {r2: {baseline: from_training}}")
    # What the task doesn't have stays unknown, and whoever judges leaves it out.
    assert promised(tmp_path, text) == {"mae": (43, 4.3), "r2": (0.61, None), "auc": (None, None)}
    assert promised(tmp_path, text.replace("43", "50"))["mae"] == (50, 5)


def test_what_is_retired_needs_no_baseline(tmp_path: Path) -> None:
    keys = "performance: {mae: {baseline: from_training}}"
    retired = '  - {name: a, version: "0", task: regression, state: retired, ' + keys + "}\n"
    assert len(read(tmp_path, with_model("max_age: null") + retired).versions) == 2


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
    "a baseline that was not measured": (
        "performance: {mae: {baseline: from_training}}, training: {metrics: {mea: 3}}",
        (
            "models[0].performance.mae.baseline: is not in training.metrics of a 1 "
            "| name it mae: training.metrics has mea"
        ),
    ),
    "a baseline from nowhere": (
        "performance: {mae: {baseline: training}}",
        (
            "models[0].performance.mae.baseline: is not a number: 'training' "
            "| write 0.99, 99% or from_training"
        ),
    ),
    "a percentage of what is no share": (
        "performance: {mae: {baseline: 40, max_drop: 5%}}",
        (
            "models[0].performance: lets mae become worse by 5%, and mae is no share "
            "| write max_drop: 5% of baseline, or a number in its own units"
        ),
    ),
    "a drop that is none": (
        "performance: {r2: {baseline: 0.4, max_drop: -5%}}",
        (
            "models[0].performance.r2.max_drop: is not how much: '-5%' "
            "| write 0.05, 5% or 5% of baseline"
        ),
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


def test_a_baseline_that_defaults_take_from_training_is_missed_at_the_model(tmp_path: Path) -> None:
    defaults = "defaults: {performance: {mae: {baseline: from_training}}}\n"
    with pytest.raises(ProblemsError) as raised:
        read(tmp_path, defaults + with_model("training: {metrics: {r2: 0.3}}"))
    [found] = raised.value.problems
    assert (found.line, found.path) == (3, "models[0].training.metrics")
    assert found.message == ("lack mae, from which defaults.performance takes the baseline of a 1")
    assert found.suggestion == "add training: {metrics: {mae: 0.9}}"
