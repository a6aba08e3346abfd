"""Whether what is published is what is wanted; no I/O.

Equal is not the measure: an owner may have a stricter DMARC policy, or let a newsletter service
send, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from firstboot.dns.records import Kind, Record

Fault = Literal["missing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What is not as it should be: `text` says what was found, `wanted` what to enter instead.

    `data` is what to publish in place of all that was found, where that is not the record's own.
    """

    fault: Fault
    text: str
    wanted: str
    data: str = ""


def judge(record: Record, values: Sequence[str], wanted: Collection[str]) -> Finding | None:
    """What is wrong with the published `values` of the record's name and type, None if nothing.

    `wanted` is the data of all records that are wanted at this name with this type.
    """
    relevant = [found for found in values if concerns(record.kind, found)]
    if not record.data:
        # An address that the machine does not know: that there is one is all that can be said.
        return None if relevant else Finding("missing", "there is none", "")
    if not relevant:
        return Finding("missing", "there is none", record.data)
    return _JUDGES[record.kind](record, relevant, wanted)


def concerns(kind: Kind, found: str) -> bool:
    """Whether a published value is of this kind: texts of other kinds may stand beside ours."""
    prefix = _PREFIXES.get(kind)
    version = found.lower().replace(";", " ").split(" ")[0]
    return prefix is None or version == prefix


_PREFIXES: dict[Kind, str] = {
    "spf": "v=spf1",
    "helo-spf": "v=spf1",
    "dmarc": "v=dmarc1",
    "tls-report": "v=tlsrptv1",
    "mta-sts": "v=stsv1",
}


def _same(record: Record, values: Sequence[str], wanted: Collection[str]) -> Finding | None:
    """The very records that are wanted, and no others."""
    if record.data not in values:
        return Finding("wrong", f"found {', '.join(values)}", record.data)
    others = [found for found in values if found not in wanted]
    if others:
        return Finding(
            "wrong", f"found {', '.join(others)}, too", f"{record.data} and nothing else"
        )
    return None


def _mx(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """This machine before all others: those behind it are asked when it does not answer."""
    hosts = {host: int(number) for number, _, host in (found.partition(" ") for found in values)}
    own = record.data.partition(" ")[2]
    if own not in hosts:
        return Finding("wrong", f"found {', '.join(values)}", record.data)
    first = [host for host, number in hosts.items() if host != own and number <= hosts[own]]
    if first:
        text = f"mail goes to {', '.join(first)}, too"
        return Finding(
            "wrong", text, f"{record.data}, and others with a higher number or not at all"
        )
    return None


def _spf(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """One record (RFC 7208, 4.5) that lets this machine send, before anything that forbids it.

    And a smart host, if there is one.
    """
    own, *others = record.data.split()[1:-1]
    if len(values) > 1:
        text = f"there are {len(values)} SPF records, so none of them counts"
        return Finding("wrong", text, f"one of them, with {' '.join([own, *others])}")
    terms = values[0].lower().split()[1:]
    # A plus sign is what a term without any means (RFC 7208, 4.6.2).
    before = {term.removeprefix("+") for term in terms[: _end(terms)]}
    lacking = [term for term in others if term not in before]
    who = "the smart host"
    ways = (own, f"{own}:{record.name}", *record.also)
    if not any(before.issuperset(way.split()) for way in ways):
        lacking, who = [own, *lacking], "this machine"
    if not lacking:
        return None
    shown = " ".join(["v=spf1", *lacking, *terms])
    return Finding("wrong", f"found {values[0]}, which does not let {who} send", shown, shown)


def _end(terms: Sequence[str]) -> int:
    """Where `all` stands, behind which nothing is looked at."""
    ends = [index for index, term in enumerate(terms) if term.lstrip("+-~?") == "all"]
    return min(ends, default=len(terms))


def _dkim(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """The same key; other tags are the owner's affair."""
    own = tags(record.data)
    for found in values:
        there = tags(found)
        same = there.get("k", "rsa") == own["k"] and there.get("p") == own["p"]
        if same and len(values) == 1:
            return None
    text = f"found {', '.join(_short(found) for found in values)}"
    return Finding("wrong", text, f"{record.data} and nothing else")


def _dmarc(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """One record (RFC 7489, 6.6.3) with any valid policy: the owner's may be stricter than ours."""
    if len(values) > 1:
        text = f"there are {len(values)} DMARC records, so none of them counts"
        return Finding("wrong", text, "one of them")
    if tags(values[0]).get("p", "").lower() not in {"none", "quarantine", "reject"}:
        return Finding("wrong", f"found {values[0]}, which has no policy", record.data)
    return None


def _tls_report(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """One record (RFC 8460, 3) that sends the reports anywhere."""
    if len(values) > 1 or not tags(values[0]).get("rua"):
        return Finding("wrong", f"found {', '.join(values)}", record.data)
    return None


def _service(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """Port and host are what counts; how several are to be tried is the owner's affair."""
    targets = {" ".join(found.split()[2:]) for found in values}
    if " ".join(record.data.split()[2:]) in targets:
        return None
    return Finding("wrong", f"found {', '.join(values)}", record.data)


def _caa(record: Record, values: Sequence[str], _wanted: Collection[str]) -> Finding | None:
    """Whether this authority may issue (RFC 8659, 4.2): parameters after ; narrow it down."""
    if record.data in {found.partition(";")[0].rstrip('" ') + '"' for found in values}:
        return None
    return Finding(
        "wrong", f"found {', '.join(values)}, which shuts out the authority", record.data
    )


_JUDGES: dict[Kind, Callable[[Record, Sequence[str], Collection[str]], Finding | None]] = {
    "address": _same,
    "mx": _mx,
    "spf": _spf,
    "helo-spf": _spf,
    "dkim": _dkim,
    "dmarc": _dmarc,
    "tls-report": _tls_report,
    "mta-sts": _same,
    "service": _service,
    "service-path": _same,
    "web": _same,
    "caa": _caa,
    "reverse": _same,
}


def tags(text: str) -> dict[str, str]:
    """The tags of a record such as `v=DKIM1; k=rsa; p=…` (RFC 6376, 3.2), without white space."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, sign, value in pairs if sign}


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
