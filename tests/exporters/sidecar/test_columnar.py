"""Events by column count, and are refused, just as the same events in rows."""

from __future__ import annotations

import io
import json
import math
from importlib import import_module
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporters.sidecar import columnar
from exporters.sidecar.arrow import ARROW
from exporters.sidecar.intake import Intake
from exporters.sidecar.web import Web
from exporters.sidecar.wire import Answer
from tests.exporters.sidecar.serving import Sidecar
from tests.exporters.sidecar.test_shape import counts_of, same, sidecar

JSON = "application/json"


def answered(intake: Intake, body: bytes, kind: str = JSON) -> tuple[int, dict[str, Any]]:
    direct = Web(intake).directs()["/v1/predictions"]
    answer = direct.answer(body, {b"content-type": kind.encode()})
    assert isinstance(answer, Answer)
    return answer.status, json.loads(answer.body)


def as_rows(document: dict[str, Any]) -> bytes:
    """The same events as a list; null is absent."""
    columns = dict(document["columns"])
    features = columns.pop("features", None)
    stages = columns.pop("stages", None)
    lists = [*columns.values(), *(features or {}).values(), *(stages or {}).values()]
    head = {key: document[key] for key in ("model_name", "model_version") if key in document}
    rows = []
    for place in range(len(lists[0])):
        row = head | {n: c[place] for n, c in columns.items() if c[place] is not None}
        for name, own in (("features", features), ("stages", stages)):
            if own is not None:
                row[name] = {n: c[place] for n, c in own.items() if c[place] is not None}
        rows.append(row)
    return json.dumps(rows).encode()


def assert_same(document: dict[str, Any]) -> None:
    by_column, by_row = sidecar(), sidecar()
    assert answered(by_column, json.dumps(document).encode()) == answered(by_row, as_rows(document))
    left, right = counts_of(by_column), counts_of(by_row)
    assert [key for key in right if not same(left[key], right[key])] == []


def column(values: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=size, max_size=size)


numbers = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
strange = numbers | st.sampled_from([None, True, "de", "fr", 1e200, 10**30, -1, "", "1"])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    size = draw(st.integers(1, 6))

    def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return column(values, size)

    features = st.fixed_dictionaries(
        {},
        optional={
            name: some(numbers) | some(strange)
            for name in ("length", "links", "sender", "reply", "weight", "new")
        },
    )
    columns = st.fixed_dictionaries(
        {"latency_seconds": some(st.floats(0, 20)) | some(strange)},
        optional={
            "features": features,
            "prediction": some(st.sampled_from(["ham", "spam", "eggs"]))
            | some(numbers)
            | some(st.sampled_from(["ham", 1, True, None, [0.5, 0.5]])),
            "confidence": some(st.floats(0, 1)) | some(st.sampled_from([0, 0.5, 2, None])),
            "status": some(st.sampled_from(["success", "error", "bad"])),
            "batch_size": some(st.integers(1, 99)) | some(st.sampled_from([1, 1.5, 0, 2.0])),
            "prediction_id": some(st.sampled_from(["a", "b", None])),
            "trace_id": some(st.sampled_from(["a", 1, None])),
            "stages": st.fixed_dictionaries({"inference": some(st.floats(0, 1))}),
            "unknown": some(strange),
        },
    )
    document = {"model_name": draw(st.sampled_from(["mail", "mail", "plain", "none"]))}
    if draw(st.booleans()):
        document["model_version"] = draw(st.sampled_from(["1", "3", "9"]))
    return {**document, "columns": draw(columns)}


