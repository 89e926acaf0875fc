"""A sidecar that really runs, with profiles of made-up data, and what its counters changed by."""

from __future__ import annotations

import random
import re
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from contract.profile import Profile, build_profile, write_profile
from tests.processes import Running, eventually, free_port, running

__all__ = [
    "CLASSES",
    "MODELS",
    "Sidecar",
    "classifier_profile",
    "regressor_profile",
    "running_sidecar",
    "serving",
    "write_spec",
]

CLASSES = ("ham", "spam")

MODELS = """\
models:
  - name: mail
    version: "1"
    task: binary_classification
    framework: scikit-learn
    trained_at: 2026-10-01
    profile: profiles/mail.json
    slo: {latency: [{threshold: 123ms, target: 99%}, {threshold: 250ms, target: 50%}]}
    ranges: {length: {min: 0, max: 1000}}
    business: [{name: ctr, numerator: click, denominator: impression}]
    metrics:
      - {name: cache_entries, type: gauge, help: Entries of the cache.}
      - {name: retries, type: counter, help: Retries by cause., labels: {cause: [timeout, reset]}}
  - name: mail
    version: "2"
    task: binary_classification
    profile: profiles/mail.json
    artifact: {sha256: abababababababababababababababababababababababababababababababab}
  - name: price
    version: "7"
    task: regression
    profile: profiles/price.json
  - name: plain
    version: "1"
    task: multiclass_classification
  - name: plain-number
    version: "1"
    task: regression
"""


def classifier_profile() -> Profile:
    """Numbers `length` and `links`, categories `sender` (de, fr, it) and `reply` (true, false)."""
    made = random.Random(1)
    rows = range(500)
    return build_profile(
        {
            "length": [round(made.lognormvariate(3, 1), 2) for _ in rows],
            "links": [made.randrange(20) for _ in rows],
            "sender": [made.choice(("de", "fr", "it")) for _ in rows],
            "reply": [made.random() < 0.5 for _ in rows],
            "class": [made.choice(CLASSES) for _ in rows],
            "confidence": [made.random() for _ in rows],
        },
        model_name="mail",
        prediction="class",
        confidence="confidence",
    )


def regressor_profile() -> Profile:
    """One number, `area`, and numeric predictions."""
    made = random.Random(2)
    area = [made.uniform(20, 200) for _ in range(500)]
    return build_profile(
        {"area": area, "price": [10 * value for value in area]},
        model_name="price",
        prediction="price",
    )


def write_spec(folder: Path, models: str = MODELS) -> Path:
    """Write models.yaml and its profiles."""
    write_profile(classifier_profile(), folder / "profiles/mail.json")
    write_profile(regressor_profile(), folder / "profiles/price.json")
    path = folder / "models.yaml"
    path.write_text(models)
    return path


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running sidecar."""

    url: str
    client: httpx.Client
    process: Running

    def post(self, path: str, content: Any, kind: str = "application/json") -> httpx.Response:
        """Send JSON data, or bytes and text as they are."""
        headers = {"Content-Type": kind}
        if isinstance(content, bytes | str):
            return self.client.post(self.url + path, content=content, headers=headers)
        return self.client.post(self.url + path, json=content, headers=headers)

    def predict(self, content: Any, kind: str = "application/json") -> httpx.Response:
        """Send prediction events."""
        return self.post("/v1/predictions", content, kind)

    def label(self, content: Any) -> httpx.Response:
        """Send labels."""
        return self.post("/v1/labels", content)

    def status(self) -> dict[str, Any]:
        """The status as a program reads it."""
        found: dict[str, Any] = self.client.get(self.url + "/v1/status").json()
        return found

    def samples(self) -> dict[str, float]:
        """Every sample of the sidecar's own work, not of the last collection, by its line."""
        text = self.client.get(self.url + "/metrics").text
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("ml_"))
        return {
            name: float(value)
            for name, _, value in lines
            if "ml_exporter_" not in name and "ml_sidecar_log_" not in name
        }

    @contextmanager
    def changes(self) -> Iterator[dict[str, float]]:
        """By how much samples change in the block: `name{label="value"}` without zeros.

        The labels of the model are left out. Of a histogram's buckets +Inf stands as its count.
        """
        before = self.samples()
        changed: dict[str, float] = {}
        yield changed
        after = self.samples()
        appeared = {line for line in before.keys() ^ after.keys() if not COMES_AND_GOES.match(line)}
        assert not appeared, "every series exists from the start"
        for line, value in after.items():
            name = short(line)
            if name is not None and value != before.get(line, 0):
                changed[name] = round(value - before.get(line, 0), 9)


COMES_AND_GOES = re.compile(r"\w+_(sum|count)\{|ml_unregistered_version_")
"""Sums, and counts with them, are left out as soon as they are negative; nobody knows the versions
that nobody registered."""

_MODEL = re.compile(r'model_name="[^"]*",model_version="[^"]*",?')


def short(line: str) -> str | None:
    """The name of a sample as `changes` gives it; None where it does not."""
    name, _, labels = line.partition("{")
    if name.endswith("_count") or (name.endswith("_bucket") and 'le="+Inf"' not in line):
        return None
    if name.endswith("_bucket"):
        name = name.removesuffix("_bucket") + "_count"
        labels = labels.replace(',le="+Inf"', "").replace('le="+Inf"', "")
    labels = _MODEL.sub("", labels).removesuffix("}")
    return f"{name}{{{labels}}}" if labels else name


@contextmanager
def running_sidecar(
    spec: Path, *, options: Sequence[str] = (), tls: ssl.SSLContext | None = None
) -> Iterator[Sidecar]:
    """Start a sidecar of a models.yaml; it must stop with exit status 0. `tls` trusts it."""
    listen = f"127.0.0.1:{free_port()}"
    url = f"https://{listen}" if tls else f"http://{listen}"
    command = [sys.executable, "-m", "exporters.sidecar", "serve", "--models", str(spec)]
    with (
        tempfile.TemporaryDirectory(prefix="sidecar-") as data,
        running(
            [*command, "--listen", listen, "--data-dir", data, *options],
            ready_url=None if tls else f"{url}/readyz",
            exits_with=0,
        ) as process,
        httpx.Client(trust_env=False, timeout=10, verify=tls or True) as client,
    ):
        if tls:
            eventually(lambda: client.get(f"{url}/readyz").status_code == 200)
        yield Sidecar(url, client, process)


@contextmanager
def serving(folder: Path, *, options: Sequence[str] = ()) -> Iterator[Sidecar]:
    """Start a sidecar of MODELS, written into a folder."""
    with running_sidecar(write_spec(folder), options=options) as sidecar:
        yield sidecar


def model_of(lines: Iterable[str], name: str) -> list[str]:
    """The models that a metric has series of, each once, as `name version`."""
    labels = (line.partition("{")[2] for line in lines if line.startswith(name + "{"))
    found = (re.match(r'model_name="([^"]*)",model_version="([^"]*)"', own) for own in labels)
    return sorted({f"{own[1]} {own[2]}" for own in found if own})
