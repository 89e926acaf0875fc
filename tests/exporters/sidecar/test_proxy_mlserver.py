"""The proxy in front of a real MLServer, which knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sklearn.datasets import load_iris

from contract.profile import build_profile, write_profile
from tests.exporters.sidecar.mlserver import serving_iris
from tests.exporters.sidecar.serving import Sidecar, running_sidecar
from tests.processes import Running, eventually, free_port

# Making MLServer's environment takes a minute or two, once.
pytestmark = pytest.mark.timeout(600)

SPEC = """\
models:
  - name: iris
    version: "1"
    task: multiclass_classification
    profile: profiles/iris.json
    serving: {{upstream: "{upstream}", proxy: "127.0.0.1:{port}", probe_interval: 200ms}}
"""

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


SUCCESS = 'ml_inference_requests_total{model_name="iris",model_version="1",status="success"}'


class Served:
    """MLServer, a sidecar beside it, and the address of the proxy between."""

    def __init__(self, direct: str, proxy: str, sidecar: Sidecar, server: Running) -> None:
        self.direct, self.proxy, self.sidecar, self.server = direct, proxy, sidecar, server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mlserver")
    data = load_iris()
    columns: dict[str, Any] = {
        name: data.data[:, place].tolist() for place, name in enumerate(data.feature_names)
    }
    columns["class"] = [str(value) for value in data.target]
    profile = build_profile(columns, model_name="iris", prediction="class")
    write_profile(profile, folder / "profiles/iris.json")
    with serving_iris(folder) as (url, server):
        port = free_port()
        spec = folder / "models.yaml"
        spec.write_text(SPEC.format(upstream=url, port=port))
        with running_sidecar(spec, options=["--data-dir", str(folder / "data")]) as sidecar:
            found = Served(url, f"http://127.0.0.1:{port}", sidecar, server)
            eventually(lambda: sidecar.client.get(f"{found.proxy}/v2/health/live").is_success)
            yield found


def infer(served: Served, url: str, rows: list[list[float]], **more: Any) -> httpx.Response:
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    body = {"id": "irises", "inputs": [tensor], "outputs": outputs, **more}
    return served.sidecar.client.post(url, json=body)


def test_clients_see_what_they_would_see_without_the_proxy(served: Served) -> None:
    path = "/v2/models/iris/infer"
    direct, proxied = (infer(served, url + path, ROWS) for url in (served.direct, served.proxy))
    assert direct.status_code == proxied.status_code == 200
    assert own_headers(direct) == own_headers(proxied)
    assert direct.content == proxied.content
    eventually(lambda: served.sidecar.samples()[SUCCESS] == len(ROWS), says="the proxied ones")


def own_headers(answer: httpx.Response) -> list[tuple[bytes, bytes]]:
    """The headers that two answers to the same request have in common."""
    return [(name, value) for name, value in answer.headers.raw if name != b"date"]


def test_every_row_is_counted_with_its_class_and_confidence(served: Served) -> None:
    with served.sidecar.changes() as changed:
        before = served.sidecar.samples()[SUCCESS]
        answer = infer(served, f"{served.proxy}/v2/models/iris/versions/1/infer", ROWS).json()
        eventually(lambda: served.sidecar.samples()[SUCCESS] == before + 2)
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs["predict"] == [0, 2]
    sure = max(outputs["predict_proba"][:3]) + max(outputs["predict_proba"][3:])
    assert changed['ml_inference_requests_total{status="success"}'] == 2
    assert changed["ml_inference_batch_size_sum"] == 2
    assert changed["ml_inference_latency_seconds_count"] == 1
    assert changed['ml_prediction_class_total{predicted_class="0"}'] == 1
    assert changed['ml_prediction_class_total{predicted_class="2"}'] == 1
    assert changed["ml_prediction_confidence_sum"] == pytest.approx(sure)
    assert changed['ml_feature_value_sum{feature_name="petal length (cm)"}'] == pytest.approx(6.6)


FAILURES = {
    "a shape that the model does not take": ({"rows": [[1.0, 2.0]]}, "error", 500),
    "a body that the protocol does not know": ({"rows": ROWS, "inputs": 7}, "rejected", 422),
}


@pytest.mark.parametrize(("sent", "status", "code"), FAILURES.values(), ids=FAILURES)
def test_failures_are_counted_by_whose_they_are(
    served: Served, sent: dict[str, Any], status: str, code: int
) -> None:
    name = f'ml_inference_requests_total{{model_name="iris",model_version="1",status="{status}"}}'
    before = served.sidecar.samples()[name]
    answer = infer(served, f"{served.proxy}/v2/models/iris/infer", **sent)
    assert answer.status_code == code
    eventually(lambda: served.sidecar.samples()[name] == before + 1)


def test_the_models_health_is_probed_until_it_is_gone(served: Served) -> None:
    labels = '{model_name="iris",model_version="1"}'
    loaded, failures = "ml_model_loaded" + labels, "ml_upstream_probe_failures_total" + labels
    eventually(lambda: served.sidecar.samples()[loaded] == 1)
    served.server.stop()
    eventually(lambda: served.sidecar.samples()[loaded] == 0)
    assert served.sidecar.samples()[failures] > 0
    answer = infer(served, f"{served.proxy}/v2/models/iris/infer", ROWS)
    assert answer.status_code == 502
    assert "cannot be reached" in answer.json()["error"]
