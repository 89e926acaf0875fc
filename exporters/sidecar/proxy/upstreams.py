"""What a sidecar does about models' upstreams: forwards to them, probes them, reads their logs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.routing import BaseRoute

from contract.logs import Format
from contract.spec import Spec
from exporters.expose import Family
from exporters.sidecar import cloudevents
from exporters.sidecar.cloudevents import CloudEvents
from exporters.sidecar.health import Health
from exporters.sidecar.intake import Intake
from exporters.sidecar.proxy.exchange import Exchange
from exporters.sidecar.proxy.families import note_progress, proxy_families
from exporters.sidecar.proxy.observe import Observer
from exporters.sidecar.proxy.supervise import Proxy, proxies_of

__all__ = ["Upstreams"]


class Upstreams:
    """The proxies, the probes and KServe's logger of one sidecar."""

    def __init__(
        self,
        intake: Intake,
        spec: Spec,
        *,
        names: Sequence[str] = (),
        listen: str | None = None,
        log_format: Format = "auto",
    ) -> None:
        """For the models called `names`, or all; `listen` is the address of the only proxy.

        Raises ProxyError, also where an address is taken.
        """
        self._intake = intake
        self._observer = Observer(intake)
        self._proxies = proxies_of(spec, names, listen)
        self._health = Health([m for m in spec.models if not names or m.name in names])
        self._events = CloudEvents(self._observer)
        for proxy in self._proxies:
            proxy.log_format = log_format
            proxy.bind()

    def routes(self) -> list[BaseRoute]:
        """The routes of the sidecar's own address."""
        return [cloudevents.route(self._events, self._intake)]

    def status(self) -> dict[tuple[str, str], dict[str, object]]:
        """The health of each upstream, by model name and version."""
        return self._health.status()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forward, probe and join for the length of the block."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._events.running())
            await stack.enter_async_context(self._health.running())
            for proxy in self._proxies:
                await stack.enter_async_context(proxy.running(self._take))
            yield

    def families(self) -> Iterator[Family]:
        """What is known now; to be asked before the intake for its own, whose calls it notes."""
        note_progress(self._intake, self._proxies)
        yield from proxy_families(self._proxies, self._observer)
        yield from self._health.families()
        yield from self._events.families()

    def _take(self, proxy: Proxy, exchanges: Sequence[Exchange]) -> None:
        paths = [path for path, _ in proxy.mapped]
        self._observer.take(exchanges, f"proxy {proxy.listen}", paths)
