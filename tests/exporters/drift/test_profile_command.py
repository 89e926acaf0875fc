"""`python -m exporters.drift profile`: what it writes and what it refuses."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from contract.profile import CategoryBins, NumericBins, Profile, read_profile
from exporters.drift.__main__ import main

MODELS = """\
models:
  - {name: fraud, version: "2", task: binary_classification, profile: ref/fraud.json}
  - {name: price, version: "1", task: regression}
"""
HEADER = "age,city,vip,p,conf,y\n"
ROWS = "31,Rome,True,1,0.9,1\n,Oslo,False,0,0.8,0\n25,,True,1,0.7,1\n"
OUTPUTS = ["--prediction", "p", "--confidence", "conf", "--label", "y"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("models.yaml").write_text(MODELS)
    Path("train.csv").write_text(HEADER + ROWS)
    return tmp_path


def _profile(*extra: str, model: str = "fraud", data: str = "train.csv") -> int:
    return main(["profile", "--data", data, "--model", model, *extra])


def _written(path: str = "ref/fraud.json") -> Profile:
    return read_profile(Path(path))


def test_the_profile_goes_where_models_yaml_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _profile(*OUTPUTS) == 0
    assert capsys.readouterr().out == "wrote ref/fraud.json: 3 features, 3 rows\n"
    profile = _written()
    assert (profile.model_name, profile.model_version) == ("fraud", "2")
    assert list(profile.features) == ["age", "city", "vip"]


def test_numbers_text_booleans_and_missing_values_are_told_apart(folder: Path) -> None:
    assert _profile(*OUTPUTS) == 0
    age, city, vip = _written().features.values()
    assert isinstance(age, NumericBins)
    assert (sum(age.counts), age.missing) == (2, 1)
    assert city == CategoryBins(categories=("Oslo", "Rome"), counts=(1, 1, 0), missing=1)
    assert vip == CategoryBins(categories=("false", "true"), counts=(1, 2, 0))


def test_a_classifiers_numeric_prediction_is_a_category(folder: Path) -> None:
    assert _profile(*OUTPUTS) == 0
    assert _written().prediction == CategoryBins(categories=("0", "1"), counts=(1, 2, 0))


def test_a_regressions_prediction_is_a_number(folder: Path) -> None:
    assert _profile("--prediction", "p", "--exclude", "y", "--out", "a.json", model="price") == 0
    assert isinstance(_written("a.json").prediction, NumericBins)


def test_a_column_of_codes_can_be_made_a_category(folder: Path) -> None:
    assert _profile(*OUTPUTS, "--category", "age") == 0
    assert _written().features["age"] == CategoryBins(
        categories=("25", "31"), counts=(1, 1, 0), missing=1
    )


def test_without_models_yaml_any_name_will_do(folder: Path) -> None:
    Path("models.yaml").unlink()
    assert _profile("--version", "7", model="other") == 0
    assert _written("profiles/other.json").model_version == "7"


def test_parquet_gives_the_profile_that_csv_gives(folder: Path) -> None:
    pa = import_module("pyarrow")
    parquet = import_module("pyarrow.parquet")
    columns = {
        "age": [31.0, None, 25.0],
        "city": ["Rome", "Oslo", None],
        "vip": [True, False, True],
        "p": [1, 0, 1],
        "conf": [0.9, 0.8, 0.7],
        "y": [1, 0, 1],
    }
    parquet.write_table(pa.table(columns), "train.parquet")
    assert _profile(*OUTPUTS, "--out", "csv.json") == 0
    assert _profile(*OUTPUTS, "--out", "parquet.json", data="train.parquet") == 0
    assert Path("parquet.json").read_text() == Path("csv.json").read_text()


REFUSED = {
    "a misspelt model is suggested": (
        {},
        ["--model", "frod"],
        "models.yaml: no model is called frod; did you mean fraud?",
    ),
    "an unknown version lists the known": (
        {},
        ["--version", "9"],
        "models.yaml: fraud has no version 9; it has 2",
    ),
    "a short row": (
        {"train.csv": HEADER + "1,Rome\n"},
        [],
        "train.csv:2: has 2 columns, the header has 6",
    ),
    "a quote that never ends": (
        {"train.csv": HEADER + '1,"Rome,True,1,0.9,1\n'},
        [],
        "train.csv:2: is not CSV: unexpected end of data",
    ),
    "a column that stands twice": (
        {"train.csv": "age,age\n1,2\n"},
        [],
        "train.csv:1: column 'age' stands twice",
    ),
    "an infinite value": (
        {"train.csv": "age,y\n1,0\n1e999,1\n"},
        [],
        "train.csv:3: column 'age': inf is not a finite number",
    ),
    "a confidence above 1": (
        {"train.csv": HEADER + ROWS + "4,Rome,True,1,1.5,0\n"},
        ["--confidence", "conf"],
        "train.csv:5: column 'conf': a confidence is from 0 to 1, got 1.5",
    ),
    "text as a regression's prediction": (
        {},
        ["--model", "price", "--prediction", "city"],
        "train.csv:2: column 'city': the model is a regression",
    ),
    "a column that is not there": (
        {},
        ["--label", "why"],
        "train.csv: no column 'why'; there are age, city, vip, p, conf, y",
    ),
    "a column without any value": (
        {"train.csv": "age,city\n1,\n2,\n"},
        [],
        "train.csv: column 'city' has no value in any row; leave it out",
    ),
    "a header alone": ({"train.csv": HEADER}, [], "train.csv: has no rows"),
    "an empty file": (
        {"train.csv": ""},
        [],
        "train.csv:1: is empty; the first line names the columns",
    ),
    "a file that is not there": (
        {},
        ["--data", "no.csv"],
        "no.csv: cannot be read: No such file or directory",
    ),
    "another format": ({}, ["--data", "a.xlsx"], "a.xlsx: is neither .csv nor .parquet"),
    "a parquet file that is none": (
        {"a.parquet": "age,city"},
        ["--data", "a.parquet"],
        "a.parquet: is not Parquet: ",
    ),
}


@pytest.mark.parametrize(("files", "arguments", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_at_its_place(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str],
    arguments: list[str],
    message: str,
) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    assert _profile(*arguments) == 2
    assert capsys.readouterr().err.startswith(message)
    assert not Path("ref").exists()


LOG = (
    "prediction_id,model_version,timestamp,status,prediction,confidence,label,label_timestamp,"
    "age,city,feature_status\n"
)
LOGGED = (
    "a,2,2026-10-01T00:00:00Z,success,1,0.9,1,2026-10-02T00:00:00Z,31,Rome,new\n"
    "b,2,2026-10-01T00:00:01Z,success,0,0.8,,,25,Oslo,old\n"
    "c,2,2026-10-01T00:00:02Z,error,,,,,99,Bonn,old\n"
    "d,1,2026-10-01T00:00:03Z,success,1,0.7,,,98,Bern,old\n"
)


def test_an_export_of_the_prediction_log_needs_no_names_of_columns(folder: Path) -> None:
    Path("log.csv").write_text(LOG + LOGGED)
    assert _profile("--logged", data="log.csv") == 0
    profile = _written()
    assert list(profile.features) == ["age", "city", "status"]
    assert profile.rows == 2
    assert profile.features["city"] == CategoryBins(categories=("Oslo", "Rome"), counts=(1, 1, 0))
    assert profile.prediction == CategoryBins(categories=("0", "1"), counts=(1, 1, 0))
    assert profile.confidence is not None
    assert sum(profile.confidence.counts) == 2


def test_a_log_without_labels_and_confidences_is_a_reference_too(folder: Path) -> None:
    Path("log.csv").write_text(LOG + "a,2,t,success,1,,,,31,Rome,new\n")
    assert _profile("--logged", data="log.csv") == 0
    assert _written().confidence is None
    assert _written().calibration is None


NOT_LOGGED = {
    "other data": (HEADER + ROWS, "train.csv: is no export of the prediction log: no column "),
    "only errors": (
        LOG + "c,2,t,error,,,,,99,Bonn,x\n",
        "has no successful prediction of version 2",
    ),
    "only another version": (LOG + "c,3,t,success,1,,,,99,Bonn,x\n", "prediction of version 2"),
    "a feature that hides an output": (
        LOG.replace("feature_status", "feature_label") + "c,2,t,success,1,,1,,99,Bonn,x\n",
        "feature label is called like a column of the log; --exclude feature_label",
    ),
}


@pytest.mark.parametrize(("text", "message"), NOT_LOGGED.values(), ids=NOT_LOGGED.keys())
def test_what_is_no_export_is_refused(
    folder: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.csv").write_text(text)
    assert _profile("--logged") == 2
    assert message in capsys.readouterr().err
