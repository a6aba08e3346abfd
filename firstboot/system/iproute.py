"""ip(8): the routes out, and which neighbours answer."""

from __future__ import annotations

import ipaddress
import json
import socket
from dataclasses import dataclass
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.base.run import run

# States of ip-neighbour(8) in which the kernel knows the hardware address of a neighbour.
_KNOWN = {"PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE"}
# To send anything makes the kernel look for the neighbour: port 9 discards it (RFC 863).
_DISCARD = 9


@dataclass(frozen=True)
class Gateway:
    """A default route: by which address (None for a link without neighbours) and interface."""

    address: str | None
    interface: str


def default_gateways() -> tuple[Gateway, ...]:
    """The default routes of IPv4 and IPv6; MachineError when ip does not tell."""
    found = [
        Gateway(route.get("gateway") or route.get("via", {}).get("host"), route["dev"])
        for version in ("-4", "-6")
        for route in _ask("ip", "-json", version, "route", "show", "default")
        if "dev" in route
    ]
    return tuple(dict.fromkeys(found))


def failed_addresses() -> tuple[str, ...]:
    """This machine's IPv6 addresses that it does not use, since somebody else has them."""
    return tuple(
        str(address["local"])
        for link in _ask("ip", "-json", "-6", "address", "show")
        for address in link.get("addr_info", ())
        if address.get("dadfailed") and "local" in address
    )


def look_for(gateway: Gateway) -> None:
    """Have the kernel find out the gateway's hardware address, by sending it an empty datagram."""
    if gateway.address is None:
        return
    version = ipaddress.ip_address(gateway.address).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            scope = socket.if_nametoindex(gateway.interface) if version == 6 else 0
            target = (gateway.address, _DISCARD) if version == 4 else (gateway.address, 9, 0, scope)
            probe.sendto(b"", target)
        except OSError:
            # That it cannot be sent shows in the neighbour's state.
            return


def answers(gateway: Gateway) -> bool:
    """Whether the kernel knows the gateway's hardware address by now."""
    if gateway.address is None:
        return True
    known = _ask(
        "ip", "-json", "neighbour", "show", "to", gateway.address, "dev", gateway.interface
    )
    return any(_KNOWN & set(entry.get("state", ())) for entry in known)


def _ask(*words: str) -> list[dict[str, Any]]:
    text = run(words, timeout=30).stdout.strip()
    try:
        found: list[dict[str, Any]] = json.loads(text or "[]")
    except ValueError:
        raise MachineError(f"`{' '.join(words)}` gave no JSON") from None
    return found
