"""The processes that sidecars report under their models: `pids` of GET /v1/status.

    {"models": [{"model_name": "fraud", "model_version": "2", "pids": [4711]}]}

Everything else in the answer is left alone, and so is a model without `pids`: an older sidecar,
or one that nobody told. A pid means something only on the machine that it is of, so that only
sidecars at an address of this machine are asked.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psutil

from contract import logs
from contract.spec import Model

__all__ = ["Sidecars"]

log = logs.logger()

INTERVAL: Final = 10.0
TIMEOUT: Final = 2.0
KEPT: Final = 60.0
"""Seconds that the last answer of a silent sidecar is believed."""

LARGEST: Final = 16 * 1024 * 1024
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))

Owner = tuple[str, str]


class Sidecars:
    """Asks the sidecars of some models over and over, in a thread of its own."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._pids: dict[Owner, frozenset[int]] = {}
        self._answered: dict[Owner, float] = {}
        self._errors = dict.fromkeys((model.key for model in models), 0)
        self._told: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sidecars", daemon=True)

    @property
    def pids(self) -> Mapping[Owner, frozenset[int]]:
        """The processes of each model, as its sidecars last said."""
        now = time.monotonic()
        with self._lock:
            return {
                owner: pids
                for owner, pids in self._pids.items()
                if now - self._answered[owner] < KEPT
            }

    @property
    def errors(self) -> Mapping[Owner, int]:
        """How often a model's sidecars did not answer."""
        with self._lock:
            return dict(self._errors)

    def start(self) -> None:
        """Ask in the background from now on; does nothing without models."""
        if self._models:
            self._thread.start()

    def stop(self) -> None:
        """Stop asking; a call that takes long is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._ask()
            self._stop.wait(INTERVAL)

    def _ask(self) -> None:
        statuses: dict[str, Any] = {}
        for model in self._models:
            found: set[int] = set()
            answered = False
            for target in model.serving.sidecars:
                if not _is_here(target):
                    self._tell(target, "is not an address of this machine")
                    continue
                if target not in statuses:
                    statuses[target] = self._fetch(target)
                if statuses[target] is not None:
                    answered = True
                    found |= _pids_of(statuses[target], model)
            self._keep(model.key, frozenset(found), answered=answered)

    def _keep(self, owner: Owner, pids: frozenset[int], *, answered: bool) -> None:
        with self._lock:
            if answered:
                self._pids[owner], self._answered[owner] = pids, time.monotonic()
            else:
                self._errors[owner] += 1

    def _fetch(self, target: str) -> Any:
        """What a sidecar says of itself; None where it does not."""
        try:
            with _OPENER.open(f"http://{target}/v1/status", timeout=TIMEOUT) as response:
                status = json.loads(response.read(LARGEST))
        except (OSError, ValueError) as error:
            self._tell(target, str(error))
            return None
        self._told.discard(target)
        return status

    def _tell(self, target: str, reason: str) -> None:
        if target not in self._told:
            self._told.add(target)
            log.warning("sidecar_gives_no_pids", target=target, reason=reason)


def _pids_of(status: Any, model: Model) -> set[int]:
    """The pids under a model; what is not shaped as expected holds none."""
    models = status.get("models") if isinstance(status, dict) else None
    found: set[int] = set()
    for entry in models if isinstance(models, list) else []:
        if not isinstance(entry, dict):
            continue
        if (entry.get("model_name"), entry.get("model_version")) == model.key:
            pids = entry.get("pids")
            found |= {
                pid
                for pid in (pids if isinstance(pids, list) else [])
                if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0
            }
    return found


def _is_here(target: str) -> bool:
    """Whether host:port is an address of this machine."""
    host = target.rpartition(":")[0].strip("[]")
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    own = {address.address for each in psutil.net_if_addrs().values() for address in each}
    return all(ipaddress.ip_address(str(a)).is_loopback or a in own for a in found)
