"""Every DNS record that a machine's settings ask for, as values; no I/O.

`wanted_records` is the one place that knows them. Only what the machine serves is asked for: a
record that leads to nothing breaks mail programs, and so does a policy (MTA-STS) that nobody
serves.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from firstboot.base.dkim import DkimKey
from firstboot.base.rules import IPAddress
from firstboot.base.sections import Tls
from firstboot.base.services import Port
from firstboot.base.settings import Settings
from firstboot.base.web import HTTPS, Web

TTL = 3600

Kind = Literal[
    "address",
    "mx",
    "spf",
    "helo-spf",
    "dkim",
    "dmarc",
    "tls-report",
    "mta-sts",
    "service",
    "service-path",
    "web",
    "caa",
    "reverse",
]
Need = Literal["required", "recommended"]

# How mail programs find a service (RFC 6186, RFC 8314): IANA's name of the port, and whether it is
# the better one of its kind (a lower number is tried first).
SERVICES = {"submissions": 0, "imaps": 0, "pop3s": 10, "submission": 10}

# What is found by https (RFC 6764 for calendars and contacts, of which it also wants a path).
DAV_SERVICES = ("caldavs", "carddavs")
DAV_PATH = "path=/dav/"

# Authorities by the domain of their ACME directory, which is also what CAA records name them by.
AUTHORITIES = ("letsencrypt.org",)


@dataclass(frozen=True)
class Record:
    """One record. Names are in lower case and have no dot at their end.

    `data` is in presentation form (RFC 1035, 5.1) except for TXT: the text itself. It is "" for an
    address that is not known. `zone` is the domain in whose zone the record belongs; "" for a PTR
    record, which belongs to whoever gives out the address.
    """

    kind: Kind
    name: str
    type: str
    data: str
    zone: str
    need: Need
    why: str
    # What does as well as the second word of `data` (SPF), each one or more words; those between it
    # and the last have to be there, too.
    also: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Name and type: what is asked for."""
        return self.name, self.type


def wanted_records(
    settings: Settings,
    ports: Collection[Port],
    addresses: Sequence[IPAddress],
    keys: Sequence[DkimKey],
    web: Web | None = None,
) -> tuple[Record, ...]:
    """All records: of the host, then of each domain, then of the addresses.

    `web` is what is served by https, if anything.

    Without an IPv4 address there is an A record all the same, with no data: most servers have
    nothing but IPv4.
    """
    found = [*_host(settings, addresses)]
    for domain in settings.domains:
        found += _domain(domain.name, settings, ports, addresses, keys)
        if web is not None:
            found += _web(domain.name, web, ports)
    found += _reverse(settings.hostname, addresses)
    return tuple(found)


def host_zone(settings: Settings) -> str:
    """The domain whose zone the host name belongs to: one of the settings', or what is above."""
    names = (domain.name for domain in settings.domains)
    above = [name for name in names if f".{settings.hostname}".endswith(f".{name}")]
    return max(above, key=len, default=settings.hostname.partition(".")[2])


def relative_name(name: str, zone: str) -> str:
    """A name as it is written within its zone: `@` for the zone itself."""
    if name == zone:
        return "@"
    return name.removesuffix(f".{zone}")


def _host(settings: Settings, addresses: Sequence[IPAddress]) -> Iterator[Record]:
    host, zone = settings.hostname, host_zone(settings)
    why = "The other records lead to this name; this one says where that is."
    if not any(ip.version == 4 for ip in addresses):
        yield Record("address", host, "A", "", zone, "required", why)
    for ip in addresses:
        kind = "A" if ip.version == 4 else "AAAA"
        yield Record("address", host, kind, str(ip), zone, "required", why)
    if authority := _authority(settings.tls):
        why = "Keeps other authorities from giving out certificates for this name."
        yield Record("caa", host, "CAA", f'0 issue "{authority}"', zone, "recommended", why)
    if host not in {domain.name for domain in settings.domains}:
        others = f"include:{settings.relay.spf} " if settings.relay.spf else ""
        text = f"v=spf1 a {others}-all"
        why = "Reports, and what is forwarded, come from the host name itself."
        yield Record("helo-spf", host, "TXT", text, zone, "recommended", why)


