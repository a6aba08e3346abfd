"""`mailstead dns check`: what the authoritative servers say, and what the world sees of it.

A record is right only if every server that is responsible for it says so, and every resolver that
is asked, too. A server that does not answer leaves it unknown, which is never the same as right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict

from firstboot.dns.judge import Finding, judge
from firstboot.dns.plan import AddressesJson, RecordJson
from firstboot.dns.records import Record
from firstboot.system.authority import Authorities, is_within
from firstboot.system.dnsclient import NoAnswerError, Server, ask

State = Literal["right", "missing", "wrong", "stale", "unknown"]

# Questions under way at once: where nobody answers, all of them wait, and better together.
WORKERS = 64


class VerdictJson(RecordJson):
    """A record and what is published of it, with sentences for people."""

    state: State
    details: list[str]


class CheckJson(TypedDict):
    """What is published of all records; `ok` when nothing has to be done."""

    ok: bool
    addresses: AddressesJson
    records: list[VerdictJson]


@dataclass(frozen=True)
class View:
    """What one server says about a name and type; `failure` is "" when it has said something.

    `note` says what is special about it, "" if nothing.
    """

    server: str
    values: tuple[str, ...]
    ttl: int = 0
    failure: str = ""
    alias: str = ""
    note: str = ""


@dataclass(frozen=True)
class Views:
    """What all of them say: those that are responsible, and resolvers of the public."""

    authoritative: tuple[View, ...]
    public: tuple[View, ...]


@dataclass(frozen=True)
class Verdict:
    """How a record is doing, with sentences for people."""

    record: Record
    state: State
    details: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing has to be done: a recommended record may be left out."""
        return self.state == "right" or (
            self.state == "missing" and self.record.need == "recommended"
        )


def check_records(
    records: Sequence[Record], authorities: Authorities, resolvers: Sequence[Server]
) -> Iterator[Verdict]:
    """Look every record up; the verdicts come in the order of the records, as they get known."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for record in records:
        wanted.setdefault(record.key, set()).add(record.data)
    zones = {record.key: record.zone for record in records}
    with ThreadPoolExecutor(WORKERS) as pool:
        views = {
            key: (
                pool.submit(_ask_authorities, *key, zones[key], authorities),
                [
                    pool.submit(_ask_resolver, *key, server, authorities.timeout)
                    for server in resolvers
                ],
            )
            for key in wanted
        }
        for record in records:
            first, others = views[record.key]
            seen = Views(first.result(), tuple(other.result() for other in others))
            yield decide(record, wanted[record.key], seen)


def decide(record: Record, wanted: set[str], views: Views) -> Verdict:
    """The verdict about a record from what every server says about it."""
    own = [(view, judge(record, view.values, wanted)) for view in _answered(views.authoritative)]
    failures = [view.failure for view in (*views.authoritative, *views.public) if view.failure]
    bad = [(view, finding) for view, finding in own if finding]
    if not own:
        return Verdict(record, "unknown", tuple(failures))
    if len(bad) == len(own):
        finding = bad[0][1]
        return Verdict(record, finding.fault, (*_advice(finding, bad[0][0]), *failures))
    old = [
        *bad,
        *_bad(record, wanted, views.public),
    ]
    if old:
        return Verdict(record, "stale", (*(_outdated(*entry) for entry in old), *failures))
    if record.type in {"A", "AAAA"} and own[0][0].alias:
        text = f"it is an alias of {own[0][0].alias}, which an MX record must not lead to"
        return Verdict(record, "wrong", (text, "wanted an A or AAAA record", *failures))
    return Verdict(record, "unknown" if failures else "right", tuple(failures))


def _bad(record: Record, wanted: set[str], views: Sequence[View]) -> Iterator[tuple[View, Finding]]:
    for view in _answered(views):
        finding = judge(record, view.values, wanted)
        if finding:
            yield view, finding


def _answered(views: Sequence[View]) -> list[View]:
    return [view for view in views if not view.failure]


def _advice(finding: Finding, view: View) -> Iterator[str]:
    yield f"{finding.text}, says {view.server}"
    if view.note:
        yield view.note
    if finding.wanted:
        yield f"wanted {finding.wanted}"


def _outdated(view: View, finding: Finding) -> str:
    until = f"; it may keep that for another {view.ttl} s" if view.ttl else ""
    return f"not yet everywhere: {view.server} says: {finding.text}{until}"


def _ask_authorities(
    name: str, kind: str, domain: str, authorities: Authorities
) -> tuple[View, ...]:
    """What every server of the name's zone says; one view with the reason if none can be found.

    `domain` is the one whose zone the record belongs into, "" where that is not known.
    """
    try:
        zone = authorities.zone_of(name)
    except NoAnswerError as error:
        return (View("", (), failure=error.message),)
    views = tuple(_ask_authority(name, kind, server, authorities) for server in zone.servers)
    if not domain or is_within(zone.name, domain):
        return views
    note = f"{domain} has no zone of its own: it may be mistyped, or not be registered"
    return tuple(dataclasses.replace(view, note=note) for view in views)


def _ask_authority(name: str, kind: str, server: Server, authorities: Authorities) -> View:
    try:
        answer = ask(server, name, kind, recursive=False, timeout=authorities.timeout)
        if not answer.authoritative:
            raise NoAnswerError(f"{server} is not responsible for {name}, though it ought to be")
        if answer.alias and not answer.values:
            # Where the alias leads to is another zone's affair.
            target = authorities.lookup(answer.alias, kind)
            return View(str(server), target.values, alias=answer.alias)
    except NoAnswerError as error:
        return View(str(server), (), failure=error.message)
    return View(str(server), answer.values, alias=answer.alias)


def _ask_resolver(name: str, kind: str, server: Server, timeout: float) -> View:
    try:
        answer = ask(server, name, kind, recursive=True, timeout=timeout)
    except NoAnswerError as error:
        return View(str(server), (), failure=error.message)
    return View(str(server), answer.values, answer.ttl)
