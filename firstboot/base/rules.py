"""What a domain name, an address, a network, a URL and a window must be; no I/O, no model.

Each `…_problem` returns `expected …` (or `expected …, got …`) or None. `check_…` look at the plain
values of a whole document, so that they find their problems even where others were found before.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Iterator
from typing import TypeAlias

from firstboot.base.located import Located, Place, Plain

Interface: TypeAlias = "ipaddress.IPv4Interface | ipaddress.IPv6Interface"
IPAddress: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

# RFC 1123, 2.1 (letters, digits, hyphens), RFC 1035, 2.3.4 (63 octets a label, 253 in all).
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# RFC 5321, 4.1.2: Dot-string, without + (which begins an extension), % and ! (source routes).
_LOCAL = re.compile(r"[a-z0-9#$&'*/=?^_`{|}~-]+(\.[a-z0-9#$&'*/=?^_`{|}~-]+)*", re.ASCII)
_QUOTA = re.compile(r"[1-9]\d{0,5}[MGT]", re.ASCII)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def domain_problem(name: str) -> str | None:
    """For a lower-case domain name of at least two labels."""
    if not name.isascii():
        return "expected an ASCII domain name (write an international one in its xn-- form)"
    if name.endswith("."):
        return "expected a domain name without a dot at its end"
    labels = name.split(".")
    if len(labels) < 2:
        return "expected at least two labels, such as mail.example.com"
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "expected a domain name (letters, digits and hyphens between dots)"
    if labels[-1].isdigit():
        return "expected a domain name, not an IP address"
    return None


def address_problem(address: str) -> str | None:
    """For a lower-case mail address (RFC 5321, without quoted local parts)."""
    local, at, domain = address.rpartition("@")
    if not at or domain_problem(domain) or not _LOCAL.fullmatch(local):
        return "expected an address such as ada@example.com"
    # RFC 5321, 4.5.3.1: 64 octets before the @, 256 in a path including its angle brackets.
    if len(local) > 64 or len(address) > 254:
        return "expected at most 64 characters before the @ and 254 in all"
    return None


def quota_problem(quota: str) -> str | None:
    """For how much a mailbox may hold; postmaster/directory/people.py turns it into bytes."""
    if quota == "none" or _QUOTA.fullmatch(quota):
        return None
    return "expected a size such as 500M, 10G or 1T, or none"


def url_problem(url: str) -> str | None:
    """For the address of a published directory: no secrets in it, nothing after its path."""
    expected = "expected an address such as https://updates.example.com/mailstead"
    if len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url:
        return expected
    try:
        parts = urllib.parse.urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return expected
    if parts.scheme not in {"http", "https"} or not host:
        return expected
    if "@" in parts.netloc:
        return "expected an address without user name and password"
    if "?" in url or "#" in url:
        return "expected an address without ? and #"
    return None


def authority_problem(url: str) -> str | None:
    """For the directory of a certificate authority, which is always HTTPS (RFC 8555, 6.1)."""
    wrong = url_problem(url)
    if wrong is None and url.startswith("https://"):
        return None
    if wrong is None or wrong.startswith("expected an address such as"):
        return "expected an address such as https://acme.example.com/directory"
    return wrong


def provider_problem(name: str) -> str | None:
    """For the name of a DNS provider, as lego(1) has it."""
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name, re.ASCII):
        return None
    return "expected the code of a DNS provider such as rfc2136"


def variable_problem(name: str) -> str | None:
    """For an environment variable of a DNS provider; the files it is put into have this name."""
    if re.fullmatch(r"[A-Z][A-Z0-9_]{2,63}", name, re.ASCII) and not name.endswith("_FILE"):
        return None
    return "expected the name of a variable such as RFC2136_NAMESERVER"


def window_problem(window: str) -> str | None:
    """For a daily time in UTC; it may cross midnight."""
    found = window_minutes(window)
    if found is None:
        return "expected two times of day in UTC such as 02:00-05:00"
    if found[0] == found[1]:
        return "expected a window that ends at another time than it begins"
    return None


def window_minutes(window: str) -> tuple[int, int] | None:
    """Begin and end of HH:MM-HH:MM in minutes after midnight, None when it is not that."""
    match = _WINDOW.fullmatch(window)
    if match is None:
        return None
    hour, minute, end_hour, end_minute = (int(group) for group in match.groups())
    return hour * 60 + minute, end_hour * 60 + end_minute


def check_tls(document: Located) -> None:
    """Note where the challenge and what it needs do not go together."""
    tls = mapping(mapping(document.value).get("tls"))
    place: Place = ("tls", "dns_provider")
    given = tls.get("dns_provider") is not None
    if document.wrong(place) or document.wrong(("tls", "challenge")):
        return
    if tls.get("challenge") == "dns-01" and not given:
        document.add(place, "expected the code of a DNS provider with challenge: dns-01")
    elif given and tls.get("challenge") != "dns-01":
        document.add(place, "expected a DNS provider only with challenge: dns-01")


def check_network(document: Located) -> None:
    """Note what is wrong or missing in the addresses of `network`."""
    network = mapping(mapping(document.value).get("network"))
    method = network.get("method")
    for key in ("addresses", "gateways", "dns"):
        place: Place = ("network", key)
        if method == "static" and not network.get(key) and not document.wrong(place):
            document.add(place, "expected at least one entry with method: static, got nothing")
        if method != "static" and network.get(key) and key != "dns":
            document.add(place, "expected only with method: static, got it without")

    interfaces = []
    for place, text in _texts(network, "addresses"):
        if interface := _interface(document, place, text):
            interfaces.append(interface)
    gateways: dict[Place, IPAddress] = {}
    for place, text in _texts(network, "gateways"):
        if gateway := _address(document, place, text):
            gateways[place] = gateway
    for place, text in _texts(network, "dns"):
        _address(document, place, text)
    if not document.wrong(("network", "addresses")):
        _check_gateways(document, gateways, interfaces)


def _interface(document: Located, place: Place, text: str) -> Interface | None:
    """An own address with its prefix length, or None and a problem."""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        found = None
    if found is None or text.rpartition("/")[2] != str(found.network.prefixlen):
        wanted = "expected an address with prefix length such as 192.0.2.10/24"
        document.add(place, f"{wanted}, got {text!r}")
        return None
    network = found.network
    edges: set[IPAddress] = {network.network_address}
    if found.version == 4:
        edges.add(network.broadcast_address)
    if network.num_addresses > 2 and found.ip in edges:
        wanted = "expected the machine's own address, not that of the whole network"
        document.add(place, f"{wanted}, got {text!r}")
        return None
    return found if _usable(document, place, found.ip, text) else None


def _address(document: Located, place: Place, text: str) -> IPAddress | None:
    """An address without prefix length or zone, or None and a problem."""
    found = plain_address(text)
    if found is None:
        document.add(place, f"expected an IP address such as 192.0.2.1, got {text!r}")
        return None
    return found if _usable(document, place, found, text) else None


def plain_address(text: str) -> IPAddress | None:
    """An address without prefix length or zone, None when it is not one."""
    try:
        return ipaddress.ip_address(text.replace("%", "/"))
    except ValueError:
        return None


def _usable(document: Located, place: Place, address: IPAddress, text: str) -> bool:
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        document.add(place, f"expected the address of one machine on a network, got {text!r}")
        return False
    return True


def _check_gateways(
    document: Located, gateways: dict[Place, IPAddress], interfaces: list[Interface]
) -> None:
    versions: set[int] = set()
    for place, gateway in gateways.items():
        if gateway.version in versions:
            wanted = f"expected one gateway for IPv{gateway.version}"
            document.add(place, f"{wanted}, got '{gateway}' as another")
        versions.add(gateway.version)
        # An IPv6 router is usually named by its link-local address, which is on every link.
        reachable = gateway.is_link_local and gateway.version == 6
        if not reachable and not any(gateway in interface.network for interface in interfaces):
            wanted = "expected a gateway within the network of one of the addresses"
            document.add(place, f"{wanted}, got '{gateway}'")
        elif any(gateway == interface.ip for interface in interfaces):
            document.add(place, f"expected another machine than this one, got '{gateway}'")


def _texts(network: dict[str, Plain], key: str) -> Iterator[tuple[Place, str]]:
    for index, value in enumerate(items(network.get(key))):
        if isinstance(value, str):
            yield ("network", key, index), value


def mapping(value: Plain) -> dict[str, Plain]:
    """The value if it is a mapping, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Plain) -> tuple[Plain, ...]:
    """The value if it is a list, otherwise an empty one."""
    return value if isinstance(value, tuple) else ()


def lower(value: Plain) -> str:
    """A text in lower case, otherwise an empty one."""
    return value.lower() if isinstance(value, str) else ""
