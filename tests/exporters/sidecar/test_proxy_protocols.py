"""What is counted of an inference that the proxy forwarded, protocol by protocol."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.exporters.sidecar.upstream import OK, Proxied, exchange, proxied, upstream
from tests.processes import eventually, free_port


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with upstream() as server, proxied(tmp_path_factory.mktemp("p"), free_port(), server) as found:
        yield found


@pytest.fixture
def proxy(running: Proxied) -> Proxied:
    running.server.received.clear()
    running.server.answer = OK
    return running


@dataclass(frozen=True)
class Said:
    """A request to a path, the answer to it, and what is counted of both."""

    path: str
    request: Any
    answer: Any
    counted: dict[str, float]
    headers: dict[str, str] = field(default_factory=dict)
    answer_headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def message(start: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def count(proxy: Proxied, said: Said) -> dict[str, float]:
    """What changed, without latencies and the proxy's own numbers."""
    proxy.server.answer = message(
        f"HTTP/1.1 {said.status} X",
        {"Content-Type": "application/json"} | said.answer_headers,
        as_bytes(said.answer),
    )
    headers = {"Host": "a", "Content-Type": "application/json"} | said.headers
    with proxy.sidecar.changes() as changed:
        total = requests(proxy)
        sent = message(f"POST {said.path} HTTP/1.1", headers, as_bytes(said.request))
        assert exchange(proxy, sent) == proxy.server.answer
        eventually(lambda: requests(proxy) > total)
    kept = ("ml_inference_requests_total", "ml_inference_batch_size", "ml_feature", "ml_prediction",
            "ml_proxy_unread", "ml_sidecar_rejected")  # fmt: skip
    return {name: value for name, value in changed.items() if name.startswith(kept)}


def requests(proxy: Proxied) -> float:
    found = proxy.sidecar.samples().items()
    names = ("ml_inference_requests_total", "ml_sidecar_rejected_total")
    return sum(value for name, value in found if name.startswith(names))


def tensor(name: str, shape: list[int], datatype: str, data: Any = None, **more: Any) -> Any:
    made = {"name": name, "shape": shape, "datatype": datatype} | more
    return made if data is None else made | {"data": data}


def success(rows: int = 1, **more: float) -> dict[str, float]:
    return {
        'ml_inference_requests_total{status="success"}': rows,
        "ml_inference_batch_size_count": 1,
        "ml_inference_batch_size_sum": rows,
        **more,
    }


def numbers(**sums: float) -> dict[str, float]:
    """One value of each numeric feature; without one it is missing.

    Bins of `links` begin below 0, so it has no sum.
    """
    found = {}
    for name in ("length", "links"):
        if name in sums:
            found[f'ml_feature_value_count{{feature_name="{name}"}}'] = 1.0
            if name == "length":
                found[f'ml_feature_value_sum{{feature_name="{name}"}}'] = sums[name]
        else:
            found[f'ml_feature_missing_total{{feature_name="{name}"}}'] = 1.0
    return found


NO_CATEGORIES = {
    'ml_feature_missing_total{feature_name="sender"}': 1.0,
    'ml_feature_missing_total{feature_name="reply"}': 1.0,
}
CATEGORIES = {
    'ml_feature_category_total{feature_name="sender",category="de"}': 1.0,
    'ml_feature_category_total{feature_name="reply",category="true"}': 1.0,
}
SPAM = {'ml_prediction_class_total{predicted_class="spam"}': 1.0}
SURE = {"ml_prediction_confidence_count": 1.0, "ml_prediction_confidence_sum": 0.75}
ALL = numbers(length=12.5, links=3) | CATEGORIES
MISSING = {
    f'ml_feature_missing_total{{feature_name="{name}"}}': 1.0
    for name in ("length", "links", "sender", "reply")
}

NAMED_INPUTS = [
    tensor("length", [1], "FP64", [12.5]),
    tensor("links", [1, 1], "INT64", [[3]]),
    tensor("sender", [1], "BYTES", ["de"]),
    tensor("reply", [1], "BOOL", [True]),
]
ROW = {"length": 12.5, "links": 3, "sender": "de", "reply": True}
LIST = [12.5, 3, "de", True]
COLUMNS = list(ROW)

BINARY_HEAD = json.dumps(
    {
        "inputs": [
            tensor("length", [1], "FP32", parameters={"binary_data_size": 4}),
            tensor("links", [1], "INT64", parameters={"binary_data_size": 8}),
            tensor("sender", [1], "BYTES", parameters={"binary_data_size": 6}),
            tensor("reply", [1], "BOOL", parameters={"binary_data_size": 1}),
        ]
    }
).encode()
BINARY = struct.pack("<fq", 12.5, 3) + b"\x02\x00\x00\x00de" + b"\x01"
BINARY_ANSWER = json.dumps(
    {"outputs": [tensor("proba", [1, 2], "FP32", parameters={"binary_data_size": 8})]}
).encode()

