"""Versions in traffic that models.yaml does not have: counted, told apart to a bound, and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exporters.expose import render
from exporters.sidecar.unregistered import MAX_VERSIONS, Unregistered
from tests.exporters.sidecar.serving import MODELS, Sidecar, serving, write_spec
from tests.processes import eventually

SERIES = "ml_unregistered_version_events_total"


def counts(sidecar: Sidecar, name: str) -> dict[str, float]:
    """Refused events of a model by their version; all under the version that is registered."""
    start = f'{SERIES}{{model_name="{name}",model_version="'
    found = {key: value for key, value in sidecar.samples().items() if key.startswith(start)}
    return {key.split('"')[5]: value for key, value in found.items()}


def event(version: str | None, **fields: Any) -> dict[str, Any]:
    return {"model_name": "price", "model_version": version, "prediction": 1.5, **fields}


def test_events_of_an_unknown_version_are_refused_counted_and_named(tmp_path: Path) -> None:
    with serving(tmp_path) as sidecar:
        assert counts(sidecar, "price") == {"other": 0}, "known before there are any"
        answer = sidecar.predict([event("9"), event("7"), event("9"), event(None)]).json()
        assert (answer["accepted"], answer["rejected"]) == (2, 2)
        assert counts(sidecar, "price") == {"other": 0, "9": 2}
        assert [key for key in sidecar.samples() if 'unregistered_version="9"' in key] == [
            f'{SERIES}{{model_name="price",model_version="7",unregistered_version="9"}}'
        ]
        (told,) = sidecar.status()["unregistered_versions"]
        assert (told["model_name"], told["model_version"], told["events"]) == ("price", "9", 2)
        assert told["first_event"] <= told["last_event"]
        page = sidecar.client.get(f"{sidecar.url}/v1/status", headers={"Accept": "text/html"})
        assert "<td>price</td><td>9</td><td>2</td>" in page.text
        assert sidecar.process.output.count("unregistered_version") == 1


def test_what_models_yaml_has_meanwhile_is_unregistered_no_more(tmp_path: Path) -> None:
    with serving(tmp_path) as sidecar:
        sidecar.predict(event("8"))
        assert counts(sidecar, "price") == {"other": 0, "8": 1}
        more = '  - {name: price, version: "8", task: regression, profile: profiles/price.json}\n'
        write_spec(tmp_path, MODELS + more)
        eventually(lambda: sidecar.predict(event("8")).status_code == 200)
        assert set(counts(sidecar, "price")) == {"other"}
        assert sidecar.status()["unregistered_versions"] == []


def test_labels_of_versions_that_are_gone_are_no_traffic(sidecar: Sidecar) -> None:
    label = {"model_name": "plain", "model_version": "0", "prediction_id": "a", "actual": "x"}
    assert sidecar.post("/v1/labels", label).status_code == 404
    assert counts(sidecar, "plain") == {"other": 0}


def test_names_of_models_that_nobody_knows_make_no_series(sidecar: Sidecar) -> None:
    assert sidecar.predict({"model_name": "nobody", "model_version": "1"}).status_code == 404
    assert not [key for key in sidecar.samples() if "nobody" in key]


def test_versions_without_end_fold_into_other() -> None:
    found = Unregistered()
    for number in range(MAX_VERSIONS + 5):
        found.take("mail", f"build-{number}", 1, 0.0)
    found.take("mail", "v" * 101, 1, 0.0)
    found.take("price", "1", 3, 0.0)
    text = render(found.families({"mail": "1", "price": "7"})).decode()
    lines = [line for line in text.splitlines() if line.startswith(SERIES)]
    assert len(lines) == MAX_VERSIONS + 1 + 2
    other = f'{SERIES}{{model_name="mail",model_version="1",unregistered_version="other"}} 6'
    assert other in lines
