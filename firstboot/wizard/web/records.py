"""The DNS records of the last page, as the command of another feature tells them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from firstboot.base.errors import CommandError
from firstboot.base.run import run

COMMAND = ("mailstead", "dns", "show", "--json")
# It may ask name servers for the machine's public address.
SECONDS = 60.0


@dataclass(frozen=True)
class DnsRecord:
    """A record to publish in `zone`; without a zone it is for whoever gives out the addresses.

    `data` is empty where the machine cannot know it: its public address behind a router.
    """

    zone: str
    type: str
    name: str
    data: str
    need: str
    why: str


def find_records() -> tuple[DnsRecord, ...]:
    """The records that the machine wants to see published, none when they cannot be told."""
    try:
        found = json.loads(run(COMMAND, timeout=SECONDS).stdout)["records"]
        keys = DnsRecord.__dataclass_fields__
        return tuple(DnsRecord(**{key: str(record[key] or "") for key in keys}) for record in found)
    except (CommandError, ValueError, KeyError, TypeError):
        return ()
