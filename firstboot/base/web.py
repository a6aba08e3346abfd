"""What the machine serves at port 443 so that others find the rest, by settings; no I/O.

DNS records, certificates and the pages of `proxy` are made from the same values, and so agree.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from firstboot.base.services import Stack
from firstboot.base.settings import Settings

HTTPS = "https"  # IANA's name of the port
DAV = "dav"  # the service with calendars and contacts, and the folder that leads to it
ADMIN = "admin"  # the service with the pages for people, at /
# How long others remember the policy, in seconds: after that a machine without a certificate that
# is trusted gets mail again (RFC 8461, 3.2).
MAX_AGE = 7 * 24 * 3600


@dataclass(frozen=True)
class Web:
    """What there is at port 443. `policy` is the one of MTA-STS, "" where there must be none.

    `clients`: whether somebody has a mailbox, for which programs set themselves up.
    """

    hostname: str
    domains: tuple[str, ...]
    policy: str
    dav: bool
    admin: bool
    clients: bool = True

    @property
    def policy_id(self) -> str:
        """What changes with the policy (RFC 8461, 3.1): at most 32 letters and digits."""
        return hashlib.sha256(self.policy.encode()).hexdigest()[:32]

    @property
    def names(self) -> tuple[str, ...]:
        """The names besides the host's that others ask by https, as far as records lead here."""
        programs = ("autoconfig",) if self.clients else ()
        policies = ("mta-sts",) if self.policy else ()
        labels = (*programs, *policies)
        return tuple(f"{label}.{domain}" for domain in self.domains for label in labels)

    def uuid(self, part: str) -> str:
        """An identifier that stays the same, for a part of Apple's profile."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{part}.{self.hostname}")).upper()


def read_web(settings: Settings, stack: Stack) -> Web | None:
    """What the stack serves by https, None when it has no such port."""
    if all(port.name != HTTPS for port in stack.ports):
        return None
    return Web(
        settings.hostname,
        tuple(domain.name for domain in settings.domains),
        _policy(settings),
        any(service.name == DAV for service in stack.services),
        any(service.name == ADMIN for service in stack.services),
        bool(settings.people),
    )


def _policy(settings: Settings) -> str:
    """The policy of MTA-STS (RFC 8461, 3.2), the same for all domains.

    Only with certificates that everybody trusts and the machine renews by itself: others would not
    deliver to any other.
    """
    if settings.tls.method != "acme":
        return ""
    return f"version: STSv1\nmode: enforce\nmx: {settings.hostname}\nmax_age: {MAX_AGE}"
