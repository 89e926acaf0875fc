"""KServe's inference logger: CloudEvents over HTTP, a request and its response joined by id.

Both come one by one, in either order, from the logger beside the model. A half waits `TIME_TO_LIVE`
for the other. A response alone still counts as a prediction, a request alone as an error: KServe
logs no response that is none. Of a model that has never logged one, the logger is taken to be set
to requests only, and a request alone counts as a success whose prediction nobody saw.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contract import catalog
from exporters.expose import Family, series
from exporters.sidecar.event import MAX_ID, Refusal
from exporters.sidecar.intake import Intake
from exporters.sidecar.log.batch import LogError
from exporters.sidecar.proxy.exchange import Exchange
from exporters.sidecar.proxy.observe import Observer
from exporters.sidecar.web import MAX_BODY

__all__ = ["PATH", "CloudEvent", "CloudEventError", "CloudEvents", "read_cloud_events", "route"]

PATH: Final = "/v1/cloudevents"

TIME_TO_LIVE: Final = 60.0
MAX_WAITING: Final = 10_000
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024

_STRUCTURED: Final = "application/cloudevents+json"
_BATCHED: Final = "application/cloudevents-batch+json"

RESULTS: Final = ("joined", "unmatched", "rejected")


class CloudEventError(ValueError):
    """What is wrong with an event: `field` and message."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """A logged request or response, and of which InferenceService; `data` is its body as sent."""

    identity: str
    service: str
    request: bool
    time: float | None
    data: bytes
    kind: str


def read_cloud_events(
    headers: Mapping[str, str], body: bytes
) -> list[CloudEvent | CloudEventError]:
    """The events of a request, in binary, structured or batched mode; errors in their places.

    Names in `headers` are in lower case. Raises CloudEventError where the whole body is none.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {_STRUCTURED, _BATCHED}:
        try:
            found = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise CloudEventError("", f"the body is not JSON: {error}") from None
        many = found if isinstance(found, list) and kind == _BATCHED else [found]
        return [_tried(_read_structured, item) for item in many]
    attributes = {
        name.removeprefix("ce-"): value for name, value in headers.items() if name[:3] == "ce-"
    }
    return [_tried(lambda found: _read(found, body, kind), attributes)]


def _tried(read: Callable[[Any], CloudEvent], item: Any) -> CloudEvent | CloudEventError:
    try:
        return read(item)
    except CloudEventError as error:
        return error


