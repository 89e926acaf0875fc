"""The forwarding process: started by the sidecar, and needing nothing of it to go on.

When the sidecar is gone without having said so, this process forwards unobserved, until a new
sidecar asks it for the address (`take_over`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Final, cast

import msgspec
import uvloop

from contract import logs
from exporters.sidecar.proxy.exchange import Exchange, Shared, encode_frame
from exporters.sidecar.proxy.forward import Forwarder, Limits
from exporters.sidecar.proxy.routes import Routes

__all__ = ["Settings", "main", "take_over"]

MAX_WAITING: Final = 32 * 1024 * 1024
"""Bytes that wait for the sidecar to read them; exchanges beyond that are dropped and counted."""

DRAIN_SECONDS: Final = 2.0
ORPHAN_DRAIN_SECONDS: Final = 30.0

log = logs.logger()


class Settings(msgspec.Struct):
    """What the sidecar tells the process that it starts. The last three are descriptors."""

    listen: str
    upstream: tuple[str, int]
    models: list[tuple[str, str]]
    mapped: list[tuple[str, str]]
    log_format: logs.Format
    listener: int
    line: int
    memory: int
    limits: Limits = Limits()


def main(text: str) -> int:
    """Forward until told to stop; the exit status."""
    settings = msgspec.json.decode(text, type=Settings)
    logs.setup("proxy", settings.log_format)
    uvloop.run(_Process(settings).run())
    return 0


class _Line(asyncio.Protocol):
    """The way to the sidecar."""

    transport: asyncio.Transport

    def __init__(self, process: _Process) -> None:
        self._process = process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.set_write_buffer_limits(high=MAX_WAITING)

    def connection_lost(self, _: Exception | None) -> None:
        self._process.orphan()


class _Process:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener = socket.socket(fileno=settings.listener)
        self._shared = Shared(settings.memory, len(settings.models))
        self._line = _Line(self)
        self._stopping = asyncio.Event()
        self._orphaned = self._handed_over = False
        self._heir: socket.socket | None = None
        self._forwarder = Forwarder(
            upstream=settings.upstream,
            routes=Routes(settings.models, settings.mapped),
            shared=self._shared,
            report=self._report,
            limits=settings.limits,
        )

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        # Ctrl-C reaches the whole group; the sidecar then says when to stop.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        line = socket.socket(fileno=self._settings.line)
        await loop.create_connection(lambda: self._line, sock=line)
        server = await loop.create_server(self._forwarder.client, sock=self._listener, backlog=2048)
        sweeper = asyncio.create_task(self._forwarder.sweep())
        await self._stopping.wait()
        server.close()
        if self._handed_over:
            await self._forwarder.drain(ORPHAN_DRAIN_SECONDS, patiently=True)
        else:
            await self._forwarder.drain(DRAIN_SECONDS)
        sweeper.cancel()
        await asyncio.sleep(0)  # the last reports
        self._orphaned = True
        self._line.transport.close()
        await asyncio.sleep(0)

    def _report(self, exchange: Exchange) -> None:
        transport = self._line.transport
        if transport.is_closing() or transport.get_write_buffer_size() > MAX_WAITING:
            self._shared.add("dropped")
        else:
            transport.write(encode_frame(exchange))

    def orphan(self) -> None:
        """The sidecar is gone."""
        if self._orphaned or self._stopping.is_set():
            return
        self._orphaned = True
        log.warning("sidecar_lost", listen=self._settings.listen, now="forwarding unobserved")
        heir = socket.socket(socket.AF_UNIX)
        try:
            heir.bind(_name(self._settings.listen))
        except OSError as error:
            # No abstract addresses here (not Linux), so nobody could ask for the port.
            log.error("orphan_stops", reason=str(error))
            self._stopping.set()
            return
        heir.listen()
        heir.setblocking(False)
        self._heir = heir
        asyncio.get_running_loop().add_reader(heir, self._hand_over)

    def _hand_over(self) -> None:
        assert self._heir is not None
        with suppress(OSError):
            asking, _ = self._heir.accept()
            with asking:
                if _user_of(asking) == os.getuid():
                    socket.send_fds(asking, [b"."], [self._settings.listener])
                    asyncio.get_running_loop().remove_reader(self._heir)
                    self._heir.close()
                    self._handed_over = True
                    log.info("handed_over", listen=self._settings.listen)
                    self._stopping.set()


def take_over(listen: str) -> socket.socket | None:
    """The listening socket of a proxy whose sidecar is gone; None where there is no such proxy."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(2)
        try:
            asking.connect(_name(listen))
            if _user_of(asking) != os.getuid():
                return None
            _, files, _, _ = socket.recv_fds(asking, 1, 1)
        except OSError:
            return None
    return socket.socket(fileno=files[0]) if files else None


def _name(listen: str) -> str:
    """An abstract address: it needs no file and ends with its process."""
    return f"\0ml-sidecar-proxy/{listen}"


def _user_of(peer: socket.socket) -> int:
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
