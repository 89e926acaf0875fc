"""Which ports are taken, and by whom."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

__all__ = ["TakenPort", "find_taken", "read_holder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenPort:
    """An address that one of our processes needs and another process holds."""

    name: str
    address: str
    variable: str
    holder: str

    def __str__(self) -> str:
        port = int(self.address.rpartition(":")[2])
        other = port + 10_000 if port < 50_000 else port - 10_000
        return (
            f"{self.address} ({self.name}) is taken by {self.holder}; "
            f"stop it, or choose another port: make up {self.variable}={other}"
        )


def find_taken(addresses: Mapping[str, str], variables: Mapping[str, str]) -> list[TakenPort]:
    """All addresses that can't be listened on now, in the order given.

    Two of our own processes on one address count too: the later one finds it taken.
    """
    taken: list[TakenPort] = []
    seen: dict[str, str] = {}
    for name, address in addresses.items():
        if address in seen:
            holder = f"{seen[address]} of this stack"
        elif _is_free(address):
            seen[address] = name
            continue
        else:
            holder = read_holder(int(address.rpartition(":")[2]))
        taken.append(TakenPort(name=name, address=address, variable=variables[name], holder=holder))
    return taken


def _is_free(address: str) -> bool:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that lingers in TIME_WAIT is no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
            probe.listen(1)
        except OSError:
            return False
    return True


def read_holder(port: int) -> str:
    """Who listens on the TCP port: command and pid, as far as this user may know."""
    unknown = f"a process that only root may see (sudo lsof -iTCP:{port} -sTCP:LISTEN names it)"
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS shows the list to root alone
        return unknown
    pids = {
        connection.pid
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == port
    }
    known = sorted(pid for pid in pids if pid)
    if not known:
        return unknown
    return ", ".join(_describe(pid) for pid in known)


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"pid {pid}"
    short = command if len(command) <= 80 else command[:77] + "..."
    return f"pid {pid} ({short})"
