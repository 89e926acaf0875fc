"""Parts of the drift collector's tests: models, profiles, and sidecars that count for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from contract import catalog
from contract.profile import CategoryBins, NumericBins, Profile, write_profile
from exporters.expose import Family, histogram_series, render, series
from tests.processes import http, running

EDGES = (0.0, 1.0, 2.5, 10.0)

Bins = NumericBins | CategoryBins


@dataclass(frozen=True)
class Replica:
    """A sidecar as Prometheus sees it: every scrape finds that it counted as much again.

    `numeric` gives per (model, feature) the edges and what is counted between two scrapes.
    """

    numeric: Mapping[tuple[str, str], tuple[Sequence[float], Sequence[int]]]
    category: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    missing: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def families(self, scrapes: int) -> Iterator[Family]:
        yield Family(
            catalog.FEATURE_VALUE,
            histograms=[
                (
                    histogram_series(catalog.FEATURE_VALUE, edges, **_labels(key)),
                    [count * scrapes for count in counts],
                    0.0,
                )
                for key, (edges, counts) in self.numeric.items()
            ],
        )
        yield Family(
            catalog.FEATURE_CATEGORY,
            [
                (series(catalog.FEATURE_CATEGORY, **_labels(key), category=name), count * scrapes)
                for key, counts in self.category.items()
                for name, count in counts.items()
            ],
        )
        yield Family(
            catalog.FEATURE_MISSING,
            [
                (series(catalog.FEATURE_MISSING, **_labels(key)), count * scrapes)
                for key, count in self.missing.items()
            ],
        )


def _labels(key: tuple[str, str]) -> dict[str, str]:
    return {"model_name": key[0], "model_version": "1", "feature_name": key[1]}


@contextmanager
def serving(replicas: Sequence[Replica]) -> Iterator[str]:
    """An HTTP server with /0/metrics, /1/metrics, ... for the replicas; gives its address."""
    scrapes = [0] * len(replicas)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(self.path.split("/")[1])
            body = render(replicas[number].families(scrapes[number]))
            scrapes[number] += 1
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object, **__: object) -> None:
            """Say nothing."""

    with listening(Handler) as address:
        yield address


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A real HTTP server on a free port; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def prometheus(folder: Path, port: int, endpoint: str, replicas: int) -> Iterator[None]:
    """A real Prometheus that scrapes the replicas every second."""
    jobs = [
        {
            "job_name": f"replica-{number}",
            "metrics_path": f"/{number}/metrics",
            "static_configs": [{"targets": [endpoint]}],
        }
        for number in range(replicas)
    ]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    folder.mkdir(exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(argv, ready_url=f"http://127.0.0.1:{port}/-/ready"):
        yield


def numeric(*counts: int, missing: int = 0, edges: Sequence[float] = EDGES) -> NumericBins:
    return NumericBins(edges=tuple(edges), counts=counts, missing=missing)


def category(counts: Mapping[str, int], *, other: int = 0) -> CategoryBins:
    return CategoryBins(categories=tuple(counts), counts=(*counts.values(), other))


def write_models(
    folder: Path,
    profiles: Mapping[str, Mapping[str, Bins]],
    *,
    drift: Mapping[str, Mapping[str, object]] | None = None,
    without_profile: Sequence[str] = (),
) -> Path:
    """Write profiles and a models.yaml that names them; gives its path."""
    models: list[dict[str, object]] = []
    for name, features in profiles.items():
        profile = Profile(
            model_name=name,
            rows=max(sum(bins.counts) + bins.missing for bins in features.values()),
            features=dict(features),
        )
        write_profile(profile, folder / f"{name}.json")
        model = {"name": name, "version": "1", "task": "regression", "profile": f"{name}.json"}
        models.append({**model, "drift": dict((drift or {}).get(name, {}))})
    models += [{"name": name, "version": "1", "task": "regression"} for name in without_profile]
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"models": models}, sort_keys=False))
    return path


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Scrape:
    """The samples of one scrape: `scrape.get("ml_x", model_name="m")`."""

    samples: Samples

    def get(self, name: str, **labels: str) -> float | None:
        """The value of the only series with these labels, or None where there is none."""
        found = self.all(name, **labels)
        assert len(found) < 2, f"{name}{labels} is {len(found)} series"
        return found[0] if found else None

    def all(self, name: str, **labels: str) -> list[float]:
        """The values of all series with these labels."""
        wanted = labels.items()
        return [
            value
            for (sample, pairs), value in self.samples.items()
            if sample == name and wanted <= dict(pairs).items()
        ]


def scrape(address: str) -> Scrape:
    """Scrape an exporter, parsed by prometheus_client."""
    with http() as client:
        text = client.get(f"http://{address}/metrics").raise_for_status().text
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )
