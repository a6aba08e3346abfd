"""Ports of the loopback address that nobody uses, nor takes by chance."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from firstboot.base.errors import EngineError

LOOPBACK = "127.0.0.1"

# The first and the last of the ports that the kernel gives to connections, and to whoever asks for
# any port (ip(7)).
_BY_CHANCE = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Programs are known by the ports below.
_ALL = range(10_000, 65_536)


def choose_ports(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """A host port for each name: the known one, else one that is free now."""
    wanted = tuple(names)
    new = [name for name in wanted if name not in known]
    # What a stack that is down for now has been promised does not look taken.
    free = dict(zip(new, free_ports(len(new), taken=known.values()), strict=True))
    return {name: known[name] if name in known else free[name] for name in wanted}


def free_ports(count: int, *, taken: Collection[int] = (), address: str = LOOPBACK) -> list[int]:
    """Different ports that are free (TCP and UDP) and that no connection takes by chance later.

    A port of the kernel's range may be somebody's by the time that a server wants it, or wants it
    again after a restart: each connection of this host has one. Raises EngineError without any.
    """
    first, last = map(int, _BY_CHANCE.read_text(encoding="ascii").split())
    outside = [port for port in _ALL if not first <= port <= last]
    # A host may leave none outside.
    candidates = random.sample(outside, len(outside)) or [0] * 1000
    chosen: list[int] = []
    # Held until all are chosen, so that none is there twice.
    with contextlib.ExitStack() as held:
        while len(chosen) < count and candidates:
            with contextlib.suppress(OSError), contextlib.ExitStack() as both:
                listener = both.enter_context(socket.create_server((address, candidates.pop())))
                port = int(listener.getsockname()[1])
                both.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((address, port))
                held.enter_context(both.pop_all())
                chosen += [] if port in taken else [port]
    if len(chosen) < count:
        raise EngineError(f"{address} has no {count} ports that are free")
    return chosen
