"""Which TCP ports the machine listens on, from /proc/net/tcp and tcp6 (proc_net_tcp(5))."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/net")
_LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """An address and port where somebody waits for connections."""

    address: str
    port: int

    @property
    def reachable(self) -> bool:
        """Whether anybody but this machine can reach it."""
        return not ipaddress.ip_address(self.address).is_loopback


def listening(proc: Path = PROC) -> frozenset[Listener]:
    """All TCP listeners in this network namespace, over IPv4 and IPv6."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            # A kernel without IPv6 has no tcp6.
            continue
        for line in lines:
            local, state = line.split()[1], line.split()[3]
            if state == _LISTEN:
                address, _, port = local.partition(":")
                found.add(Listener(_address(address), int(port, 16)))
    return frozenset(found)


def _address(text: str) -> str:
    """The kernel prints addresses as 32-bit words in the machine's own byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    address = socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)
    mapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None)
    return str(mapped or address)
