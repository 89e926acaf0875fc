"""The sidecar's side of a proxy: the process that forwards, started, kept alive and listened to."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from contract import logs
from contract.spec import MappedPath, Model, Spec
from exporters.sidecar.proxy.exchange import Exchange, Frames, Shared
from exporters.sidecar.proxy.forward import Limits
from exporters.sidecar.proxy.process import Settings, take_over

__all__ = ["Proxy", "ProxyError", "proxies_of"]

log = logs.logger()

STOP_SECONDS: Final = 4.0

Take = Callable[["Proxy", Sequence[Exchange]], None]


class ProxyError(ValueError):
    """A proxy that cannot be: its address, or what it should forward to."""


@dataclass(slots=True)
class Proxy:
    """One address that forwards to one upstream, for `models` in the order of models.yaml.

    `mapped` are the paths that models.yaml maps, each with the name of its model.
    """

    listen: str
    upstream: str
    models: Sequence[Model]
    mapped: Sequence[tuple[MappedPath, str]]
    limits: Limits = field(default_factory=Limits)
    log_format: logs.Format = "auto"
    restarts: int = 0
    errors: int = 0
    """Exchanges that could not be taken for a fault of ours."""
    shared: Shared = field(init=False)
    _memory: int = field(init=False)
    _listener: socket.socket | None = None
    _stopping: bool = False

    def __post_init__(self) -> None:
        with tempfile.TemporaryFile() as file:
            size = Shared.size(len(self.models))
            os.ftruncate(file.fileno(), size)
            self._memory = os.dup(file.fileno())
        os.set_inheritable(self._memory, True)
        self.shared = Shared(self._memory, len(self.models))

    def bind(self) -> None:
        """Take the address, from an orphaned proxy if one has it. Raises ProxyError."""
        host, _, port = self.listen.rpartition(":")
        listener = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host.strip("[]"), int(port)))
            listener.listen(2048)
        except OSError as error:
            listener.close()
            inherited = take_over(self.listen) if error.errno == errno.EADDRINUSE else None
            if inherited is None:
                reason = error.strerror or error
                raise ProxyError(f"the proxy cannot listen on {self.listen}: {reason}") from None
            listener = inherited
        self._listener = listener

    @asynccontextmanager
    async def running(self, take: Take) -> AsyncIterator[None]:
        """Forward, and give `take` the exchanges, for the length of the block."""
        task = asyncio.create_task(self._run(take))
        try:
            yield
        finally:
            self._stopping = True
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if self._listener is not None:
                self._listener.close()

    async def _run(self, take: Take) -> None:
        pause = 0.1
        while True:
            began = time.monotonic()
            status = await self._run_once(take)
            self.shared.forget_progress()
            self.restarts += 1
            # One that ran for a while did not fail for its settings.
            pause = 0.1 if time.monotonic() - began > 10 else min(2 * pause, 5.0)
            log.error("proxy_ended", listen=self.listen, status=status, restart_in_seconds=pause)
            await asyncio.sleep(pause)

    async def _run_once(self, take: Take) -> int:
        assert self._listener is not None
        ours, theirs = socket.socketpair()
        settings = Settings(
            listen=self.listen,
            upstream=_address(self.upstream),
            models=[model.key for model in self.models],
            mapped=[(mapped.path, name) for mapped, name in self.mapped],
            log_format=self.log_format,
            listener=self._listener.fileno(),
            line=theirs.fileno(),
            memory=self._memory,
            limits=self.limits,
        )
        loop = asyncio.get_running_loop()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "exporters.sidecar.proxy.process",
                msgspec.json.encode(settings).decode(),
                pass_fds=(settings.listener, settings.line, settings.memory),
                stdin=asyncio.subprocess.DEVNULL,
            )
        line, _ = await loop.create_connection(lambda: _Line(self, take), sock=ours)
        log.info("proxying", listen=self.listen, upstream=self.upstream, pid=process.pid)
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            raise
        finally:
            line.close()


class _Line(asyncio.Protocol):
    """What the forwarding process tells."""

    def __init__(self, proxy: Proxy, take: Take) -> None:
        self._proxy = proxy
        self._take = take
        self._frames = Frames()

    def data_received(self, data: bytes) -> None:
        try:
            self._take(self._proxy, list(self._frames.feed(data)))
        except Exception:
            self._proxy.errors += 1
            log.exception("exchanges_lost", listen=self._proxy.listen)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host.strip("[]"), int(port)


def proxies_of(spec: Spec, names: Sequence[str] = (), listen: str | None = None) -> list[Proxy]:
    """The proxies of models.yaml, for the models called `names` or all.

    `listen` is the address of the proxy in place of those written there. Raises ProxyError.
    """
    models = [
        model
        for model in spec.models
        if (not names or model.name in names) and model.serving.upstream
    ]
    by_address: dict[str, list[Model]] = {}
    for model in models:
        if address := listen or model.serving.proxy:
            by_address.setdefault(address, []).append(model)
    if listen and not by_address:
        raise ProxyError("--proxy-listen: no model has an upstream; add it to its serving:")
    return [_proxy_of(address, own) for address, own in by_address.items()]


def _proxy_of(address: str, models: Sequence[Model]) -> Proxy:
    upstreams = list(dict.fromkeys(model.serving.upstream for model in models))
    (upstream, *more) = upstreams
    if more or upstream is None:
        raise ProxyError(
            f"the proxy on {address} would forward to {' and '.join(map(str, upstreams))}: "
            "choose models with --model, or give each its own serving.proxy"
        )
    mapped = [(path, model.name) for model in models for path in model.serving.paths]
    return Proxy(address, upstream, models, mapped)
