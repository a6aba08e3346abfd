"""The check of fixed addresses: that nobody else on the link has them."""

from __future__ import annotations

from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result
from firstboot.system.duplicates import find_taken
from firstboot.system.links import read_links
from firstboot.system.networkd import links_of

NAME = "duplicate address"


def has_fixed_addresses(machine: Bare) -> bool:
    """Whether the settings give addresses; those of DHCP are looked after by who gives them out."""
    return isinstance(machine, Machine) and machine.settings.network.method == "static"


def check_duplicate_addresses(machine: Machine) -> Result:
    """Nobody else on the link has an address of the settings."""
    network = machine.settings.network
    up = {link.name for link in read_links() if link.carrier}
    links = tuple(link for link in links_of(network) if link in up)
    why = "Two machines with one address take each other's connections, and neither works."
    if not links:
        advice = "Look at the check `link`, and at network.interface in the settings."
        return Result(NAME, "warn", "nobody could be asked: no link is up", why, advice)
    taken = find_taken(network.addresses, links)
    if taken:
        return Result(
            NAME,
            "fail",
            f"somebody else has {', '.join(map(str, taken))}",
            why,
            "Give one of the two another address. If a router answers for others on purpose (proxy "
            "ARP), set network.detect_duplicates to false.",
        )
    return Result(NAME, "pass", f"nobody else has {', '.join(network.addresses)}")
