"""Client of the sidecar for Python model servers: one file, standard library only.

It may be copied into a model server as it is; it imports nothing of this project.

    monitor = Monitor("http://127.0.0.1:9101")

    with monitor.inference("fraud", "2.3") as call:
        with call.stage("preprocess"):
            row = prepare(request)
        with call.stage("inference"):
            score = model.predict(row)
        call.record(features=row, prediction=score > 0.5, confidence=score)

    monitor.label(model_name="fraud", prediction_id=call.prediction_id, actual=True)

The serving thread only appends to a bounded queue. A daemon thread sends what is queued in
batches. It never raises into the serving thread, and it never waits: when the queue is full
(the sidecar is absent, slow or hanging) new events are dropped and counted in `Monitor.dropped`.

Delivery is at least once: a batch whose answer got lost is sent again, with the same
`prediction_id`s, so that the sidecar can tell.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.client
import inspect
import itertools
import json
import logging
import math
import os
import random
import secrets
import ssl
import sys
import threading
import time
import urllib.parse
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

__all__ = ["Call", "Monitor"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("ml.client")

BACKOFF_FIRST: Final = 0.1
BACKOFF_CAP: Final = 5.0
EXIT_TIMEOUT: Final = 2.0
MAX_REPLY_BYTES: Final = 1 << 20
# The sidecar is there but can't take the batch now, or won't let us in yet: the same batch may
# pass later. Every other answer but 200 is a verdict on the batch itself.
RETRIED_STATUSES: Final = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504})

_live: weakref.WeakSet[Monitor] = weakref.WeakSet()


class _UnavailableError(Exception):
    """The sidecar could not be reached or asked to be tried later."""


class _Channel:
    """One path of the sidecar: the queue before it and the batch on its way.

    `queue` is written by serving threads without a lock (append is atomic); `batch` belongs to
    the sending thread, which changes it only under the monitor's lock.
    """

    __slots__ = ("batch", "path", "queue")

    def __init__(self, path: str) -> None:
        self.path = path
        self.queue: deque[dict[str, Any]] = deque()
        self.batch: list[dict[str, Any]] = []


class _Stage:
    """Times one stage of a call; a stage entered twice adds up."""

    __slots__ = ("_name", "_stages", "_started")

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self._stages = stages
        self._name = name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *exc: object) -> None:
        seconds = time.perf_counter() - self._started
        self._stages[self._name] = self._stages.get(self._name, 0.0) + seconds


class Call:
    """One inference, made by `Monitor.inference` and sent when its block ends.

    `prediction_id` is there from the start, so that it can go into the reply to the caller.
    """

    __slots__ = ("_event", "_monitor", "_rejected", "_stages", "_started")

    def __init__(self, monitor: Monitor, event: dict[str, Any]) -> None:
        self._monitor = monitor
        self._event = event
        self._rejected = False
        self._stages: dict[str, float] = {}

    @property
    def prediction_id(self) -> str:
        """The id under which a label finds this prediction; generated unless `record` gave one."""
        return cast("str", self._event["prediction_id"])

    def record(
        self,
        *,
        features: Mapping[str, Any] | None = None,
        prediction: Any = None,
        confidence: float | None = None,
        prediction_id: str | None = None,
        **fields: Any,
    ) -> None:
        """Say what went in and what came out; what is left out (None) is not sent.

        Args:
            features: name to number, string, bool or None (missing). Copied when the block ends.
            prediction: a number, a string, a bool, or a list of class probabilities.
            confidence: 0 to 1.
            prediction_id: an id of your own, unique per model.
            **fields: any other field of a prediction event: `batch_size`, `actual`, `trace_id`,
                `metadata`, ...
        """
        event = self._event
        if features is not None:
            event["features"] = features
        if prediction is not None:
            event["prediction"] = prediction
        if confidence is not None:
            event["confidence"] = confidence
        if prediction_id is not None:
            event["prediction_id"] = prediction_id
        if fields:
            event.update(fields)

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Time a part of the call, for example `with call.stage("preprocess"):`."""
        return _Stage(self._stages, name)

    def reject(self) -> None:
        """Count this call as rejected (overload, bad input), also when the block then raises."""
        self._rejected = True

    def __enter__(self) -> Call:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._started
        event = self._event
        event.setdefault("latency_seconds", seconds)
        event.setdefault("timestamp", time.time())
        if self._rejected:
            event["status"] = "rejected"
        elif kind is not None:
            event["status"] = "error"
        if self._stages:
            event["stages"] = self._stages
        self._monitor._record(event)