V2 = "/v2/models/mail/infer"
TABLE = {
    "V2: an input is a feature, an output the prediction": Said(
        V2, {"inputs": NAMED_INPUTS}, {"outputs": [tensor("predict", [1], "BYTES", ["spam"])]},
        success() | ALL | SPAM,
    ),
    "V2: a prediction and the probabilities of its classes": Said(
        "/v2/models/mail/versions/2/infer",
        {"inputs": NAMED_INPUTS},
        {"outputs": [
            tensor("predict_proba", [1, 2], "FP64", [0.25, 0.75]),
            tensor("predict", [1, 1], "BYTES", ["spam"]),
        ]},
        success() | ALL | SPAM | SURE,
    ),
    "V2: probabilities alone": Said(
        V2, {"inputs": NAMED_INPUTS}, {"outputs": [tensor("o", [1, 2], "FP64", [[0.25, 0.75]])]},
        success() | ALL | SPAM | SURE,
    ),
    "V2: the probability of a binary classifier's second class": Said(
        V2, {"inputs": NAMED_INPUTS}, {"outputs": [tensor("o", [1, 1], "FP32", [0.75])]},
        success() | ALL | SPAM | SURE,
    ),
    "V2: one wide input has the features in the profile's order": Said(
        V2, {"inputs": [tensor("x", [1, 4], "FP64", [12.5, 3, None, None])]}, {"outputs": []},
        success() | numbers(length=12.5, links=3) | NO_CATEGORIES,
    ),
    "V2: rows of a batch": Said(
        "/v2/models/price/infer",
        {"inputs": [tensor("area", [3, 1], "FP32", [[10], [20], [30]])]},
        {"outputs": [tensor("predict", [3], "FP32", [100, 200, 300])], "model_version": "7"},
        success(3) | {
            'ml_feature_value_count{feature_name="area"}': 3.0,
            'ml_feature_value_sum{feature_name="area"}': 60.0,
            "ml_prediction_value_count": 3.0,
            "ml_prediction_value_sum": 600.0,
        },
    ),
    "V2: binary tensors": Said(
        V2, BINARY_HEAD + BINARY, BINARY_ANSWER + struct.pack("<ff", 0.25, 0.75),
        success() | ALL | SPAM | SURE,
        headers={"Inference-Header-Content-Length": str(len(BINARY_HEAD)),
                 "Content-Type": "application/octet-stream"},
        answer_headers={"Inference-Header-Content-Length": str(len(BINARY_ANSWER)),
                        "Content-Type": "application/octet-stream"},
    ),
    "V2: a compressed request and answer": Said(
        V2, gzip.compress(as_bytes({"inputs": NAMED_INPUTS})),
        gzip.compress(as_bytes({"outputs": [tensor("predict", [1], "BYTES", ["spam"])]})),
        success() | ALL | SPAM,
        headers={"Content-Encoding": "gzip"}, answer_headers={"Content-Encoding": "gzip"},
    ),
    "V2: a compression that is not read": Said(
        V2, b"\x1b\x00", {"outputs": [tensor("predict", [1], "BYTES", ["spam"])]},
        success() | SPAM | {'ml_proxy_unread_total{reason="encoding"}': 1.0},
        headers={"Content-Encoding": "br"},
    ),
    "V2: shapes that are not what they say": Said(
        V2, {"inputs": [tensor("length", [7], "FP64", [1])]}, {"outputs": 5},
        success() | {'ml_proxy_unread_total{reason="body"}': 2.0},
    ),
    "V2: the server's error": Said(
        V2, {"inputs": NAMED_INPUTS}, {"error": "no"},
        {'ml_inference_requests_total{status="error"}': 1.0,
         "ml_inference_batch_size_count": 1, "ml_inference_batch_size_sum": 1} | ALL,
        status=500,
    ),
    "V2: a request that the server refuses": Said(
        V2, b"{nonsense", {"error": "no"},
        {'ml_inference_requests_total{status="rejected"}': 1.0,
         "ml_inference_batch_size_count": 1, "ml_inference_batch_size_sum": 1},
        status=422,
    ),
    "V2: a model that models.yaml does not know": Said(
        "/v2/models/other/infer", {"inputs": []}, {"outputs": []},
        {'ml_sidecar_rejected_total{reason="model"}': 1.0},
    ),
    "V2: a version that models.yaml does not know": Said(
        "/v2/models/mail/versions/9/infer", {"inputs": []}, {"outputs": []},
        {'ml_sidecar_rejected_total{reason="model"}': 1.0},
    ),
    "TensorFlow: rows by name": Said(
        "/v1/models/mail:predict", {"instances": [ROW]}, {"predictions": ["spam"]},
        success() | ALL | SPAM,
    ),
    "TensorFlow: rows without names, of a version, and probabilities": Said(
        "/v1/models/mail/versions/1:predict", {"signature_name": "s", "instances": [LIST]},
        {"predictions": [[0.25, 0.75]]}, success() | ALL | SPAM | SURE,
    ),
    "TensorFlow: columns": Said(
        "/v1/models/mail:predict",
        {"inputs": {name: [value] for name, value in ROW.items()}},
        {"outputs": {"classes": ["spam"], "scores": [[0.25, 0.75]]}},
        success() | ALL | SPAM | SURE,
    ),
    "TensorFlow: columns of one value each": Said(
        "/v1/models/mail:predict", {"inputs": {name: [[value]] for name, value in ROW.items()}},
        {"outputs": [[0.75]]}, success() | ALL | SPAM | SURE,
    ),
    "TensorFlow: several outputs a row": Said(
        "/v1/models/mail:predict", {"instances": [ROW]},
        {"predictions": [{"label": "spam", "score": 0.75}]}, success() | ALL | SPAM | SURE,
    ),
    "a path of models.yaml": Said(
        "/score/mail", {"input": ROW}, {"output": {"class": "spam", "sure": 0.75}, "id": "i1"},
        success() | ALL | SPAM | SURE,
    ),
    "a path of models.yaml with rows": Said(
        "/batch/mail", {"rows": [{"x": ROW}]}, {"answers": [{"y": "spam"}]},
        success() | ALL | SPAM,
    ),
    "a path of models.yaml whose body is another": Said(
        "/score/mail", {"in": ROW}, {"output": 3},
        success() | {'ml_proxy_unread_total{reason="body"}': 1.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", TABLE.values(), ids=TABLE)
def test_what_goes_by_is_counted(proxy: Proxied, said: Said) -> None:
    wanted = dict(said.counted)
    if 'ml_proxy_unread_total{reason="body"}' in wanted or "encoding" in str(wanted):
        assert {n: v for n, v in count(proxy, said).items() if "feature" not in n} == wanted
    else:
        assert count(proxy, said) == wanted


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """MLflow's path names no model, so there is one behind the proxy."""
    from tests.exporters.sidecar import upstream as parts

    with upstream() as server:
        folder = tmp_path_factory.mktemp("lone")
        head, _, _ = parts.PROXIED.partition('  - name: mail\n    version: "2"')
        with proxied(folder, free_port(), server, models=head) as found:
            yield found


MLFLOW = {
    "dataframe_split": {"dataframe_split": {"columns": COLUMNS, "data": [LIST]}},
    "dataframe_records": {"dataframe_records": [ROW]},
    "instances": {"instances": [LIST]},
    "inputs": {"inputs": {name: [value] for name, value in ROW.items()}},
}


@pytest.mark.parametrize("request_", MLFLOW.values(), ids=MLFLOW)
def test_invocations_of_mlflow_are_counted(lone: Proxied, request_: Any) -> None:
    said = Said("/invocations", request_, {"predictions": ["spam"]}, {})
    assert count(lone, said) == success() | ALL | SPAM


def test_a_table_as_csv_is_counted(lone: Proxied) -> None:
    body = b"length,links,sender,reply\n12.5,3,de,true\n7.5,1,,\n"
    said = Said("/invocations", body, ["spam", "spam"], {}, headers={"Content-Type": "text/csv"})
    counted = count(lone, said)
    assert counted['ml_feature_value_sum{feature_name="length"}'] == 20
    assert counted['ml_feature_missing_total{feature_name="sender"}'] == 1
    assert counted['ml_prediction_class_total{predicted_class="spam"}'] == 2


def test_a_label_finds_the_prediction_by_the_request_id(proxy: Proxied) -> None:
    said = Said(
        V2, {"inputs": NAMED_INPUTS}, {"outputs": [tensor("predict", [1], "BYTES", ["spam"])]}, {},
        headers={"X-Request-Id": "order-7"},
    )  # fmt: skip
    count(proxy, said)
    with proxy.sidecar.changes() as changed:
        label = {"model_name": "mail", "prediction_id": "order-7", "actual": "ham"}
        assert proxy.sidecar.label(label).status_code == 200
    assert changed['ml_labels_total{result="matched"}'] == 1
    assert changed['ml_outcomes_total{predicted_class="spam",actual_class="ham"}'] == 1


def test_labels_find_the_rows_of_a_batch_by_their_places(proxy: Proxied) -> None:
    said = Said(
        "/v2/models/price/infer",
        {"id": "b", "inputs": [tensor("area", [2], "FP32", [10, 20])]},
        {"outputs": [tensor("predict", [2], "FP32", [100, 200])]},
        {},
    )
    count(proxy, said)
    with proxy.sidecar.changes() as changed:
        label = {"model_name": "price", "prediction_id": "b-1", "actual": 210}
        assert proxy.sidecar.label(label).status_code == 200
    assert changed["ml_absolute_error_total"] == 10


def test_calls_that_all_have_the_same_id_count_each(proxy: Proxied) -> None:
    said = Said(
        V2,
        {"id": "always", "inputs": NAMED_INPUTS},
        {"outputs": [tensor("predict", [1], "BYTES", ["spam"])]},
        {},
    )
    for _ in range(3):
        assert count(proxy, said) == success() | ALL | SPAM
