"""`mailstead dns publish`: what is missing at the owner's own name server, sent there (RFC 2136).

Records of others are left alone, and so are records that differ from ours, unless the owner wants
them replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firstboot.base.errors import SettingsError
from firstboot.base.settings import Settings
from firstboot.dns.formats import rdata
from firstboot.dns.judge import concerns, judge
from firstboot.dns.records import TTL, Record
from firstboot.system.dnsclient import Answer, NoAnswerError, Server, ask
from firstboot.system.dnsupdate import SetChange, TsigKey, UpdateError, send_update


@dataclass(frozen=True)
class Step:
    """What is done about a record: `add` and `remove` as a zone file has them.

    `kept` says why nothing is done, though it is not right.
    """

    record: Record
    add: str = ""
    remove: tuple[str, ...] = ()
    kept: str = ""


@dataclass(frozen=True)
class Publication:
    """The steps, and what they come to in each zone."""

    steps: tuple[Step, ...]
    zones: dict[str, tuple[SetChange, ...]]


def publisher(settings: Settings) -> tuple[Server, TsigKey]:
    """Where to publish, and by which key; SettingsError when the settings do not say."""
    dns = settings.dns
    if not (dns.publish_server and dns.publish_key and dns.publish_secret):
        raise SettingsError(
            ["dns.publish_server, dns.publish_key and dns.publish_secret are not set"],
            "Set them to a name server of yours that takes updates, or copy what "
            "`mailstead dns export` prints.",
        )
    key = TsigKey(dns.publish_key, dns.publish_algorithm, dns.publish_secret)
    return Server(dns.publish_server), key


def plan_publication(
    records: Sequence[Record], server: Server, *, replace: bool = False
) -> Publication:
    """What has to be done so that the server has all records.

    Raises NoAnswerError when it cannot be asked, or is not responsible for a name.
    """
    steps: list[Step] = []
    zones: dict[str, list[SetChange]] = {}
    sets: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        # Addresses that nobody knows, and reverse zones, are others' affair.
        if record.zone and record.data:
            sets.setdefault(record.key, []).append(record)
    for (name, kind), own in sets.items():
        found = _require_authoritative(server, name, kind)
        wanted = {record.data for record in own}
        done = [_step(record, found, wanted, replace=replace) for record in own]
        steps += done
        removed = {text for step in done for text in step.remove}
        after = [text for text in found.raw if text not in removed]
        after += [step.add for step in done if step.add]
        if set(after) != set(found.raw):
            change = SetChange(name, kind, found.raw, tuple(dict.fromkeys(after)), TTL)
            zones.setdefault(_apex(server, name), []).append(change)
    return Publication(tuple(steps), {zone: tuple(changes) for zone, changes in zones.items()})


def publish(
    publication: Publication, server: Server, key: TsigKey, report: Callable[[str], None]
) -> None:
    """Make the changes, zone by zone, and look whether they are there.

    Raises UpdateError when a zone's changes were not taken; those of zones before it stay.
    """
    for zone, changes in publication.zones.items():
        send_update(server, zone, key, changes)
        for change in changes:
            found = _require_authoritative(server, change.name, change.type)
            if set(found.raw) != set(change.after):
                raise UpdateError(
                    f"{server} took the change of {change.name} {change.type}, but has "
                    f"{', '.join(found.raw) or 'none'}",
                    "A CNAME at the same name, or a rule of the server, may be in the way.",
                )
        report(f"published in zone {zone}: {len(changes)} sets of records")


def _step(record: Record, found: Answer, wanted: set[str], *, replace: bool) -> Step:
    finding = judge(record, found.values, wanted)
    if finding is None:
        return Step(record)
    if found.alias:
        return Step(
            record, kept=f"it is an alias of {found.alias}, which cannot have other records"
        )
    if finding.fault == "missing":
        return Step(record, add=rdata(record))
    if not replace:
        return Step(record, kept=f"{finding.text}; wanted {finding.wanted}")
    pairs = zip(found.raw, found.values, strict=True)
    remove = tuple(
        raw for raw, value in pairs if concerns(record.kind, value) and value not in wanted
    )
    if record.data in found.values:
        return Step(record, remove=remove)
    better = dataclasses.replace(record, data=finding.data or record.data)
    return Step(record, add=rdata(better), remove=remove)


def _require_authoritative(server: Server, name: str, kind: str) -> Answer:
    found = ask(server, name, kind, recursive=False)
    if not found.authoritative:
        raise NoAnswerError(f"{server} is not responsible for {name}")
    return found


def _apex(server: Server, name: str) -> str:
    """The zone that a name is in at this server: the nearest one above with an SOA record."""
    above = name
    while above:
        found = ask(server, above, "SOA", recursive=False)
        if found.values and found.authoritative and not found.alias:
            return above
        above = above.partition(".")[2]
    raise NoAnswerError(f"{server} has no zone that {name} is in")