class Monitor:
    """Sends predictions and labels to a sidecar, off the serving thread.

    Nothing is opened or started until the first event, so a monitor may be made before a server
    forks its workers; each process then has a queue, a thread and counts of its own.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9101",
        *,
        queue_size: int = 10_000,
        batch_size: int = 100,
        flush_interval: float = 0.2,
        timeout: float = 2.0,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """A client of the sidecar at `url`.

        Args:
            url: http:// or https://, host, port and nothing else.
            queue_size: events kept while the sidecar can't take them; further ones are dropped.
                Labels have a queue of their own, of the same size.
            batch_size: events per request, at most.
            flush_interval: seconds an event waits for others to join it, at most.
            timeout: seconds to wait for the sidecar to connect, and then to answer.
            token_file: a file with a bearer token; read for every request, so it may change.

        Raises:
            ValueError: the url is not of that form, or a number is not above 0.
        """
        parts = urllib.parse.urlsplit(url)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.path not in {"", "/"}
        ):
            raise ValueError(f"url: want http://host:port, got {url!r}")
        if min(queue_size, batch_size, flush_interval, timeout) <= 0:
            raise ValueError("queue_size, batch_size, flush_interval and timeout must be above 0")
        self._tls = parts.scheme == "https"
        self._host: str = parts.hostname
        self._port = parts.port or (443 if self._tls else 80)
        self._url = url
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._flush_interval = flush_interval
        self._timeout = timeout
        self._token_file = token_file
        self._closing = False
        self._connection: http.client.HTTPConnection | None = None
        self._begin()
        _live.add(self)

    def _begin(self) -> None:
        """Start from nothing: in a new monitor, and in a child that was forked with one."""
        self._predictions = _Channel("/v1/predictions")
        self._labels = _Channel("/v1/labels")
        self._settled = threading.Condition()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._dropped = self._rejected = self._sent = 0
        self._complained_at = -math.inf
        # Unique in this process by the counter and among processes by the prefix; several times
        # cheaper than a random UUID for every call.
        self._id_prefix = secrets.token_hex(8)
        self._ids = itertools.count(1)

    # What a model server calls.

    @property
    def dropped(self) -> int:
        """Events lost in this process: the queue was full, they were no JSON, or it closed."""
        return self._dropped

    @property
    def rejected(self) -> int:
        """Events that reached the sidecar and that it refused; the log says why."""
        return self._rejected

    @property
    def sent(self) -> int:
        """Events that the sidecar accepted."""
        return self._sent

    def inference(self, model_name: str, model_version: str | None = None) -> Call:
        """A block to run the model in. An exception counts as an error and goes on its way."""
        event: dict[str, Any] = {
            "model_name": model_name,
            "prediction_id": f"{self._id_prefix}-{next(self._ids):x}",
        }
        if model_version is not None:
            event["model_version"] = model_version
        return Call(self, event)

    def observe(
        self, model_name: str, model_version: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Decorate a function, plain or async, that runs the model.

        Its latency and errors are counted, and what it returns is the prediction when that is a
        number, a string or a bool. For features and confidence use `inference`.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def observed_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                    with self.inference(model_name, model_version) as call:
                        result = await function(*args, **kwargs)
                        _record_result(call, result)
                        return result

                return cast("Callable[P, R]", observed_coroutine)

            @functools.wraps(function)
            def observed(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.inference(model_name, model_version) as call:
                    result = function(*args, **kwargs)
                    _record_result(call, result)
                    return result

            return observed

        return decorate

    def label(self, *, model_name: str, prediction_id: str, actual: Any, **fields: Any) -> None:
        """Send what turned out to be true for an earlier prediction, by its `prediction_id`.

        Any other field of a label (`model_version`, `prediction`, `score`, `timestamp`) may be
        given by name.
        """
        event = {"model_name": model_name, "prediction_id": prediction_id, "actual": actual}
        self._append(self._labels, {"timestamp": time.time(), **event, **fields})

    def flush(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Wait until all that was queued has been answered; False after `timeout` seconds."""
        with self._settled:
            if self._thread is None or not self._thread.is_alive():
                return not self._backlog()
            self._wake.set()
            return self._settled.wait_for(lambda: not self._backlog(), timeout)

    def close(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Send what is queued, without a second try, and stop; False if some of it was lost.

        Takes `timeout` seconds at most. Later events are dropped and counted. Called at exit.
        """
        self._closing = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        with self._settled:
            lost = self._backlog()
            if lost:
                log.warning("%d monitoring events were not delivered to %s", lost, self._url)
            return lost == 0

    # The serving thread's side: never raises, never waits.

    def _record(self, event: dict[str, Any]) -> None:
        features = event.get("features")
        if features is not None:
            try:
                event["features"] = dict(features)
            except Exception:  # noqa: BLE001 - whatever the mapping's own code raises
                self._drop(1, "features must be a mapping of names to values")
                return
        self._append(self._predictions, event)

    def _append(self, channel: _Channel, event: dict[str, Any]) -> None:
        if self._thread is None:
            self._start()
        queue = channel.queue
        queued = len(queue) + 1
        # Threads that race here may overshoot the bound by one event each.
        if queued > self._queue_size or self._closing:
            self._drop(1)
            return
        queue.append(event)
        if queued == self._batch_size:
            self._wake.set()

    def _start(self) -> None:
        with self._settled:
            if self._thread is not None or self._closing:
                return
            thread = threading.Thread(target=self._run, name="ml-monitor", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is shutting down
                return
            self._thread = thread
        # A child of multiprocessing leaves without running atexit.
        multiprocessing = sys.modules.get("multiprocessing")
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            multiprocessing.util.Finalize(None, self.close, exitpriority=100)

    def _drop(self, count: int, reason: str = "") -> None:
        with self._settled:
            self._dropped += count
        if reason:
            self._complain("dropped %d monitoring events: %s", count, reason)

    def _complain(self, message: str, *args: object) -> None:
        """Log a warning, once a minute at most: the cause is likely in every event."""
        now = time.monotonic()
        if now - self._complained_at >= 60:
            self._complained_at = now
            log.warning(message, *args)

    # The sending thread's side.

    def _run(self) -> None:
        while True:
            self._wake.wait(self._flush_interval if not self._failures else self._backoff())
            self._wake.clear()
            closing = self._closing
            try:
                for channel in (self._predictions, self._labels):
                    while self._take_batch(channel):
                        self._send(channel)
            except Exception as problem:  # noqa: BLE001 - this thread must outlive any surprise
                self._note_failure(problem)
            if closing:
                break
        self._disconnect()

    def _backoff(self) -> float:
        doublings = min(self._failures - 1, 10)
        # Jitter, so that many workers don't meet a restarted sidecar all at once.
        return min(BACKOFF_CAP, BACKOFF_FIRST * 2.0**doublings) * random.uniform(0.75, 1.0)

    def _note_failure(self, problem: Exception) -> None:
        if self._failures == 0:
            log.warning("sidecar %s is unavailable, keeping events: %s", self._url, problem)
        self._failures += 1

    def _backlog(self) -> int:
        channels = (self._predictions, self._labels)
        return sum(len(channel.queue) + len(channel.batch) for channel in channels)

    def _take_batch(self, channel: _Channel) -> bool:
        """Move the next events into the batch, unless one is still waiting to be sent again."""
        with self._settled:
            queue, batch = channel.queue, channel.batch
            while queue and len(batch) < self._batch_size:
                batch.append(queue.popleft())
            if not batch:
                self._settled.notify_all()
            return bool(batch)

    def _send(self, channel: _Channel) -> None:
        """Send the channel's batch and clear it; it stays when the sidecar is unavailable."""
        body, unsendable = _encode(channel.batch)
        count = len(channel.batch) - unsendable
        if unsendable:
            self._drop(unsendable, "they hold values that JSON has no form for")
        rejected = self._post(channel.path, body, count) if count else 0
        with self._settled:
            self._rejected += rejected
            self._sent += count - rejected
            channel.batch.clear()
            self._settled.notify_all()

    def _post(self, path: str, body: bytes, count: int) -> int:
        """Send one batch of `count` events; how many of them the sidecar refused."""
        try:
            status, reply = self._exchange(path, body)
        except (OSError, http.client.HTTPException) as error:
            self._disconnect()
            raise _UnavailableError(f"{type(error).__name__}: {error}") from error
        if status in RETRIED_STATUSES:
            raise _UnavailableError(f"HTTP {status}")
        if self._failures:
            log.warning("sidecar %s is back, %d events dropped so far", self._url, self._dropped)
            self._failures = 0
        rejected = 0 if status == 200 else count
        with contextlib.suppress(ValueError, AttributeError, TypeError):
            rejected = min(count, int(json.loads(reply).get("rejected", rejected)))
        if rejected:
            shown = reply[:300].decode("utf-8", "replace")
            self._complain("sidecar refused %d events, HTTP %d: %s", rejected, status, shown)
        return rejected

    def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        """One request; a connection that the sidecar has closed meanwhile is made anew."""
        reused = self._connection is not None
        try:
            return self._request(path, body)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine):
            self._disconnect()
            if not reused:
                raise
            return self._request(path, body)

    def _request(self, path: str, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Content-Type": "application/json", "User-Agent": "ml-monitor"}
        if self._token_file is not None:
            token = Path(self._token_file).read_text(encoding="utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        reply = response.read(MAX_REPLY_BYTES)
        if not response.isclosed():  # a longer reply than we care to read
            self._disconnect()
        return response.status, reply

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _after_fork(self) -> None:
        """In the child: the parent sends what it had queued; its socket is not ours to use."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            # Not connection.close(): its reader's lock may be held by a thread that is no more.
            with contextlib.suppress(OSError):
                os.close(connection.sock.detach())
        self._begin()


def _record_result(call: Call, result: object) -> None:
    if isinstance(result, (bool, int, float, str)):
        call.record(prediction=result)


def _encode(events: list[dict[str, Any]]) -> tuple[bytes, int]:
    """The events as a JSON list, and how many of them could not be written as JSON."""
    try:
        return _dumps(events), 0
    except Exception:  # noqa: BLE001, S110 - a value's own code may raise anything; sorted out below
        pass
    written: list[bytes] = []
    for event in events:
        with contextlib.suppress(Exception):
            written.append(_dumps(_without_non_finite(event)))
    return b"[" + b",".join(written) + b"]", len(events) - len(written)


def _dumps(value: object) -> bytes:
    text = json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def _plain(value: object) -> object:
    """Values of numpy, torch and the like as what they hold; they all know `tolist`."""
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"no JSON for {type(value).__name__}")
    return _without_non_finite(tolist())


def _without_non_finite(value: object) -> object:
    """NaN and infinities are no JSON; they are missing values, so they travel as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_non_finite(item) for item in value]
    return value


def _after_fork_in_child() -> None:
    for monitor in list(_live):
        monitor._after_fork()


def _close_at_exit() -> None:
    deadline = time.monotonic() + EXIT_TIMEOUT
    for monitor in list(_live):
        monitor.close(max(0.0, deadline - time.monotonic()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_at_exit)