def _read_structured(item: Any) -> CloudEvent:
    if not isinstance(item, dict):
        raise CloudEventError("", "should be a JSON object")
    kind = item.get("datacontenttype", "application/json")
    if "data_base64" in item:
        try:
            data = base64.b64decode(item["data_base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise CloudEventError("data_base64", "is not base64") from None
    elif isinstance(item.get("data"), str):
        data = item["data"].encode()
    else:
        data = msgspec.json.encode(item.get("data"))
    return _read(item, data, str(kind))


def _read(attributes: Mapping[str, Any], data: bytes, kind: str) -> CloudEvent:
    if attributes.get("specversion") not in {"1.0", "0.3"}:
        raise CloudEventError("specversion", "is missing or not 1.0")
    identity = attributes.get("id")
    if not isinstance(identity, str) or not 0 < len(identity) <= MAX_ID:
        raise CloudEventError("id", f"should be text of 1 to {MAX_ID} characters")
    what = str(attributes.get("type", ""))
    if not what.endswith((".inference.request", ".inference.response")):
        raise CloudEventError(
            "type",
            "should be org.kubeflow.serving.inference.request or …response, as KServe sends it",
        )
    service = attributes.get("inferenceservicename", "")
    if not isinstance(service, str) or len(service) > MAX_ID:
        raise CloudEventError("inferenceservicename", "should be the name of a model")
    moment = _moment(attributes.get("time"))
    return CloudEvent(identity, service, what.endswith("request"), moment, data, kind)


def _moment(text: Any) -> float | None:
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class CloudEvents:
    """Halves that wait for the other, and how many were joined."""

    def __init__(
        self,
        observer: Observer,
        *,
        limit: int = MAX_WAITING,
        bytes_limit: int = MAX_WAITING_BYTES,
        time_to_live: float = TIME_TO_LIVE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.results: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self._observer = observer
        self._limit, self._bytes_limit, self._time_to_live = limit, bytes_limit, time_to_live
        self._clock = clock
        self._waiting: OrderedDict[tuple[str, str, bool], tuple[CloudEvent, float]]
        self._waiting = OrderedDict()
        self._bytes = 0
        self._responding: set[str] = set()
        """Models that have logged a response; no more than joined ones, so as many as there are."""

    @property
    def waiting(self) -> int:
        """Halves that wait for the other."""
        return len(self._waiting)

    def take(self, event: CloudEvent) -> Awaitable[None] | None:
        """Join an event with its other half, or let it wait for it.

        What is returned is done once the prediction is kept, or fails with LogError.
        """
        durable = None
        other = self._pop((event.service, event.identity, not event.request))
        if other is not None:
            request, response = (event, other) if event.request else (other, event)
            self.results["joined"] += 1
            if len(self._responding) < self._limit:
                self._responding.add(event.service)
            durable = self._count(request, response)
        else:
            key = (event.service, event.identity, event.request)
            if key not in self._waiting:  # else it was delivered twice
                self._waiting[key] = (event, self._clock())
                self._bytes += len(event.data)
        self.forget()
        return durable

    def forget(self) -> None:
        """Give up halves that have waited too long, or are too many."""
        oldest = self._clock() - self._time_to_live
        while self._waiting:
            key, (_, since) = next(iter(self._waiting.items()))
            fits = len(self._waiting) <= self._limit and self._bytes <= self._bytes_limit
            if since > oldest and fits:
                return
            alone = self._pop(key)
            assert alone is not None
            self._miss(alone)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give up in time, even while nothing arrives, for the length of the block."""
        task = asyncio.create_task(self._forget_on())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _forget_on(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.forget()

    def families(self) -> Iterator[Family]:
        """What came of the events."""
        metric = catalog.CLOUD_EVENTS
        counts = self.results.items()
        yield Family(metric, [(series(metric, result=name), count) for name, count in counts])

    def _pop(self, key: tuple[str, str, bool]) -> CloudEvent | None:
        found = self._waiting.pop(key, None)
        if found is None:
            return None
        self._bytes -= len(found[0].data)
        return found[0]

    def _miss(self, event: CloudEvent) -> None:
        self.results["unmatched"] += 1
        if event.request:
            self._count(event, None)
        else:
            self._count(None, event)

    def _count(
        self, request: CloudEvent | None, response: CloudEvent | None
    ) -> Awaitable[None] | None:
        known = request or response
        assert known is not None
        seconds = None
        if request and response and request.time is not None and response.time is not None:
            seconds = response.time - request.time
        answers = response is not None or known.service not in self._responding
        exchange = Exchange(
            kind=_kind(request, response),
            model=known.service or _model_name(response),
            version=None,
            path=PATH,
            status=200 if answers else 0,
            seconds=None if seconds is None or seconds < 0 else seconds,
            finished=known.time if known.time is not None else time.time(),
            failed=False,
            request=request.data if request else b"",
            response=response.data if response else b"",
            request_headers={
                "content-type": request.kind if request else "",
                "x-request-id": known.identity,
            },
            response_headers={"content-type": response.kind if response else ""},
        )
        return self._observer.take([exchange], PATH, distinct=True)


def route(events: CloudEvents, intake: Intake) -> Route:
    """`POST /v1/cloudevents`: where KServe's `logger.url` points to."""

    async def post(request: Request) -> Response:
        try:
            body = await _read_body(request)
            found = read_cloud_events(request.headers, body)
        except CloudEventError as error:
            found = [error]
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        errors: list[dict[str, object]] = []
        durable: list[Awaitable[None] | None] = []
        for index, event in enumerate(found):
            if isinstance(event, CloudEventError):
                events.results["rejected"] += 1
                problem = (event.field, str(event))
                intake.refuse(Refusal(index, "decode", (problem,)), PATH)
                errors.append({"index": index, "field": problem[0], "message": problem[1]})
            else:
                durable.append(events.take(event))
        try:
            for kept in durable:
                if kept is not None:
                    await kept
        except LogError as error:
            return Response(str(error), 503)  # the logger sends it again
        accepted = len(found) - len(errors)
        answer = {"accepted": accepted, "rejected": len(errors), "errors": errors[:100]}
        status = 200 if accepted or not errors else 400
        return Response(msgspec.json.encode(answer), status, media_type="application/json")

    return Route(PATH, post, methods=["POST"])


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise CloudEventError("", f"the body is larger than {MAX_BODY} bytes")
    return bytes(body)


class _Shape(msgspec.Struct):
    inputs: Any = None
    outputs: Any = None
    model_name: Any = None


_SHAPES: Final = msgspec.json.Decoder(_Shape)


def _shape(event: CloudEvent | None) -> _Shape:
    if event is not None:
        with suppress(msgspec.MsgspecError, RecursionError, UnicodeError):
            return _SHAPES.decode(event.data)
    return _Shape()


def _kind(request: CloudEvent | None, response: CloudEvent | None) -> str:
    """The protocol of the bodies: only the Open Inference Protocol has tensors."""
    for tensors in (_shape(request).inputs, _shape(response).outputs):
        if isinstance(tensors, list) and tensors and isinstance(tensors[0], dict):
            return "v2" if "datatype" in tensors[0] else "tensorflow"
    return "tensorflow"


def _model_name(response: CloudEvent | None) -> str:
    name = _shape(response).model_name
    return name if isinstance(name, str) else ""
