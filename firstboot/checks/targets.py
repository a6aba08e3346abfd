"""Everything outside that checks ask, with the reason; here and nowhere else.

The setting `checks.outside` turns off all that asks a party by name. Beside these there are only
the resolvers that the machine's own network names, and addresses that belong to nobody.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from firstboot.base.rules import IPAddress
from firstboot.system.dnsclient import Server
from firstboot.system.outgoing import outgoing_addresses
from firstboot.system.resolved import upstream_servers


@dataclass(frozen=True)
class MailTarget:
    """A mail server that takes mail from everybody; `owner` is in its greeting."""

    host: str
    owner: str


# Whether mail gets out can only be told by reaching port 25 of others. These are the servers that
# most of the mail goes to anyhow, of three owners, so that one that is down tells nothing. They are
# greeted, and left without a word about anybody.
MAIL_TARGETS = (
    MailTarget("gmail-smtp-in.l.google.com", "google.com"),
    MailTarget("outlook-com.olc.protection.outlook.com", "outlook.com"),
    MailTarget("mx00.gmx.net", "gmx.net"),
)
# Lists that many servers ask before they take mail. They are asked by DNS through the machine's own
# resolver, and learn the machine's address.
BLOCKLISTS = ("zen.spamhaus.org", "bl.spamcop.net", "psbl.surriel.com")
# Never given to anybody (RFC 5737): whoever answers there answers in place of others.
NOBODY = "192.0.2.1"
# A random name below it does not exist, whichever resolver is asked. No host is contacted.
PARENT_OF_NOBODY = "com"


@dataclass(frozen=True)
class Surroundings:
    """All of it as one value, so that tests can put their own servers in its place."""

    resolvers: Callable[[], tuple[Server, ...]] = upstream_servers
    outgoing: Callable[[], tuple[IPAddress, ...]] = outgoing_addresses
    mail_targets: tuple[MailTarget, ...] = MAIL_TARGETS
    blocklists: tuple[str, ...] = BLOCKLISTS
    nobody: str = NOBODY
    smtp: int = 25
    http: int = 80
    timeout: float = 8.0
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context
