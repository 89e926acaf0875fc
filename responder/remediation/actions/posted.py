"""Actions by HTTP: signed as Standard Webhooks says, and tried again where that is safe.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks, whose libraries verify
the signature; it is base64(HMAC-SHA256(key, "ID.TIMESTAMP.BODY")).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from contract.quantity import Duration
from contract.spec import TrafficAction, WebhookAction
from responder.remediation.actions.done import Doing, Done, about

__all__ = ["Post", "call_webhook", "deliver", "set_traffic", "sign"]

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
_SHOWN: Final = 200
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Post:
    """A request, and when it may be sent again.

    `repeatable` says that it may be although the other side may have begun: it knows the request
    by its id, or doing it twice is the same as once. `already` are statuses that say that it has.
    """

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    key: bytes | None = None
    repeatable: bool = True
    already: frozenset[int] = frozenset()


async def call_webhook(action: WebhookAction, doing: Doing) -> Done:
    """Post the alert."""
    return await _post(action, doing, {"data": action.data}, method="POST")


async def set_traffic(action: TrafficAction, doing: Doing) -> Done:
    """Set the share of the traffic that the model's version gets."""
    about_whom = {"model": doing.notification.model, "version": doing.notification.version}
    told = {**about_whom, "weight": action.weight}
    return await _post(action, doing, told, method=action.method)


async def _post(
    action: WebhookAction | TrafficAction, doing: Doing, told: Mapping[str, Any], *, method: str
) -> Done:
    content = {
        "type": f"remediation.{action.do}",
        "id": doing.id,
        "action": action.label,
        **told,
        "alert": about(doing.notification),
    }
    rules = doing.spec.remediation
    key = signing_key(doing.secret(rules.signing_key_file)) if rules.signing_key_file else None
    post = Post(
        action.url,
        msgspec.json.encode(content),
        doing.bearer(action.token_file),
        method,
        key,
    )
    return await deliver(post, doing, timeout=action.timeout, attempts=action.attempts)


def signing_key(text: str) -> bytes:
    """The key in a file: `whsec_` and base64, as Standard Webhooks has it, or the text itself."""
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("the signing key begins with whsec_ and is no base64") from None


def sign(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = b"%s.%d.%s" % (identity.encode(), timestamp, body)
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


async def deliver(post: Post, doing: Doing, *, timeout: Duration, attempts: int) -> Done:
    """Send it until the other side takes or refuses it, or for `attempts` times.

    Between two attempts lie half a second, then twice as long each time, less a random part so
    that many senders do not come at once.
    """
    said = ""
    for attempt in range(1, attempts + 1):
        if attempt > 1:
            longest = min(FIRST_PAUSE * 2 ** (attempt - 2), LONGEST_PAUSE)
            await asyncio.sleep(longest * random.uniform(0.5, 1))
        after = f" (attempt {attempt})" if attempt > 1 else ""
        try:
            answer = await doing.client.request(
                post.method,
                post.url,
                content=post.body,
                headers=_headers(post, doing.id),
                timeout=timeout.seconds,
            )
        except httpx.TransportError as error:
            said = f"{type(error).__name__}: {str(error) or 'no answer'}{after}"
            if post.repeatable or isinstance(error, _NEVER_SENT):
                continue
            return Done(ok=False, detail=f"{said}; it may have arrived, so it is not sent again")
        said = f"answered {answer.status_code}{after}"
        if answer.is_success or answer.status_code in post.already:
            return Done(ok=True, detail=said)
        said += f": {answer.text[:_SHOWN]}" if answer.text else ""
        if not (post.repeatable and answer.is_server_error):
            return Done(ok=False, detail=said)
    return Done(ok=False, detail=said)


def _headers(post: Post, identity: str) -> dict[str, str]:
    """The headers of one attempt, whose signature holds its own time."""
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": identity,
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        **post.headers,
    }
    if post.key is not None:
        headers["webhook-signature"] = sign(post.key, identity, timestamp, post.body)
    return headers
