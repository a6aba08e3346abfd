"""The host name: in the kernel, in /etc/hostname, and resolvable through /etc/hosts."""

from __future__ import annotations

import socket
from pathlib import Path

from firstboot.base.files import write_if_changed

# HOST_NAME_MAX of Linux, see gethostname(2).
LONGEST = 64


def kernel_name(hostname: str) -> str:
    """What the kernel can hold of a host name: all of it, or its first label."""
    return hostname if len(hostname) <= LONGEST else hostname.partition(".")[0]


def apply_hostname(hostname: str, etc: Path) -> None:
    """Give the machine its name, now and in /etc, which is volatile like all of the overlay."""
    name = kernel_name(hostname)
    write_if_changed(etc / "hostname", name + "\n")
    aliases = dict.fromkeys([hostname, name, hostname.partition(".")[0]])
    hosts = f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {' '.join(aliases)}\n"
    write_if_changed(etc / "hosts", hosts)
    if socket.gethostname() != name:
        socket.sethostname(name)
