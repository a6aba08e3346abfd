"""What may reach the machine, as one list made from the declared ports, and as nftables rules.

The rules are one table of our own, replaced as a whole in one step (nft(8)); Docker's are other
tables, which are never touched. A packet has to be accepted by every table that looks at it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from firstboot.base.services import Stack
from firstboot.base.settings import Settings
from firstboot.base.sshkeys import PORT as SSH_PORT

TABLE = "mailstead"
# The set of ports that are open for a while: an element is gone when its time is over.
PASSING = "passing"
# The map of ports that somebody else answers for a while, by the port where that one listens.
DIVERTED = "diverted"

# Where the setup in a browser answers, before there are settings.
SETUP_PORTS = (80, 443)
# Who answers on 443 in place of the stack's own service, which may have taken that port meanwhile,
# listens here and is reached by a diversion: the setup's pages, and lego for TLS-ALPN-01.
HTTPS, SETUP_HTTPS, CHALLENGE_HTTPS = 443, 8443, 8444


@dataclass(frozen=True)
class Opening:
    """A TCP port that may be reached: from these networks, or from everywhere if there are none."""

    port: int
    networks: tuple[str, ...] = ()


def open_ports(
    settings: Settings | None, stack: Stack, *, setting_up: bool = False
) -> tuple[Opening, ...]:
    """All openings, by port: those of the services, of SSH when it is on, and of the setup.

    Before there are settings, `settings` is None, and no service runs that could be reached.
    """
    found = [Opening(port) for port in SETUP_PORTS] if setting_up else []
    if settings is not None:
        found += [Opening(port.published) for port in stack.ports]
        if settings.ssh.enabled:
            found.append(Opening(SSH_PORT, settings.ssh.networks))
    return tuple(sorted(found, key=lambda opening: opening.port))


def render_rules(
    openings: Sequence[Opening], diverted: Mapping[int, int] = MappingProxyType({})
) -> str:
    """The rules as input of `nft -f`, which takes all of them or none.

    `diverted`: ports that somebody else answers, on which port; see also `nftables.diverted`.

    What is not accepted is dropped, and TCP told so, since other mail servers ask back (RFC 1413)
    and would wait. Nothing is limited in its rate: a mail server has busy hours.
    """
    everywhere = [str(opening.port) for opening in openings if not opening.networks]
    rules = [f"tcp dport {{ {', '.join(everywhere)} }} accept"] if everywhere else []
    for opening in openings:
        rules += _from_networks(opening)
    # Made before it is deleted, so that the latter works the first time, too.
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n" + _TABLE.format(
        table=TABLE,
        passing=PASSING,
        map=DIVERTED,
        elements=_elements(diverted),
        openings="".join(f"\n\t\t{rule}" for rule in rules),
    )


def _elements(diverted: Mapping[int, int]) -> str:
    pairs = ", ".join(f"{port} : {target}" for port, target in sorted(diverted.items()))
    return f"\n\t\telements = {{ {pairs} }}" if pairs else ""


def _from_networks(opening: Opening) -> list[str]:
    rules = []
    networks = [ipaddress.ip_network(network) for network in opening.networks]
    for version, family in ((4, "ip"), (6, "ip6")):
        if found := [str(network) for network in networks if network.version == version]:
            rules.append(f"{family} saddr {{ {', '.join(found)} }} tcp dport {opening.port} accept")
    return rules


# ICMP: what the transport needs (RFC 4890, RFC 1191), and ping. That neighbour discovery comes from
# the link, the kernel checks by the hop limit (RFC 4861, 6.1).
# DHCP: a server's answer to a multicast or broadcast belongs to no connection that is known.
# A diversion comes before Docker's translation, whose priority is dstnat, and the new port is not
# open by itself; nothing else in the input chain has been translated.
# Forwarding: published ports come in by Docker's translation of addresses, containers may go out by
# their bridges, and Docker's own rules say which of them may.
_TABLE = """\
table inet {table} {{
	set {passing} {{
		type inet_service
		flags timeout
	}}

	map {map} {{
		type inet_service : inet_service
		flags timeout{elements}
	}}

	chain prerouting {{
		type nat hook prerouting priority dstnat - 1; policy accept;
		meta l4proto tcp fib daddr type local redirect to :tcp dport map @{map}
	}}

	chain input {{
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		ct state vmap {{ established : accept, related : accept, invalid : drop }}
		icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
		icmp type echo-request accept
		icmpv6 type {{ destination-unreachable, packet-too-big, time-exceeded }} accept
		icmpv6 type {{ parameter-problem, echo-request, mld-listener-query }} accept
		icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
		udp sport 67 udp dport 68 accept
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept{openings}
		tcp dport @{passing} accept
		ct status dnat accept
		meta l4proto tcp reject with tcp reset
	}}

	chain forward {{
		type filter hook forward priority filter; policy drop;
		ct state vmap {{ established : accept, related : accept, invalid : drop }}
		ct status dnat accept
		iifname "docker0" accept
		iifname "br-*" accept
	}}
}}
"""
