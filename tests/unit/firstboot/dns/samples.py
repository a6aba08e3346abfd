"""A machine's settings, and the records that they ask for, for the tests of DNS."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from firstboot.base.dkim import DkimKey
from firstboot.base.services import Port, Stack, parse_stack
from firstboot.base.settings import Settings, parse_settings
from firstboot.base.web import Web, read_web
from firstboot.dns.records import Record, wanted_records
from tests.unit.firstboot.samples import SERVICES, SETTINGS

ADDRESSES = ("192.0.2.10", "2001:db8::10")
PORTS = (
    Port("smtp", 25, 25, "starttls"),
    Port("submission", 587, 587, "starttls"),
    Port("submissions", 465, 465, "implicit"),
    Port("imaps", 993, 993, "implicit"),
    Port("https", 443, 443, "implicit"),
)
RSA = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12
KEYS = (
    DkimKey("example.com", "mailstead-rsa1", "rsa", RSA),
    DkimKey(
        "example.com", "mailstead-ed1", "ed25519", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ),
)


def settings(more: str = "", hostname: str = "mail.example.com") -> Settings:
    text = SETTINGS.replace("mail.example.com", hostname) + more
    return parse_settings(text, "x.yaml")


def records(
    addresses: Sequence[str] = ADDRESSES, hostname: str = "mail.example.com"
) -> tuple[Record, ...]:
    ips = tuple(map(ipaddress.ip_address, addresses))
    found = settings(hostname=hostname)
    return wanted_records(found, PORTS, ips, KEYS, web(found))


def web(found: Settings) -> Web:
    """What a machine with these settings serves by https."""
    service = replace(parse_stack(SERVICES, "services").services[0], name="dav", ports=PORTS)
    made = read_web(found, Stack((), (service,)))
    assert made is not None
    return made


def record(kind: str, name: str = "", type_: str = "") -> Record:
    """The first record of a kind, at a name, of a type."""
    return next(
        found
        for found in records()
        if found.kind == kind and found.name.startswith(name) and type_ in {"", found.type}
    )


def published(wanted: Sequence[Record] = ()) -> str:
    """A zone example.com in which everything is as it should be."""
    lines = ["@ 60 NS ns1.example.net.", "@ 60 NS ns2", "ns2 60 A 127.0.0.3"]
    for found in wanted or records():
        if found.zone == "example.com" and found.data:
            data = found.data
            if found.type == "TXT":
                half = len(data) // 2
                data = f'"{data[:half]}" "{data[half:]}"'
            elif found.type in {"CNAME", "MX", "SRV"}:
                data += "."
            lines.append(f"{found.name}. 60 {found.type} {data}")
    return "\n".join(lines) + "\n"
