"""The machine's public addresses, as far as it can know them without asking anybody outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from firstboot.base.dnsrules import is_public
from firstboot.base.errors import CheckError
from firstboot.base.rules import IPAddress
from firstboot.base.settings import Settings
from firstboot.system.dnsclient import Answer

Source = Literal["settings", "interfaces", "records", "unknown"]
Lookup = Callable[[str, str], Answer]

_SET = "If that is not right, set dns.addresses in the settings."


@dataclass(frozen=True)
class Addresses:
    """`ips` without repetition, IPv4 first; `note` says what a person should know about them."""

    ips: tuple[IPAddress, ...]
    source: Source
    note: str = ""


def find_addresses(
    settings: Settings, outgoing: Callable[[], Sequence[IPAddress]], lookup: Lookup
) -> Addresses:
    """Public addresses by the settings, else by the interfaces, else by the host's own A record.

    `lookup` is asked only when the machine is behind address translation (NAT), where nothing in
    the machine knows the address that others see.
    """
    if settings.dns.addresses:
        given = (ipaddress.ip_address(text) for text in settings.dns.addresses)
        return Addresses(_ordered(given), "settings")
    own = list(outgoing())
    public = [ip for ip in own if is_public(ip)]
    behind = next((ip for ip in own if ip.version == 4 and not is_public(ip)), None)
    if behind is None:
        note = "" if public else "This machine has no public address. Look at its network."
        return Addresses(_ordered(public), "interfaces" if public else "unknown", note)
    why = f"This machine has the private address {behind}: its public IPv4 address is a router's."
    try:
        texts = lookup(settings.hostname, "A").values
    except CheckError as error:
        note = f"{why} The A record that names it could not be looked up: {error}."
        return Addresses(_ordered(public), "unknown", f"{note} Set dns.addresses in the settings.")
    named = [ip for ip in map(ipaddress.ip_address, texts) if is_public(ip)]
    if not named:
        note = f"{why} Enter that in the A record, or in dns.addresses of the settings."
        return Addresses(_ordered(public), "unknown", note)
    shown = ", ".join(map(str, named))
    note = f"{why} It is taken to be {shown}, as the A record says. {_SET}"
    return Addresses(_ordered([*named, *public]), "records", note)


def _ordered(ips: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
    unique = dict.fromkeys(ips)
    return tuple(sorted(unique, key=lambda ip: ip.version))