@pytest.fixture(params=["simdjson", "msgspec"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "msgspec":
        monkeypatch.setattr(columnar, "simdjson", None)
    else:
        import_module("simdjson")
    return str(request.param)


@settings(max_examples=50)
@given(documents())
@example({"model_name": "mail", "columns": {"features": {"length": [1, None, True, "x"]}}})
@example({"model_name": "plain", "columns": {"prediction": [1, 2.5], "confidence": [1, 0]}})
@example({"model_name": "mail", "columns": {"confidence": [1, 0], "unknown": [1, None]}})
def test_columns_count_what_rows_count(document: dict[str, Any]) -> None:
    assert_same(document)


@pytest.mark.usefixtures("parser")
def test_both_parsers_read_columns() -> None:
    document = {
        "model_name": "mail",
        "columns": {
            "features": {"length": [3, 4.5, None], "sender": ["de", "xx", None]},
            "prediction": ["ham", "spam", "eggs"],
        },
    }
    intake = sidecar()
    assert answered(intake, json.dumps(document).encode())[0] == 200
    assert_same(document)


BAD = {
    "columns that are no object": ({"columns": [1]}, "columns that are no object"),
    "a column that is no list": ({"columns": {"prediction": 1}}, "'prediction' that is no list"),
    "features that are no object": ({"columns": {"features": 7}}, "'features' that is no list"),
    "columns of different lengths": (
        {"columns": {"prediction": ["a", "b"], "features": {"length": [1]}}},
        "different lengths: features.length has 1, prediction has 2",
    ),
    "no events": ({"columns": {"prediction": []}}, "holds no event"),
    "no columns": ({"columns": {}}, "holds no event"),
    "no model": ({"model_name": None, "columns": {"prediction": ["a"]}}, "no model_name"),
    "a version that is a number": (
        {"model_version": 1, "columns": {"prediction": ["a"]}},
        "a model_version that is no text",
    ),
    "too many events": ({"columns": {"confidence": [1] * 20_001}}, "holds 20001 events"),
    "too many columns": (
        {"columns": {"features": {str(place): [1] for place in range(1001)}}},
        "1001 features",
    ),
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_a_table_that_is_none_is_refused(body: dict[str, Any], message: str) -> None:
    intake = sidecar()
    status, said = answered(intake, json.dumps({"model_name": "mail"} | body).encode())
    assert status == (413 if "20001" in message else 400)
    assert message in said["errors"][0]["message"]
    assert intake.accepted == 0


def test_an_event_with_that_word_in_it_is_an_event() -> None:
    intake = sidecar()
    body = b'{"model_name": "mail", "metadata": {"columns": [1]}}'
    assert answered(intake, body) == (200, {"accepted": 1, "rejected": 0, "errors": []})


def test_a_bad_row_is_refused_by_its_place_and_the_others_count() -> None:
    document = {
        "model_name": "mail",
        "columns": {"confidence": [0.5, 7, 1], "features": {"length": [1, 2, [3]]}},
    }
    status, said = answered(sidecar(), json.dumps(document).encode())
    assert (status, said["accepted"], said["rejected"]) == (200, 1, 2)
    assert [(e["index"], e["field"]) for e in said["errors"]] == [
        (1, "confidence"),
        (2, "features.length"),
    ]


NESTED = {
    "a list after a number": ([1, [2]], [1]),
    "a list before a number": ([[1], 2], [0]),
    "an empty list": ([1, []], [1]),
    "lists alone": ([[1], [2]], [0, 1]),
    "an object": ([1, {"a": 2}], [1]),
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("values", "refused"), NESTED.values(), ids=NESTED)
def test_a_list_in_a_column_of_numbers_is_no_number(values: list[Any], refused: list[int]) -> None:
    document = {"model_name": "mail", "columns": {"features": {"length": values}}}
    _, said = answered(sidecar(), json.dumps(document).encode())
    assert [error["index"] for error in said["errors"]] == refused
    assert_same(document)


def test_a_name_that_is_there_twice_hides_no_list() -> None:
    body = b'{"model_name":"mail","columns":{"features":{"length":[1,[2]],"length":7}}}'
    status, said = answered(sidecar(), body)
    assert (status, said["accepted"]) != (200, 2)


def test_texts_may_look_like_lists() -> None:
    document = {
        "model_name": "mail",
        "columns": {"features": {"length": [1, 2.5], "sender": ["[[", "]"]}},
    }
    assert answered(sidecar(), json.dumps(document).encode())[1]["accepted"] == 2
    assert_same(document)


def stream(table: pa.Table, name: str | None = "mail") -> bytes:
    if name is not None:
        table = table.replace_schema_metadata({"model_name": name, "model_version": "1"})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


ARROW_TABLES = {
    "features as a struct": {
        "features": pa.array([{"length": 1.0, "sender": "de"}, {"length": None}, None]),
    },
    "features as columns": {
        "features.length": pa.array([1, None, None], pa.int32()),
        "features.sender": pa.array(["de", None, None]),
    },
    "texts that repeat, and large ones": {
        "features.length": pa.array([1, None, None], pa.uint8()),
        "features.sender": pa.array(["de", None, None], pa.large_string()),
    },
    "dictionaries and half precision": {
        "features.length": pa.array([1.0, math.nan, None], pa.float32()),
        "features.sender": pa.array(["de", None, None]).dictionary_encode(),
    },
}


@pytest.mark.parametrize("columns", ARROW_TABLES.values(), ids=ARROW_TABLES)
def test_arrow_counts_what_rows_count(columns: dict[str, Any]) -> None:
    more = {"prediction": ["ham", "spam", "ham"], "confidence": [0.5, 1.0, None]}
    by_column, by_row = sidecar(), sidecar()
    assert answered(by_column, stream(pa.table({**columns, **more})), ARROW)[0] == 200
    rows: list[dict[str, Any]] = [
        {"features": {"length": 1, "sender": "de"}, "prediction": "ham", "confidence": 0.5},
        {"features": {}, "prediction": "spam", "confidence": 1},
        {"features": {}, "prediction": "ham"},
    ]
    body = [{"model_name": "mail", "model_version": "1", **row} for row in rows]
    assert answered(by_row, json.dumps(body).encode())[0] == 200
    left, right = counts_of(by_column), counts_of(by_row)
    assert [key for key in right if not same(left[key], right[key])] == []


BAD_STREAMS = {
    "no Arrow": (b"abc", "is no Arrow stream"),
    "half of it": (stream(pa.table({"prediction": ["a"] * 9}))[:400], "is no Arrow stream"),
    "no model": (stream(pa.table({"prediction": ["a"]}), None), "no model_name in the metadata"),
    "a model's name that is no text": (
        stream(pa.table({"prediction": ["a"]})).replace(b"mail", b"\x90ail"),
        "is no Arrow stream: 'utf-8' codec",
    ),
    "a column's name that is no text": (
        stream(pa.table({"prediction": ["a"]})).replace(b"prediction", b"\x90rediction"),
        "is no Arrow stream: 'utf-8' codec",
    ),
    "a text that is no text": (
        stream(pa.table({"prediction": ["abcdef"]})).replace(b"abcdef", b"abc\x90ef"),
        "is no Arrow stream: ",
    ),
    "no rows": (stream(pa.table({"prediction": pa.array([], pa.string())})), "holds no event"),
}


@pytest.mark.parametrize(("body", "message"), BAD_STREAMS.values(), ids=BAD_STREAMS)
def test_a_bad_stream_is_refused(body: bytes, message: str) -> None:
    status, said = answered(sidecar(), body, ARROW)
    assert status == 400
    assert message in said["errors"][0]["message"]


@settings(max_examples=50)
@given(st.binary(max_size=300), st.integers(0, 2000))
def test_no_bytes_break_the_reading_of_arrow(noise: bytes, place: int) -> None:
    good = stream(pa.table({"prediction": ["ham", "spam"], "features.length": [1.0, 2.0]}))
    for body in (noise, good[:place] + noise + good[place + len(noise) :]):
        status, _ = answered(sidecar(), body, ARROW)
        assert status in {200, 400, 404, 413}


def test_without_pyarrow_the_answer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    status, said = answered(sidecar(), b"anything", ARROW)
    assert status == 415
    assert "pip install 'ml-observability[parquet]'" in said["errors"][0]["message"]


def test_columns_are_taken_over_http_with_ids_and_labels(sidecar: Sidecar) -> None:
    document = {
        "model_name": "mail",
        "model_version": "1",
        "columns": {
            "prediction_id": ["col-1", "col-2"],
            "prediction": ["ham", "spam"],
            "features": {"length": [1, 2]},
        },
    }
    assert sidecar.post("/v1/predictions", json.dumps(document)).json()["accepted"] == 2
    label = {"model_name": "mail", "prediction_id": "col-2", "actual": "spam"}
    assert sidecar.post("/v1/labels", json.dumps(label)).json()["accepted"] == 1


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["de", "fr", "xx", "", "other", None]),
            st.sampled_from(["ham", "spam", "eggs", None]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_texts_of_arrow_count_what_rows_count(found: list[tuple[str | None, str | None]]) -> None:
    senders, predictions = ([row[place] for row in found] for place in (0, 1))
    by_column, by_row = sidecar(), sidecar()
    texts = {"features.sender": pa.array(senders, pa.string())}
    body = stream(pa.table({**texts, "prediction": pa.array(predictions, pa.string())}))
    assert answered(by_column, body, ARROW)[0] == 200
    rows = [
        {"model_name": "mail", "model_version": "1", "features": {"sender": sender}}
        | ({} if prediction is None else {"prediction": prediction})
        for sender, prediction in found
    ]
    assert answered(by_row, json.dumps(rows).encode())[0] == 200
    left, right = counts_of(by_column), counts_of(by_row)
    assert [key for key in right if not same(left[key], right[key])] == []
