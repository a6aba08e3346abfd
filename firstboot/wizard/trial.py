"""Tries a network with typed addresses before it is taken, and goes back when it does not work."""

from __future__ import annotations

import contextlib
import ipaddress

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.base.settings import Network
from firstboot.system.neighbours import answers
from firstboot.system.networkd import apply_network

# Links come up and routers answer within a few seconds.
ANSWER_SECONDS = 15.0


def try_network(network: Network, paths: Paths) -> str:
    """Use a static network now; "" when its gateways answer, otherwise what does not.

    Where one does not answer the machine is back on the networks that offer addresses (DHCP). A
    link-local gateway is not asked: it is on every link, so an answer would say nothing.
    """
    gateways = [
        gateway for gateway in network.gateways if not ipaddress.ip_address(gateway).is_link_local
    ]
    try:
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
