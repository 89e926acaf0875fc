"""Requests for the demo's model server: rows it was never trained on, and their labels later.

python -m examples.demo.traffic --server http://127.0.0.1:8001 --rate 20 --label-delay 30s
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from contract import logs
from examples.demo.command_line import (
    SERVER,
    SIDECAR,
    add_log_format,
    add_models,
    parse_duration,
    parse_url,
    served,
)
from examples.demo.data import Dataset, Label, Value
from examples.demo.faults import EVERY, Switches
from exporters.sidecar.client import Monitor

__all__ = ["Traffic", "main"]

log = logs.logger()

REPORT_INTERVAL: Final = 60.0
FAULTS_INTERVAL: Final = 1.0
BUSINESS_INTERVAL: Final = 5.0
REQUEST_TIMEOUT: Final = 10.0
USUAL: Final = Switches()
OF_SERVER: Final = frozenset(
    {"error_ratio", "extra_latency_seconds", "latency_growth", "flat_confidence", "wrong_ratio"}
)
"""The switches that the model server heeds itself."""
MAX_IN_FLIGHT: Final = 200
BACKOFF_FIRST: Final = 0.5
BACKOFF_CAP: Final = 5.0


class Traffic:
    """A steady stream of requests to every model in turn, and what became of them.

    `counts`: answered, failed (an answer, but no prediction), unreachable (no answer), skipped
    (not sent: the server is down, or too many wait for it), labelled.

    Who is told that a tumour is malignant gets a biopsy, and its result is the label: business
    events `biopsy` and `biopsy_confirmed`, which models.yaml makes a ratio of.
    """

    def __init__(
        self,
        models: Mapping[str, Dataset],
        *,
        client: httpx.AsyncClient,
        sidecar: httpx.AsyncClient,
        monitor: Monitor,
        rate: float,
        label_delay: float,
        seed: int | None = None,
    ) -> None:
        """Traffic over `client`, whose base address is the model server.

        Args:
            models: the data of each model by its name.
            client: for requests and for asking what is switched on.
            sidecar: takes the business events; its base address is the sidecar.
            monitor: takes the labels.
            rate: requests a second, over all models together.
            label_delay: seconds from an answer until its label is sent.
            seed: of the choice of rows; None: another one every time.
        """
        self.counts: Counter[str] = Counter()
        self._client = client
        self._sidecar = sidecar
        self._monitor = monitor
        self._events: Counter[tuple[str, str, str]] = Counter()
        self._interval = 1.0 / rate
        self._label_delay = label_delay
        self._random = random.Random(seed)
        self._models = models
        self._switches: dict[str, Switches] = {}
        self._shown: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._failures = 0
        self._next_try = 0.0

    async def run(self, stop: asyncio.Event, duration: float | None = None) -> None:
        """Send until `stop` is set; or for `duration` seconds, then wait for the labels due."""
        loop = asyncio.get_running_loop()
        end = float("inf") if duration is None else loop.time() + duration
        background = [asyncio.create_task(self._follow_faults())]
        background.append(asyncio.create_task(self._report()))
        background.append(asyncio.create_task(self._tell_business()))
        due = loop.time()
        for model in itertools.cycle(self._models):
            if due >= end or await _is_set(stop, due - loop.time()):
                break
            self._tick(model)
            # On schedule whatever an answer takes; but a pause (a suspended machine) is not
            # made up for by a burst.
            due = max(due + self._interval, loop.time() - 1.0)
        while self._tasks and not stop.is_set():
            await _is_set(stop, 0.05)
        for task in [*background, *self._tasks]:
            task.cancel()
        await asyncio.gather(*background, *self._tasks, return_exceptions=True)
        await self._send_events()

    def _tick(self, model: str) -> None:
        now = asyncio.get_running_loop().time()
        # While the server is down, one request at a time tries whether it is back.
        most = 1 if self._failures else MAX_IN_FLIGHT
        if now < self._next_try or self._in_flight >= most:
            self.counts["skipped"] += 1
            return
        if not self._happens(self._of(model).throughput):
            return
        features, label = self.draw(model)
        task = asyncio.create_task(self._ask(model, features, label))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _of(self, model: str) -> Switches:
        return self._switches.get(model, USUAL)

    def draw(self, model: str) -> tuple[dict[str, Value | None], Label]:
        """A held-out row, any as likely as another, disturbed as is switched on."""
        dataset, switches = self._models[model], self._of(model)
        row = self._random.randrange(len(dataset.held_out.labels))
        named = dataset.named(dataset.held_out.features[row].tolist())
        features: dict[str, Value | None] = {**named}
        if (shift := switches.shift) and shift.feature:
            numbers = [name for name in dataset.feature_names if name not in dataset.categories]
            for name in numbers if shift.feature == EVERY else [shift.feature]:
                by = shift.standard_deviations * dataset.standard_deviations[name]
                features[name] = float(named[name]) + by
        if (unseen := switches.unseen) and unseen.feature and self._happens(unseen.ratio):
            features[unseen.feature] = unseen.category
        if (missing := switches.missing) and missing.feature and self._happens(missing.ratio):
            features[missing.feature] = None
        return features, dataset.held_out.labels[row]

    def _happens(self, share: float) -> bool:
        # What always or never happens draws nothing: rows stay those of the seed.
        return share >= 1 or (share > 0 and self._random.random() < share)

    async def _ask(self, model: str, features: dict[str, Value | None], label: Label) -> None:
        self._in_flight += 1
        try:
            answer = await self._client.post(f"/predict/{model}", json={"features": features})
        except httpx.TransportError as error:
            self._note_unreachable(error)
            return
        finally:
            self._in_flight -= 1
        self._note_answer()
        if answer.is_error:
            self.counts["failed"] += 1
            return
        self.counts["answered"] += 1
        delay = self._of(model).label_delay_seconds
        await asyncio.sleep(self._label_delay if delay is None else delay)
        answered, switches = answer.json(), self._of(model)
        version = answered["model_version"]
        if not self._happens(switches.lost_labels):
            self._monitor.label(
                model_name=model,
                model_version=version,
                prediction_id=answered["prediction_id"],
                actual=label,
            )
            self.counts["labelled"] += 1
        if answered["prediction"] == "malignant":
            self._events[model, version, "biopsy"] += 1
            confirmed = label == "malignant" and not self._happens(switches.unconfirmed)
            self._events[model, version, "biopsy_confirmed"] += confirmed

    async def _tell_business(self) -> None:
        while True:
            await asyncio.sleep(BUSINESS_INTERVAL)
            await self._send_events()

    async def _send_events(self) -> None:
        """Send the events so far; keep them while the sidecar is away."""
        sent = self._events.copy()
        events = [
            {"model_name": model, "model_version": version, "event": event, "count": count}
            for (model, version, event), count in sent.items()
            if count
        ]
        if not events:
            return
        with contextlib.suppress(httpx.TransportError):
            answer = await self._sidecar.post("/v1/business", json=events)
            if answer.status_code < 500:
                self._events -= sent

    def _note_unreachable(self, error: httpx.TransportError) -> None:
        self.counts["unreachable"] += 1
        now = asyncio.get_running_loop().time()
        # A request that got no answer in time says nothing of the others; and those that were
        # under way when the server went down are one failure together.
        if isinstance(error, httpx.TimeoutException) or now < self._next_try:
            return
        if not self._failures:
            log.warning("server_unreachable", reason=str(error) or type(error).__name__)
        self._failures += 1
        self._next_try = now + min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(self._failures - 1, 10))

    def _note_answer(self) -> None:
        if self._failures:
            log.info("server_back", skipped=self.counts["skipped"])
        self._failures = 0
        self._next_try = 0.0

    async def _follow_faults(self) -> None:
        while True:
            switches: dict[str, Switches] = {}
            try:
                answer = await self._client.get("/faults")
                models: dict[str, dict[str, Any]] = answer.json()["models"]
                switches = {
                    name: Switches.model_validate(held)
                    for name, held in models.items()
                    if name in self._models
                }
            except (httpx.TransportError, ValueError, KeyError, TypeError, AttributeError):
                # A server that is down or starting switches nothing; requests tell that it is down.
                switches = {}
            self._tell(switches)
            self._switches = switches
            await asyncio.sleep(FAULTS_INTERVAL)

    def _tell(self, switches: Mapping[str, Switches]) -> None:
        """Log what of the traffic is switched on, when that changes."""
        shown = {
            name: on
            for name, held in switches.items()
            if (on := held.model_dump(exclude_defaults=True, exclude=set(OF_SERVER)))
        }
        if shown != self._shown:
            log.info("traffic_changed", models=shown)
        self._shown = shown

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            log.info("traffic", **self.counts, labels_dropped=self._monitor.dropped)


async def _is_set(stop: asyncio.Event, seconds: float) -> bool:
    """Wait until `stop` is set, `seconds` at most; let others run in any case."""
    # Not wait_for with 0 seconds: it gives up before it has looked.
    if seconds <= 0:
        await asyncio.sleep(0)
    else:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logs.setup("demo-traffic", options.log_format)
    monitor = Monitor(options.sidecar)
    log.info("started", server=options.server, rate=options.rate, label_delay=options.label_delay)
    counts = asyncio.run(_run(options, monitor))
    monitor.close()
    log.info("stopped", **counts, labels_dropped=monitor.dropped)
    return 0


async def _run(options: argparse.Namespace, monitor: Monitor) -> Counter[str]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    limits = httpx.Limits(max_connections=MAX_IN_FLIGHT + 1)
    async with (
        httpx.AsyncClient(
            base_url=options.server, timeout=REQUEST_TIMEOUT, limits=limits, trust_env=False
        ) as client,
        httpx.AsyncClient(
            base_url=options.sidecar, timeout=REQUEST_TIMEOUT, trust_env=False
        ) as sidecar,
    ):
        traffic = Traffic(
            served(options),
            client=client,
            sidecar=sidecar,
            monitor=monitor,
            rate=options.rate,
            label_delay=options.label_delay,
            seed=options.seed,
        )
        await traffic.run(stop, options.duration)
        return traffic.counts


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of requests a second above 0")
    return rate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.demo.traffic",
        description="Ask the demo's model server for predictions, and send the labels later.",
        epilog="example: python -m examples.demo.traffic --rate 20 --label-delay 30s",
    )
    for name, default in (("server", SERVER), ("sidecar", SIDECAR)):
        parser.add_argument(
            f"--{name}", type=parse_url, default=default, metavar="URL", help="default: %(default)s"
        )
    parser.add_argument(
        "--rate", type=_rate, default=20.0, help="requests a second; default: %(default)s"
    )
    parser.add_argument(
        "--label-delay",
        type=parse_duration,
        default="30s",
        metavar="DURATION",
        help="from a prediction to its label; default: %(default)s",
    )
    parser.add_argument(
        "--duration", type=parse_duration, metavar="DURATION", help="default: until stopped"
    )
    parser.add_argument(
        "--seed", type=int, help="of the choice of rows; default: another each time"
    )
    add_models(parser)
    add_log_format(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
