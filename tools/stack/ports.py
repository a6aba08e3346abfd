"""Ports of the loopback address that nobody uses."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"


def choose_ports(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """A host port for each name: the known one, else one that is free now.

    Free ones are held until all are chosen, so that no two names get the same.
    """
    chosen: dict[str, int] = {}
    with contextlib.ExitStack() as held:
        for name in names:
            if name in known:
                chosen[name] = known[name]
                continue
            chosen[name] = _free_port(held, set(known.values()))
    return chosen


def _free_port(held: contextlib.ExitStack, taken: set[int]) -> int:
    while True:
        listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        # What a stack that is down for now has been promised does not look taken.
        if port not in taken:
            return port