def _authority(tls: Tls) -> str | None:
    """How the authority of the settings is named in CAA records, None where that is not known."""
    if tls.method != "acme":
        return None
    host = urllib.parse.urlsplit(tls.directory).hostname or ""
    return next((name for name in AUTHORITIES if f".{host}".endswith(f".{name}")), None)


def _domain(
    domain: str,
    settings: Settings,
    ports: Collection[Port],
    addresses: Sequence[IPAddress],
    keys: Sequence[DkimKey],
) -> Iterator[Record]:
    host, relay = settings.hostname, settings.relay
    why = "Says which machine takes mail for this domain."
    yield Record("mx", domain, "MX", f"10 {host}", domain, "required", why)
    why = "Says that this machine may send mail of this domain. Without it others refuse the mail."
    also = (f"a:{host}", " ".join(f"ip{ip.version}:{ip}" for ip in addresses))
    text = "v=spf1 mx ~all"
    if relay.spf:
        why = "Says that this machine and its smart host may send mail of this domain."
        text = f"v=spf1 mx include:{relay.spf} ~all"
    yield Record("spf", domain, "TXT", text, domain, "required", why, tuple(filter(None, also)))
    why = "Others check signatures by it. Mail is signed from a later version on."
    for key in keys:
        if key.domain == domain:
            name = f"{key.selector}._domainkey.{domain}"
            yield Record("dkim", name, "TXT", key.text, domain, "recommended", why)
    why = "Large providers expect it. As soon as mail is signed, it can keep forged mail out."
    yield Record("dmarc", f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none", domain, "recommended", why)
    why = "Others report by mail to postmaster when they could not encrypt what they sent here."
    text = f"v=TLSRPTv1; rua=mailto:postmaster@{domain}"
    yield Record("tls-report", f"_smtp._tls.{domain}", "TXT", text, domain, "recommended", why)
    why = "Mail programs find the server by it, from the mail address alone."
    for port in sorted(ports, key=lambda port: port.published):
        # Where nobody has a mailbox, nobody logs in to send, either.
        if port.name in SERVICES and settings.people:
            data = f"{SERVICES[port.name]} 1 {port.published} {host}"
            name = f"_{port.name}._tcp.{domain}"
            yield Record("service", name, "SRV", data, domain, "recommended", why)


def _web(domain: str, web: Web, ports: Collection[Port]) -> Iterator[Record]:
    """What leads to port 443: an alias for each name, so that the address stands in one place."""
    port = next(port.published for port in ports if port.name == HTTPS)
    data = f"0 1 {port} {web.hostname}"
    if web.clients:
        why = "Mail programs fetch their settings there, so that nobody has to type them."
        name = f"autoconfig.{domain}"
        yield Record("web", name, "CNAME", web.hostname, domain, "recommended", why)
        why = "Outlook finds its settings by it."
        name = f"_autodiscover._tcp.{domain}"
        yield Record("service", name, "SRV", data, domain, "recommended", why)
    if web.dav:
        why = "Programs find calendars and contacts by it, from the mail address alone."
        for service in DAV_SERVICES:
            name = f"_{service}._tcp.{domain}"
            yield Record("service", name, "SRV", data, domain, "recommended", why)
            yield Record("service-path", name, "TXT", DAV_PATH, domain, "recommended", why)
    if web.policy:
        why = "Others fetch there that mail to this domain has to be encrypted."
        yield Record("web", f"mta-sts.{domain}", "CNAME", web.hostname, domain, "recommended", why)
        why = "Says that there is such a policy, and when it has changed."
        text = f"v=STSv1; id={web.policy_id}"
        yield Record("mta-sts", f"_mta-sts.{domain}", "TXT", text, domain, "recommended", why)


def _reverse(host: str, addresses: Sequence[IPAddress]) -> Iterator[Record]:
    why = "Many servers refuse mail from an address whose name does not lead back to it."
    for ip in addresses:
        yield Record("reverse", ip.reverse_pointer, "PTR", host, "", "required", why)
