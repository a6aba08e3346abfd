"""A port for a server that is started later, or never."""

from __future__ import annotations

from tools.stack.ports import LOOPBACK, free_ports


def free_port(address: str = LOOPBACK) -> int:
    """A port that no connection takes by chance: as long as nobody listens there, it is closed."""
    return free_ports(1, address=address)[0]
