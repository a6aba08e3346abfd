"""Which of its addresses the machine talks to the Internet from: what the kernel's routes say."""

from __future__ import annotations

import ipaddress
import socket

from firstboot.base.rules import IPAddress

# Addresses for documentation (RFC 5737, RFC 3849): reached by the default route, and nobody's.
_FAR = {4: (socket.AF_INET, "192.0.2.1"), 6: (socket.AF_INET6, "2001:db8::1")}


def outgoing_address(version: int) -> IPAddress | None:
    """The source address for far-away IPv4 (4) or IPv6 (6), None without a route to there.

    Nothing is sent: connecting a UDP socket only chooses a route (connect(2), udp(7)).
    """
    family, far = _FAR[version]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 53))
            return ipaddress.ip_address(probe.getsockname()[0])
    except OSError:
        return None


def outgoing_addresses() -> tuple[IPAddress, ...]:
    """Those of both versions, IPv4 first."""
    found = (outgoing_address(version) for version in _FAR)
    return tuple(address for address in found if address is not None)
