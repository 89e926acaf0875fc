"""Client of the sidecar for Python model servers: one file, standard library only.

It may be copied into a model server as it is; it imports nothing of this project.

    monitor = Monitor("http://127.0.0.1:9101")        # or unix:///run/ml/sidecar.sock

    with monitor.inference("fraud", "2.3") as call:
        with call.stage("preprocess"):
            row = prepare(request)
        with call.stage("inference"):
            score = model.predict(row)
        call.record(features=row, prediction=score > 0.5, confidence=score)

    monitor.label(model_name="fraud", prediction_id=call.prediction_id, actual=True)

The serving thread only appends to a bounded queue. A daemon thread writes what is queued as JSON
and sends it in batches; it also reports, every few seconds, the calls in progress, queues and
memory of its process. It never raises into the serving thread, and it never waits: when the queue
is full (the sidecar is absent, slow or hanging) new events are dropped and counted in
`Monitor.dropped`.

Delivery is at least once: a batch whose answer got lost is sent again, with the same
`prediction_id`s, so that the sidecar can tell.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import functools
import hashlib
import http.client
import inspect
import itertools
import json
import logging
import math
import os
import random
import secrets
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar, cast

__all__ = ["Call", "Monitor", "MonitorMiddleware"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("ml.client")

BACKOFF_FIRST: Final = 0.1
BACKOFF_CAP: Final = 5.0
_jitter: Final = random.Random()
"""Of its own: a model server that seeded the global one must get the numbers it asked for."""
EXIT_TIMEOUT: Final = 2.0
MAX_REPLY_BYTES: Final = 1 << 20
MAX_BATCH_BYTES: Final = 1 << 20
MAX_MODELS: Final = 1_000
# A body that the sidecar hung up on so often in a row is taken for one that it can't read.
CUT_OFFS: Final = 5
# The sidecar is there but can't take the batch now, or won't let us in yet: the same batch may
# pass later. Every other answer but 200 is a verdict on the batch itself.
RETRIED_STATUSES: Final = frozenset({401, 403, 408, 425, 429, 500, 502, 503, 504})
# While the sending thread writes JSON, no other thread runs Python. It stops after SLICE seconds
# for REST seconds, which gives a thread that waits the time to wake up and take over. With less
# than this, waking up so often costs the other threads more than it saves them.
SLICE: Final = 100e-6
REST: Final = 1e-6

CUT_OFF: Final = (BrokenPipeError, ConnectionResetError, http.client.BadStatusLine)

_live: weakref.WeakSet[Monitor] = weakref.WeakSet()

# Connecting looks for this codec, which is a module. A process that is forked while a thread of
# its parent imports it would never find it.
codecs.lookup("idna")


class _UnavailableError(Exception):
    """The sidecar could not be reached or asked to be tried later."""


class _CutOffError(_UnavailableError):
    """The sidecar was reached, and hung up without an answer."""


class _Counter:
    """A number that threads count up without a lock."""

    def __init__(self) -> None:
        numbers = itertools.count()
        self._next = numbers.__next__
        self._reads = 0
        self._reading = threading.Lock()
        self.add: Callable[[], int] = self._next

    def read(self) -> int:
        with self._reading:
            self._reads += 1
            return self._next() - self._reads + 1


class _Model:
    """A model as this process serves it. `running` holds one item for each call in progress."""

    __slots__ = ("artifact", "name", "queues", "running", "version")

    def __init__(self, name: str, version: str | None) -> None:
        self.name = name
        self.version = version
        self.running: deque[None] = deque()
        self.queues: dict[str, Callable[[], int]] = {}
        self.artifact: _Artifact | None = None


class _Artifact:
    """The file that a model was loaded from. A thread of its own hashes it: it may be large."""

    __slots__ = ("_begun", "_path", "_stamp", "sha256")

    def __init__(self, path: Path | None, sha256: str | None) -> None:
        """Raises OSError for a file that is not there."""
        self._path = path
        self._stamp = _stamp(path) if path else None
        self._begun = False
        self.sha256 = sha256

    def begin_again(self) -> None:
        """In a child that was forked: the thread stayed in the parent."""
        self._begun = False

    def hash_once(self) -> None:
        """Begin to hash, if nobody did: `sha256` is there some time later."""
        if self._begun or self._path is None:
            return
        self._begun = True
        threading.Thread(target=self._hash, name="ml-monitor-hash", daemon=True).start()

    def _hash(self) -> None:
        path = cast("Path", self._path)
        found = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    found.update(block)
            if _stamp(path) != self._stamp:
                log.warning("%s is another file than when it was loaded: not reported", path)
                return
        except OSError as problem:
            log.warning("cannot read %s, which a model was loaded from: %s", path, problem)
            return
        self.sha256 = found.hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    """What changes with a file: its inode, its size, and when it was changed (ns)."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


