"""What the proxies of a sidecar tell of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contract import catalog
from exporters.expose import Family, series
from exporters.sidecar.intake import Intake
from exporters.sidecar.proxy.exchange import FAILURES
from exporters.sidecar.proxy.observe import Observer
from exporters.sidecar.proxy.supervise import Proxy

__all__ = ["note_progress", "proxy_families"]


def note_progress(intake: Intake, proxies: Sequence[Proxy]) -> None:
    """Tell the intake how many calls the proxies have in progress now."""
    for proxy in proxies:
        for model, count in zip(proxy.models, proxy.shared.in_progress(), strict=True):
            intake.processes.here[model.key] = max(count, 0)


def proxy_families(proxies: Sequence[Proxy], observer: Observer) -> Iterator[Family]:
    """Sums over all proxies; all 0 where there is none."""

    def total(name: str) -> int:
        return sum(proxy.shared.count(name) for proxy in proxies)

    unread = {**observer.unread, "dropped": total("dropped")}
    unread["error"] = total("errors") + observer.errors + sum(proxy.errors for proxy in proxies)
    others = total("requests") - total("inferences")
    kinds = {"inference": total("inferences"), "other": others, "refused": total("refused")}
    metric = catalog.PROXY_REQUESTS
    yield Family(metric, [(series(metric, kind=kind), n) for kind, n in kinds.items()])
    metric = catalog.PROXY_UNREAD
    yield Family(metric, [(series(metric, reason=why), n) for why, n in unread.items()])
    metric = catalog.PROXY_UPSTREAM_FAILURES
    yield Family(metric, [(series(metric, reason=why), total(why)) for why in FAILURES])
    metric = catalog.PROXY_CONNECTIONS
    yield Family(metric, [(series(metric), total("connections"))])
    metric = catalog.PROXY_RESTARTS
    yield Family(metric, [(series(metric), sum(proxy.restarts for proxy in proxies))])
