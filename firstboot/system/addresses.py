"""ip-address(8): under which addresses others reach this machine."""

from __future__ import annotations

import ipaddress
import json

from firstboot.base.run import run


def reachable_addresses() -> tuple[str, ...]:
    """Global and private addresses of the links that are up, IPv4 first, none of containers.

    Temporary and deprecated IPv6 addresses are left out: they go away. CommandError when ip fails.
    """
    listed = run(["ip", "-json", "address", "show", "up", "scope", "global"], timeout=30).stdout
    found = [
        ipaddress.ip_address(address["local"])
        for link in json.loads(listed or "[]")
        if not str(link.get("ifname", "")).startswith(("docker", "br-", "veth"))
        for address in link.get("addr_info", ())
        if not address.get("temporary") and not address.get("deprecated") and "local" in address
    ]
    return tuple(str(address) for address in sorted(found, key=lambda each: (each.version, each)))
