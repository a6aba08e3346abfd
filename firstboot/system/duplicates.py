"""Whether somebody else on the link has an address: arping(8) for IPv4, the kernel for IPv6.

For IPv4 a probe of RFC 5227 asks, as it is done before an address is used; the kernel does not ask
for one. For IPv6 it has asked by itself when it got the address (RFC 4862, 5.4), and says so
(ip-address(8), `dadfailed`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MachineError
from firstboot.base.run import run
from firstboot.system.iproute import failed_addresses
from firstboot.system.links import INTERFACES

# Probes, and the seconds in which somebody may answer; RFC 5227 has three in up to seven.
PROBES, SECONDS = 2, 3
_HOLDER = re.compile(r"\[([0-9A-Fa-f:]{17})\]")


@dataclass(frozen=True)
class Taken:
    """An address that somebody else has; `holder` is the hardware address, "" if not known."""

    address: str
    holder: str = ""

    def __str__(self) -> str:
        return f"{self.address} ({self.holder})" if self.holder else self.address


def find_taken(addresses: Sequence[str], links: Sequence[str]) -> tuple[Taken, ...]:
    """Those of `addresses` (a prefix length may follow) that somebody else has on these links.

    MachineError or CommandError when nobody can be asked.
    """
    bare = [address.partition("/")[0] for address in addresses]
    found = [taken for address in bare for taken in _ask(address, links)]
    failed = {ipaddress.ip_address(address) for address in failed_addresses()}
    return (*found, *(Taken(a) for a in bare if ipaddress.ip_address(a) in failed))


def _ask(address: str, links: Sequence[str]) -> list[Taken]:
    if ipaddress.ip_address(address).version != 4:
        return []
    own = _own_hardware()
    holders = (_holder(address, link) for link in links)
    # A machine with two ports on one network answers itself.
    return [Taken(address, holder) for holder in holders if holder and holder not in own][:1]


def _holder(address: str, link: str) -> str | None:
    argv = ["arping", "-D", "-c", str(PROBES), "-w", str(SECONDS), "-I", link, address]
    done = run(argv, check=False, timeout=30)
    answer = _HOLDER.search(done.stdout)
    if answer is not None:
        return answer[1].lower()
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise MachineError(
            f"nobody could be asked for {address} on {link}: {reason[-1] if reason else 'arping'}",
            "Is there a cable? mailstead check tells.",
        )
    return None


def _own_hardware(interfaces: Path = INTERFACES) -> frozenset[str]:
    found = (file.read_text(encoding="ascii").strip() for file in interfaces.glob("*/address"))
    return frozenset(address.lower() for address in found)
