"""Whether DANE counts for mail to a domain: Postfix finds that out only when nobody says more."""

from __future__ import annotations

from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.resolver

SECONDS = 4.0


@dataclass(frozen=True)
class Found:
    """Records as text, none if there are none; and whether their signatures have been checked."""

    records: tuple[str, ...]
    secure: bool


async def has_dane(domain: str) -> bool:
    """Whether signed records tell the certificate of a server of the domain (RFC 7672, 2.2).

    So it is, too, where a signed server's records cannot be had.
    """
    resolver = dns.asyncresolver.Resolver()
    resolver.use_edns(0, dns.flags.DO, 1232)
    resolver.flags = dns.flags.RD | dns.flags.AD
    try:
        servers = await look_up(resolver, domain, "MX")
    except dns.exception.DNSException:
        # Postfix finds no server either.
        return False
    if not servers.secure:
        return False
    for name in [record.split()[-1] for record in servers.records] or [domain]:
        if await _tells_its_certificate(resolver, name):
            return True
    return False


async def _tells_its_certificate(resolver: dns.asyncresolver.Resolver, name: str) -> bool:
    try:
        if not (await look_up(resolver, name, "A")).secure:
            return False
    except dns.exception.DNSException:
        # Postfix goes to another one.
        return False
    try:
        certificates = await look_up(resolver, f"_25._tcp.{name}", "TLSA")
    except dns.exception.DNSException:
        return True
    # Other usages are none for mail (RFC 7672, 3.1.3).
    usable = [record for record in certificates.records if record.startswith(("2 ", "3 "))]
    return certificates.secure and bool(usable)


async def look_up(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> Found:
    """Ask for records. DNSException when there is no answer, or none that may be believed."""
    try:
        answer = await resolver.resolve(
            name, kind, search=False, raise_on_no_answer=False, lifetime=SECONDS
        )
    except dns.resolver.NXDOMAIN:
        return Found((), secure=False)
    secure = bool(answer.response.flags & dns.flags.AD)
    return Found(tuple(record.to_text() for record in answer), secure)
