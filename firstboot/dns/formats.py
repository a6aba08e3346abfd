"""Records as text: for people, and in the forms that zones and providers take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from firstboot.dns.records import TTL, Record, relative_name

# RFC 1035, 3.3.14: a TXT record is made of texts of at most 255 bytes.
MOST_BYTES = 255
UNKNOWN = "(the public IPv4 address)"


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of equal length as left-aligned columns, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def table(records: Sequence[Record]) -> str:
    """For people: what to enter where, and why, one block for each zone."""
    blocks = []
    for zone in _zones(records):
        own = [record for record in records if record.zone == zone]
        lines = [_heading(zone)]
        for record in own:
            data = record.data or UNKNOWN
            lines.append(f"\n  {record.type.ljust(5)} {record.name}  ({record.need})")
            lines.append(f"        {data}")
            lines.append(f"        {record.why}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def zone_file(records: Sequence[Record]) -> str:
    """Lines of a zone file (RFC 1035, 5), relative to each zone, to be put into it."""
    blocks = []
    for zone in _zones(records):
        own = [record for record in records if record.zone == zone]
        if not zone:
            lines = ["; At whoever gives out the addresses:"]
            lines += [f"; {_line(record, f'{record.name}.')}" for record in own]
        else:
            lines = [f"; To be added to the zone of {zone}", f"$ORIGIN {zone}.", f"$TTL {TTL}"]
            lines += [_commented(record, relative_name(record.name, zone)) for record in own]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def cloudflare(records: Sequence[Record]) -> str:
    """A file for Cloudflare's import: a zone file of full names; nothing goes through its proxy."""
    lines = []
    for record in _publishable(records):
        tags = " ; cf_tags=cf-proxied:false" if record.kind in {"address", "web"} else ""
        lines.append(f"{_line(record, f'{record.name}.')}{tags}")
    return "\n".join(lines)


def plain(records: Sequence[Record]) -> str:
    """One line each with full names: type, name, data."""
    rows = [(record.type, record.name, record.data) for record in records if record.data]
    return columns(rows)


def form(records: Sequence[Record]) -> str:
    """What the forms of most providers ask for: the name within the zone, priority by itself."""
    blocks = []
    for zone in _zones(records):
        rows = [("type", "host", "priority", "TTL", "value")]
        for record in records:
            if record.zone == zone and record.data:
                host = relative_name(record.name, zone) if zone else record.name
                priority, value = "", record.data
                if record.type == "MX":
                    priority, _, value = record.data.partition(" ")
                rows.append((record.type, host, priority, str(TTL), value))
        if len(rows) > 1:
            blocks.append(f"{_heading(zone)}\n\n{columns(rows)}")
    return "\n\n".join(blocks)


def route53(records: Sequence[Record]) -> str:
    """Change batches for Amazon Route 53, one JSON object for each zone.

    CREATE fails where there is a set of this name and type already; UPSERT would replace it, with
    all texts that others have put there.
    """
    batches = []
    for zone in _zones(records):
        sets: dict[tuple[str, str], list[str]] = {}
        for record in _publishable(records):
            if record.zone == zone:
                sets.setdefault(record.key, []).append(rdata(record))
        changes = [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": f"{name}.",
                    "Type": kind,
                    "TTL": TTL,
                    "ResourceRecords": [{"Value": data} for data in values],
                },
            }
            for (name, kind), values in sets.items()
        ]
        if changes:
            batches.append(json.dumps({"Comment": zone, "Changes": changes}, indent=2))
    return "\n".join(batches)


def nsupdate(records: Sequence[Record]) -> str:
    """Commands for nsupdate and knsupdate, which add the records (RFC 2136)."""
    lines = []
    for zone in _zones(records):
        own = [record for record in _publishable(records) if record.zone == zone]
        if own:
            lines.append(f"zone {zone}.")
            lines += [f"update add {_line(record, f'{record.name}.')}" for record in own]
            lines.append("send")
    return "\n".join(lines)


STYLES: dict[str, Callable[[Sequence[Record]], str]] = {
    "plain": plain,
    "form": form,
    "zone": zone_file,
    "cloudflare": cloudflare,
    "route53": route53,
    "nsupdate": nsupdate,
}


def rdata(record: Record) -> str:
    """A record's content as it stands in a zone file."""
    if record.type == "TXT":
        return " ".join(_quoted(part) for part in _parts(record.data.encode()))
    if record.type in {"CNAME", "MX", "SRV", "PTR"}:
        return f"{record.data}."
    return record.data


def _line(record: Record, name: str) -> str:
    return f"{name} {TTL} IN {record.type} {rdata(record)}"


def _commented(record: Record, name: str) -> str:
    if not record.data:
        return f"; {name} {TTL} IN {record.type} {UNKNOWN}"
    return _line(record, name)


def _publishable(records: Sequence[Record]) -> Iterator[Record]:
    """Those that go into the owner's own zones."""
    return (record for record in records if record.data and record.zone)


def _zones(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record.zone for record in records))


def _heading(zone: str) -> str:
    return f"In the zone of {zone}:" if zone else "At whoever gives out the addresses:"


def _parts(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), MOST_BYTES):
        yield data[start : start + MOST_BYTES]


def _quoted(data: bytes) -> str:
    text = data.decode("ascii")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
