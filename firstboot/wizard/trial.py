"""Tries a network with typed addresses before it is taken, and goes back when it does not work."""

from __future__ import annotations

import contextlib
import ipaddress

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.sections import Network
from firstboot.system.duplicates import find_taken
from firstboot.system.links import read_links
from firstboot.system.neighbours import answers
from firstboot.system.networkd import apply_network, links_of

# Links come up and routers answer within some seconds; the address is probed before (RFC 5227).
ANSWER_SECONDS = 20.0


def try_network(network: Network, paths: Paths) -> str:
    """Use a static network now; "" when its gateways answer, otherwise what does not.

    An address that somebody else has is not used at all. Where a gateway does not answer the
    machine is back on the networks that offer addresses (DHCP). A link-local gateway is not asked:
    it is on every link, so an answer would say nothing.
    """
    gateways = [
        gateway for gateway in network.gateways if not ipaddress.ip_address(gateway).is_link_local
    ]
    try:
        if taken := _taken(network):
            return (
                f"Somebody else on this network has {taken}. With two of them neither works: "
                "choose another address. Nothing was changed."
            )
        apply_network(network, paths.networkd)
        silent = [gateway for gateway in gateways if not answers(gateway, ANSWER_SECONDS)]
        if silent:
            apply_network(Network(), paths.networkd)
            return (
                f"The gateway {silent[0]} does not answer. The machine is back on automatic "
                "addresses until the end of the setup."
            )
    except MailsteadError as error:
        with contextlib.suppress(MailsteadError):
            apply_network(Network(), paths.networkd)
        return f"This network could not be tried: {error}"
    return ""


def _taken(network: Network) -> str:
    """Which of its addresses somebody else has; "" where nobody answers, or can be asked."""
    if not network.detect_duplicates:
        return ""
    up = {link.name for link in read_links() if link.carrier}
    links = [link for link in links_of(network) if link in up]
    with contextlib.suppress(MailsteadError):
        return ", ".join(map(str, find_taken(network.addresses, links)))
    return ""