class _Channel:
    """One path of the sidecar: the queue before it and the events on their way.

    `queue` is written by serving threads without a lock (append is atomic). `batch` (events as
    JSON) belongs to the sending thread; `taken`, which counts the events that have left the queue
    and are not settled, changes under the monitor's lock. `limit` is how many go into a request.
    """

    __slots__ = ("batch", "cut_offs", "limit", "path", "queue", "taken")

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = limit
        self.queue: deque[Call | dict[str, Any]] = deque()
        self.batch: list[bytes] = []
        self.cut_offs = 0
        self.taken = 0


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
    What is recorded after the block has ended is not sent.
    """

    __slots__ = (
        "_ended", "_features", "_fields", "_id", "_model", "_monitor", "_running", "_seconds",
        "_stages", "_started", "_status",
    )  # fmt: skip

    def __init__(self, monitor: Monitor, model: _Model) -> None:
        self._monitor = monitor
        self._model = model
        self._running = model.running
        self._id: int | str = next(monitor._ids)
        self._features: dict[str, Any] | None = None
        self._fields: dict[str, Any] = {}
        self._stages: dict[str, float] | None = None
        self._status: str | None = None
        self._ended = 0.0

    @property
    def prediction_id(self) -> str:
        """The id under which a label finds this prediction; generated unless `record` gave one."""
        own = self._id
        if isinstance(own, int):
            # Not at once: most calls never ask, and the sending thread has the time.
            own = self._id = f"{self._monitor._id_prefix}-{own:x}"
        return own

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
            features: name to number, string, bool or None (missing). Copied now.
            prediction: a number, a string, a bool, or a list of class probabilities.
            confidence: 0 to 1.
            prediction_id: an id of your own, unique per model.
            **fields: any other field of a prediction event: `batch_size`, `actual`, `trace_id`,
                `metadata`, ...
        """
        if self._ended:
            return
        if features is not None:
            try:
                self._features = dict(features)
            except Exception:  # noqa: BLE001 - whatever the mapping's own code raises
                self._fields["features"] = _NOT_A_MAPPING
        event = self._fields
        if prediction is not None:
            event["prediction"] = prediction
        if confidence is not None:
            event["confidence"] = confidence
        if prediction_id is not None:
            self._id = prediction_id
        if fields:
            event.update(fields)

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Time a part of the call, for example `with call.stage("preprocess"):`."""
        if self._stages is None:
            self._stages = {}
        return _Stage(self._stages, name)

    def reject(self) -> None:
        """Count this call as rejected (overload, bad input), also when the block then raises."""
        self._status = "rejected"

    def __enter__(self) -> Call:
        self._running.append(None)
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._seconds = time.perf_counter() - self._started
        self._ended = time.time()
        self._running.pop()
        if kind is not None and self._status is None:
            self._status = "error"
        monitor = self._monitor
        monitor._append(monitor._predictions, self)

    def _event(self) -> dict[str, Any]:
        """The event as it is sent; made in the sending thread."""
        model = self._model
        event: dict[str, Any] = {
            "model_name": model.name,
            "prediction_id": self.prediction_id,
            "timestamp": self._ended,
            "latency_seconds": self._seconds,
        }
        if model.version is not None:
            event["model_version"] = model.version
        if self._status is not None:
            event["status"] = self._status
        if self._features is not None:
            event["features"] = self._features
        if self._stages:
            event["stages"] = self._stages
        event.update(self._fields)
        return event


class _NotAMapping:
    """Stands where features could not be copied, and has no JSON."""


_NOT_A_MAPPING: Final = _NotAMapping()


class Monitor:
    """Sends predictions and labels to a sidecar, off the serving thread.

    Nothing is opened or started until the first call, so a monitor may be made before a server
    forks its workers; each process then has a queue, a thread and counts of its own.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:9101",
        *,
        queue_size: int = 10_000,
        batch_size: int = 100,
        flush_interval: float = 0.2,
        report_interval: float = 5.0,
        timeout: float = 2.0,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """A client of the sidecar at `url`.

        Args:
            url: http:// or https:// with host and port, or unix:// and the path of a socket.
            queue_size: events kept while the sidecar can't take them; further ones are dropped.
                Labels have a queue of their own, of the same size.
            batch_size: events per request, at most.
            flush_interval: seconds an event waits for others to join it, at most.
            report_interval: seconds between reports of calls in progress, queues and memory; at
                most 60. The sidecar forgets a process after three of them.
            timeout: seconds to wait for the sidecar to connect, and then to answer.
            token_file: a file with a bearer token; read for every request, so it may change.

        Raises:
            ValueError: the url is not of that form, or a number is not above 0.
        """
        numbers = (queue_size, batch_size, flush_interval, report_interval, timeout)
        if min(numbers) <= 0:
            raise ValueError(
                "queue_size, batch_size, flush_interval, report_interval and timeout must be "
                "above 0"
            )
        self._connect = _connector(url, timeout)
        self._url = url
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._flush_interval = flush_interval
        self._report_interval = min(60.0, report_interval)
        self._token_file = token_file
        # The flush interval gathers events; only a queue that fills up meanwhile wakes the
        # sending thread, because to wake it takes longer than all else that a call does.
        self._wake_at = max(1, min(10 * batch_size, queue_size // 2))
        self._closing = False
        self._connection: http.client.HTTPConnection | None = None
        self._models: dict[tuple[str, str | None], _Model] = {}
        self._begin()
        _live.add(self)

    def _begin(self) -> None:
        """Start from nothing: in a new monitor, and in a child that was forked with one."""
        self._predictions = _Channel("/v1/predictions", self._batch_size)
        self._labels = _Channel("/v1/labels", self._batch_size)
        for model in self._models.values():
            model.running = deque()
            if model.artifact is not None:
                model.artifact.begin_again()
        self._settled = threading.Condition()
        self._signal = threading.Lock()
        self._signal.acquire()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._overflow = _Counter()
        self._unsendable = self._rejected = self._sent = 0
        self._complained_at = -math.inf
        self._report_at = 0.0
        self._reported: dict[str, int] = {}
        # Unique in this process by the counter and among processes by the prefix; several times
        # cheaper than a random UUID for every call.
        self._id_prefix = secrets.token_hex(8)
        self._ids = itertools.count(1)

    # What a model server calls.

    @property
    def dropped(self) -> int:
        """Events lost in this process: the queue was full, they were no JSON, or it closed."""
        return self._overflow.read() + self._unsendable

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
        if self._thread is None:
            self._start()
        model = self._models.get((model_name, model_version))
        return Call(self, model or self._model(model_name, model_version))

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
        if self._thread is None:
            self._start()
        event = {"model_name": model_name, "prediction_id": prediction_id, "actual": actual}
        self._append(self._labels, {"timestamp": time.time(), **event, **fields})

    def watch_queue(
        self,
        model_name: str,
        model_version: str | None = None,
        *,
        queue_name: str,
        depth: Callable[[], int],
    ) -> None:
        """Report how much waits in a queue of the server: `depth=requests.qsize`.

        `depth` is called in the sending thread, every `report_interval` seconds, once the process
        has made its first call.
        """
        self._model(model_name, model_version).queues[queue_name] = depth

    def loaded(
        self,
        model_name: str,
        model_version: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        artifact_sha256: str | None = None,
    ) -> None:
        """Say which artifact the model was loaded from: its file, or its SHA-256.

        The sidecar compares it with what models.yaml declares. A file is read once, in a thread of
        its own, once the process has made its first call; one that was changed since then is not
        reported. A file that is not there is logged, and nothing is reported.

        Raises:
            ValueError: not exactly one of the two is given, or the hash is none.
        """
        if (path is None) == (artifact_sha256 is None):
            raise ValueError("give path or artifact_sha256")
        digest = None
        if artifact_sha256 is not None:
            digest = artifact_sha256.lower()
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                raise ValueError(f"artifact_sha256: want 64 digits of 0-9a-f, got {digest!r}")
        try:
            artifact = _Artifact(None if path is None else Path(path), digest)
        except OSError as problem:
            log.warning("cannot read %s, which %s was loaded from: %s", path, model_name, problem)
            return
        self._model(model_name, model_version).artifact = artifact

    def flush(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Wait until all that was queued has been answered; False after `timeout` seconds."""
        with self._settled:
            if self._thread is None or not self._thread.is_alive():
                return not self._backlog()
            self._wake()
            return self._settled.wait_for(lambda: not self._backlog(), timeout)

    def close(self, timeout: float = EXIT_TIMEOUT) -> bool:
        """Send what is queued, without a second try, and stop; False if some of it was lost.

        Takes `timeout` seconds at most. Later events are dropped and counted. Called at exit.
        """
        self._closing = True
        self._wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        with self._settled:
            lost = self._backlog()
            if lost:
                log.warning("%d monitoring events were not delivered to %s", lost, self._url)
            return lost == 0

    # The serving thread's side: never raises, never waits.

    def _model(self, name: str, version: str | None) -> _Model:
        model = _Model(name, version)
        if len(self._models) >= MAX_MODELS:  # a name that comes from requests must not fill us up
            return model
        return self._models.setdefault((name, version), model)

    def _append(self, channel: _Channel, event: Call | dict[str, Any]) -> None:
        queue = channel.queue
        queued = len(queue) + 1
        # Threads that race here may overshoot the bound by one event each.
        if queued > self._queue_size or self._closing:
            self._overflow.add()
            return
        queue.append(event)
        if queued == self._wake_at:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has been told already
            self._signal.release()

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

    # The sending thread's side.

    def _run(self) -> None:
        encode = _encoder()
        while True:
            # Wakes up without need as well, which does no harm.
            self._signal.acquire(timeout=self._pause())
            closing = self._closing
            try:
                for channel in (self._predictions, self._labels):
                    while self._take(channel, encode):
                        self._send(channel)
                if closing:
                    with contextlib.suppress(_UnavailableError):  # it will notice by itself
                        self._report(leaving=True)
                elif time.monotonic() >= self._report_at:
                    self._report()
            except Exception as problem:  # noqa: BLE001 - this thread must outlive any surprise
                self._note_failure(problem)
            if closing:
                break
        self._disconnect()

    def _pause(self) -> float:
        if not self._failures:
            return max(0.0, min(self._flush_interval, self._report_at - time.monotonic()))
        doublings = min(self._failures - 1, 10)
        # Jitter, so that many workers don't meet a restarted sidecar all at once.
        return min(BACKOFF_CAP, BACKOFF_FIRST * 2.0**doublings) * _jitter.uniform(0.75, 1.0)

    def _note_failure(self, problem: Exception) -> None:
        if self._failures == 0:
            log.warning("sidecar %s is unavailable, keeping events: %s", self._url, problem)
        self._failures += 1

    def _complain(self, message: str, *args: object) -> None:
        """Log a warning, once a minute at most: the cause is likely in every event."""
        now = time.monotonic()
        if now - self._complained_at >= 60:
            self._complained_at = now
            log.warning(message, *args)

    def _backlog(self) -> int:
        return sum(len(channel.queue) + channel.taken for channel in self._channels())

    def _channels(self) -> tuple[_Channel, _Channel]:
        return (self._predictions, self._labels)

    def _take(self, channel: _Channel, encode: Callable[[object], bytes]) -> bool:
        """Write the next events as JSON, unless some are still waiting to be sent again."""
        queue, batch = channel.queue, channel.batch
        if not batch:
            with self._settled:
                events = [queue.popleft() for _ in range(min(len(queue), self._batch_size))]
                channel.taken = len(events)
                if not events:
                    self._settled.notify_all()
            hurried = self._closing or len(queue) > self._wake_at
            batch += _write(events, encode, rests=not hurried)
            unsendable = len(events) - len(batch)
            if unsendable:
                self._settle(channel, unsendable=unsendable)
                self._complain("dropped %d events: they hold values without JSON", unsendable)
        return bool(batch) or bool(queue)

    def _send(self, channel: _Channel) -> None:
        """Send the channel's batch; what is not settled stays when the sidecar is unavailable.

        Of a body that the sidecar could not read (400) or that was too large for it (413), halves
        are sent, down to the one event that it is about.
        """
        while channel.batch:
            part = _fitting(channel.batch, channel.limit)
            status, reply = self._post_batch(channel, b"[" + b",".join(part) + b"]")
            rejected = 0 if status == 200 else len(part)
            unread = status == 413
            with contextlib.suppress(ValueError, AttributeError):
                told = json.loads(reply).get("rejected")
                unread = unread or (status == 400 and told is None)
                rejected = min(len(part), told) if isinstance(told, int) else rejected
            if unread and len(part) > 1:
                channel.limit = len(part) // 2
                continue
            if rejected:
                shown = reply[:300].decode("utf-8", "replace")
                self._complain("sidecar refused %d events, HTTP %d: %s", rejected, status, shown)
            del channel.batch[: len(part)]
            channel.limit = min(self._batch_size, 2 * channel.limit)
            self._settle(channel, sent=len(part) - rejected, rejected=rejected)

    def _post_batch(self, channel: _Channel, body: bytes) -> tuple[int, bytes]:
        """Send a batch; one that makes the sidecar hang up must not block those behind it."""
        try:
            answer = self._post(channel.path, body)
        except _CutOffError:
            channel.cut_offs += 1
            if channel.cut_offs < CUT_OFFS:
                raise
            answer = (413, b"the sidecar hung up on it")
        channel.cut_offs = 0
        return answer

    def _settle(
        self, channel: _Channel, *, sent: int = 0, rejected: int = 0, unsendable: int = 0
    ) -> None:
        with self._settled:
            self._sent += sent
            self._rejected += rejected
            self._unsendable += unsendable
            channel.taken -= sent + rejected + unsendable
            self._settled.notify_all()

    def _report(self, *, leaving: bool = False) -> None:
        """Tell the sidecar of this process; a report that fails is not made up for."""
        self._report_at = time.monotonic() + self._report_interval
        totals = {"dropped": self.dropped}
        cuda = []
        try:
            cuda = _cuda_memory()
        except Exception as problem:  # noqa: BLE001 - whatever torch raises on a lost device
            self._complain("cannot read torch's CUDA memory: %s", problem)
        for device in cuda:
            name = f"retries of {device['index']}"
            totals[name] = device["retries"]
            device["retries_before"] = self._reported.get(name, 0)
        report = {
            "process": self._id_prefix,
            "pid": os.getpid(),
            "interval": self._report_interval,
            "memory_bytes": _resident_bytes(),
            "dropped": totals["dropped"],
            "dropped_before": self._reported.get("dropped", 0),
            "leaving": leaving,
            "models": [self._describe(model) for model in list(self._models.values())],
            "cuda": cuda,
        }
        status, reply = self._post("/v1/process", _dumps(report))
        if status == 200:
            self._reported = totals
        else:
            shown = reply[:300].decode("utf-8", "replace")
            self._complain("sidecar refused a report, HTTP %d: %s", status, shown)

    def _describe(self, model: _Model) -> dict[str, Any]:
        depths = {}
        for name, depth in list(model.queues.items()):
            try:
                depths[name] = int(depth())
            except Exception as problem:  # noqa: BLE001 - the server's own code
                self._complain("cannot read the depth of queue %s: %s", name, problem)
        told = {
            "model_name": model.name,
            "model_version": model.version,
            "in_progress": len(model.running),
            "queues": depths,
        }
        artifact = model.artifact
        if artifact is not None:
            artifact.hash_once()
            if artifact.sha256 is not None:
                told["artifact_sha256"] = artifact.sha256
        return told

    def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send one body: status and reply. Raises _UnavailableError when it should be kept."""
        try:
            status, reply = self._exchange(path, body)
        except (OSError, http.client.HTTPException) as error:
            self._disconnect()
            kind = _CutOffError if isinstance(error, CUT_OFF) else _UnavailableError
            raise kind(f"{type(error).__name__}: {error}") from error
        if status in RETRIED_STATUSES:
            raise _UnavailableError(f"HTTP {status}")
        if self._failures:
            log.warning("sidecar %s is back, %d events dropped so far", self._url, self.dropped)
            self._failures = 0
        return status, reply

    def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        """One request; a connection that the sidecar has closed meanwhile is made anew."""
        reused = self._connection is not None
        try:
            return self._request(path, body)
        except (ConnectionError, http.client.BadStatusLine):
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
        with contextlib.suppress(BrokenPipeError):
            # Who refuses a body may close before all of it is there; the answer can be read still.
            self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        reply = response.read(MAX_REPLY_BYTES)
        if not response.isclosed():  # a longer reply than we care to read
            self._disconnect()
        return response.status, reply

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


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class MonitorMiddleware:
    """ASGI middleware: each POST to the path of a model is a call of that model.

        app.add_middleware(MonitorMiddleware, monitor=monitor, models={"/score": ("fraud", "2.3")})

    The call begins with the request and ends with the last byte of the response. It is an error
    with a status of 500 and above or an exception, rejected with one of 400 and above. Bodies pass
    untouched and unread. Features and predictions can be added where they are known:
    `request.scope["ml.call"].record(...)`.
    """

    def __init__(
        self,
        app: Application,
        *,
        monitor: Monitor,
        models: Mapping[str, str | tuple[str, str]],
        methods: Iterable[str] = ("POST",),
    ) -> None:
        """`models` maps a path to a model's name, or to its name and version."""
        self._app = app
        self._monitor = monitor
        self._models = {
            path: (model, None) if isinstance(model, str) else model
            for path, model in models.items()
        }
        self._methods = frozenset(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI asks for."""
        model = self._models.get(scope["path"]) if scope["type"] == "http" else None
        if model is None or scope["method"] not in self._methods:
            await self._app(scope, receive, send)
            return
        status = 500  # of an application that returns without an answer

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._monitor.inference(*model) as call:
            await self._app({**scope, "ml.call": call}, receive, watch)
            if call._status is None and status >= 400:
                call._status = "error" if status >= 500 else "rejected"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connector(url: str, timeout: float) -> Callable[[], http.client.HTTPConnection]:
    """What makes a connection to `url`. Raises ValueError."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError(f"url: want unix:///path/of/socket, got {url!r}")
        return functools.partial(_UnixConnection, urllib.parse.unquote(parts.path), timeout)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(f"url: want http://host:port or unix:///path/of/socket, got {url!r}")
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    if parts.scheme == "http":
        return functools.partial(http.client.HTTPConnection, host, port, timeout=timeout)

    def connect() -> http.client.HTTPConnection:
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)

    return connect


def _record_result(call: Call, result: object) -> None:
    if isinstance(result, (bool, int, float, str)):
        call.record(prediction=result)


def _write(
    events: Iterable[Call | dict[str, Any]], encode: Callable[[object], bytes], *, rests: bool
) -> list[bytes]:
    """Each event as JSON, without those that have none."""
    written = []
    started = time.perf_counter()
    for event in events:
        fields = event._event() if isinstance(event, Call) else event
        try:
            written.append(encode(fields))
        except Exception:  # noqa: BLE001 - a value's own code may raise anything
            with contextlib.suppress(Exception):
                written.append(_dumps(_without_non_finite(fields)))
        if rests and time.perf_counter() - started > SLICE:
            time.sleep(REST)
            started = time.perf_counter()
    return written


def _fitting(batch: list[bytes], limit: int) -> list[bytes]:
    """The first `limit` events, or fewer where they are large."""
    size = 0
    for count, event in enumerate(batch[:limit]):
        size += len(event)
        if size > MAX_BATCH_BYTES and count:
            return batch[:count]
    return batch[:limit]


def _encoder() -> Callable[[object], bytes]:
    """The fastest way to JSON that the server has loaded anyway: a tenth of the time of `json`."""
    msgspec: Any = sys.modules.get("msgspec")
    if msgspec is not None:
        return cast("Callable[[object], bytes]", msgspec.json.Encoder(enc_hook=_plain).encode)
    orjson: Any = sys.modules.get("orjson")
    if orjson is not None:
        return functools.partial(orjson.dumps, default=_plain)
    return _dumps


def _plain(value: object) -> object:
    """Values of numpy, torch and the like as what they hold; they all know `tolist`."""
    tolist = getattr(value, "tolist", None)
    if tolist is None:
        raise TypeError(f"no JSON for {type(value).__name__}")
    return _without_non_finite(tolist())


_compact: Final = json.JSONEncoder(default=_plain, allow_nan=False, separators=(",", ":"))


def _dumps(value: object) -> bytes:
    return _compact.encode(value).encode("ascii")


def _without_non_finite(value: object) -> object:
    """NaN and infinities are no JSON; they are missing values, so they travel as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_non_finite(item) for item in value]
    return value


def _resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where there is no /proc."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _cuda_memory() -> list[dict[str, Any]]:
    """What torch's allocator says of each CUDA device that this process has used.

    torch is not imported, nor CUDA initialised: a server that forks later would not survive it.
    """
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    devices = []
    for index in range(cuda.device_count()):
        stats = cuda.memory_stats(index)
        if not stats.get("reserved_bytes.all.peak"):
            continue
        uuid = getattr(cuda.get_device_properties(index), "uuid", None)
        devices.append(
            {
                "index": index,
                "gpu_uuid": f"GPU-{uuid}" if uuid is not None else "",
                "allocated_bytes": stats["allocated_bytes.all.current"],
                "reserved_bytes": stats["reserved_bytes.all.current"],
                "peak_bytes": stats["allocated_bytes.all.peak"],
                "retries": stats["num_alloc_retries"],
            }
        )
    return devices


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
