"""systemd-resolved(8): the resolvers that the network, or the settings, told the machine to use."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from firstboot.system.dnsclient import Server

# The servers behind the stub of systemd-resolved, which answers some names by itself.
UPSTREAM = Path("/run/systemd/resolve/resolv.conf")


def upstream_servers(path: Path = UPSTREAM) -> tuple[Server, ...]:
    """The servers in resolv.conf(5) form; none when the file is not there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    addresses = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return tuple(Server(address) for address in addresses if _is_address(address))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
