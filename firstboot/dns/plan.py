"""What the commands work on: the records of this machine, and where its addresses come from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from typing_extensions import TypedDict

from firstboot.base.dkim import ensure_keys
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import Settings, require_settings
from firstboot.base.web import read_web
from firstboot.dns.addresses import Addresses, Source, find_addresses
from firstboot.dns.records import Kind, Need, Record, wanted_records
from firstboot.system.authority import Authorities
from firstboot.system.dnsclient import Server
from firstboot.system.outgoing import outgoing_addresses


class RecordJson(TypedDict):
    """A record that should be published; `need` is required or recommended."""

    name: str
    type: str
    data: str
    zone: str
    kind: Kind
    need: Need
    why: str


class AddressesJson(TypedDict):
    """The addresses of the machine, and from where they are known."""

    values: list[str]
    source: Source
    note: str


class PlanJson(TypedDict):
    """The records that should be published."""

    addresses: AddressesJson
    records: list[RecordJson]


@dataclass(frozen=True)
class Plan:
    """All that `mailstead dns` shows, checks and publishes."""

    settings: Settings
    addresses: Addresses
    records: tuple[Record, ...]

    @property
    def resolvers(self) -> tuple[Server, ...]:
        return tuple(Server(address) for address in self.settings.dns.resolvers)

    def only(self, domain: str | None) -> Plan:
        """The part that belongs into the zone of one domain; SettingsError when there is none."""
        if domain is None:
            return self
        found = tuple(record for record in self.records if record.zone == domain.lower())
        if not found:
            zones = ", ".join(sorted({record.zone for record in self.records} - {""}))
            raise SettingsError([f"no record belongs into the zone {domain}; there are: {zones}"])
        return dataclasses.replace(self, records=found)

    def as_json(self) -> PlanJson:
        return {
            "addresses": {
                "values": [str(ip) for ip in self.addresses.ips],
                "source": self.addresses.source,
                "note": self.addresses.note,
            },
            "records": [record_json(record) for record in self.records],
        }


def record_json(record: Record) -> RecordJson:
    """A record as `--json` prints it."""
    return {
        "name": record.name,
        "type": record.type,
        "data": record.data,
        "zone": record.zone,
        "kind": record.kind,
        "need": record.need,
        "why": record.why,
    }


def read_plan(paths: Paths, authorities: Authorities) -> Plan:
    """The records of a machine that has been set up.

    Makes the DKIM keys that are missing. Asks the DNS only where the machine cannot know its own
    address. Raises SettingsError when the machine has not been set up.
    """
    settings = require_settings(paths.settings)
    addresses = find_addresses(settings, outgoing_addresses, authorities.lookup)
    domains = tuple(domain.name for domain in settings.domains)
    keys = ensure_keys(paths.state / "dkim", domains)
    stack = read_stack(paths.services).needed_by(settings)
    web = read_web(settings, stack)
    records = wanted_records(settings, stack.ports, addresses.ips, keys, web)
    return Plan(settings, addresses, records)
