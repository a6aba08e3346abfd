"""Whether a machine on the same network answers (ARP, neighbour discovery): ip-neighbour(8)."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket

from firstboot.base.errors import DeadlineError
from firstboot.base.run import run
from firstboot.base.waiting import wait_for

# The service "discard" (RFC 863): whoever gets it need not answer that, only say where it is.
_DISCARD = 9
_KNOWN = {"REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT"}


def answers(address: str, seconds: float) -> bool:
    """Whether a neighbour says within so many seconds that an address is its own.

    Needs neither an open port there nor that it answers pings. CommandError when ip fails.
    """

    def look() -> bool:
        _knock(address)
        listed = run(["ip", "-json", "neigh", "show", "to", address], timeout=30).stdout
        return any(
            "lladdr" in entry and _KNOWN & set(entry.get("state", ()))
            for entry in json.loads(listed.strip() or "[]")
        )

    with contextlib.suppress(DeadlineError):
        return wait_for(look, what=f"an answer of {address}", timeout=seconds)
    return False


def _knock(address: str) -> None:
    """Send something there, so that the kernel looks for it."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as knocking:
        knocking.sendto(b"\0", (address, _DISCARD))
