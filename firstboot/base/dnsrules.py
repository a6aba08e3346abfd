"""What the settings of DNS must be: public addresses, servers to ask, a key for updates; no I/O.

Like those of `rules.py`, each `…_problem` returns `expected …` (or `expected …, got …`) or None.
"""

from __future__ import annotations

import base64
import ipaddress
import re

from firstboot.base.located import Located
from firstboot.base.rules import IPAddress, plain_address

# IANA's registries of special-purpose addresses (RFC 6890) as far as machines have them: private
# networks, those behind a provider's NAT (RFC 6598), link-local ones.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "198.18.0.0/15", "240.0.0.0/4", "fc00::/7", "fe80::/10", "fec0::/10"),
    )
)


def is_public(address: IPAddress) -> bool:
    """Whether the whole Internet may reach it. Addresses for documentation count as such."""
    return not (
        address.is_multicast
        or address.is_loopback
        or address.is_unspecified
        or any(address in network for network in _NOT_PUBLIC if network.version == address.version)
    )


def public_address_problem(text: str) -> str | None:
    """For an address that stands in an A or AAAA record."""
    address = plain_address(text)
    if address is None or not is_public(address):
        return "expected a public IP address such as 192.0.2.10"
    return None


def resolver_problem(text: str) -> str | None:
    """For the address of a server that is asked or told something."""
    address = plain_address(text)
    if address is None or address.is_multicast or address.is_unspecified:
        return "expected the IP address of a server, such as 192.0.2.1"
    return None


def tsig_name_problem(name: str) -> str | None:
    """For the lower-case name of a TSIG key, which has the form of a domain name (RFC 8945)."""
    if re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", name) and len(name) <= 253:
        return None
    return "expected the name of a TSIG key such as mailstead"


def tsig_secret_problem(text: str) -> str | None:
    """For a TSIG key; never shows it."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    # RFC 8945, 7: a key ought to be as long as the digest.
    return (
        None
        if len(key) >= 16
        else "expected a TSIG key of at least 16 bytes in base64, got another text"
    )


def check_dns(document: Located) -> None:
    """Note a part of what `mailstead dns publish` needs without the others."""
    root = document.value
    dns = root.get("dns") if isinstance(root, dict) else None
    if not isinstance(dns, dict):
        return
    needed = ("publish_server", "publish_key", "publish_secret")
    given = [key for key in needed if dns.get(key) is not None]
    for key in needed:
        if given and key not in given and not document.wrong(("dns", key)):
            document.add(("dns", key), f"expected together with {given[0]}, got nothing")
