"""Results of SEARCH: what RETURN asks for (RFC 4731, RFC 5182), and the response."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.sequence import format_sequence_set
from postmaster.storage.interface import Message

OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})


@dataclass(frozen=True)
class Hits:
    """Messages found, in order of UID. There may be a million, so each takes 12 bytes only."""

    uids: array[int] = field(default_factory=lambda: array("I"))
    modseqs: array[int] = field(default_factory=lambda: array("q"))

    def add(self, messages: Iterable[Message]) -> None:
        """Add messages that come after those that are there."""
        for message in messages:
            self.uids.append(message.uid)
            self.modseqs.append(message.modseq)


Numbering: TypeAlias = Callable[[int], int]  # what the answer calls the message of a UID


@dataclass(frozen=True)
class ResultOptions:
    """What of the result is wanted, of OPTIONS."""

    wanted: frozenset[str]

    @property
    def saves(self) -> bool:
        """Say whether the result is kept for `$`."""
        return "SAVE" in self.wanted

    @property
    def answers(self) -> bool:
        """Say whether there is a response at all."""
        return self.wanted != {"SAVE"}

    def narrowed(self, found: Sequence[int]) -> Sequence[int]:
        """Return what is about those of the hits that are told (RFC 4731 3.2, RFC 5182 2.1)."""
        ends = self.wanted & {"MIN", "MAX"}
        if not found or not ends or self.wanted & {"ALL", "COUNT"}:
            return found
        return [found[0 if end == "MIN" else -1] for end in sorted(ends, reverse=True)]


ALL_FOUND = ResultOptions(frozenset({"ALL"}))  # what is wanted when nothing is said


def parse_result_options(parser: Parser) -> ResultOptions | None:
    """Read `RETURN (…)` and the space behind it; None when there is none."""
    if not parser.accept(b"RETURN "):
        return None
    parser.expect(b"(")
    wanted: set[str] = set()
    while not parser.accept(b")"):
        if wanted:
            parser.space()
        name = parser.keyword()
        if name not in OPTIONS:
            raise SyntaxFaultError(f"SEARCH cannot return {name}")
        wanted.add(name)
    parser.space()
    return ResultOptions(frozenset(wanted)) if wanted else ALL_FOUND


def search_line(hits: Hits, number: Numbering, *, modseq: bool) -> bytes:
    """Return the SEARCH response; `modseq` adds the highest of the hits (RFC 7162 3.1.5)."""
    line = bytearray(b"* SEARCH")
    for uid in hits.uids:
        line += b" %d" % number(uid)
    if modseq and hits.modseqs:
        line += b" (MODSEQ %d)" % max(hits.modseqs)
    return bytes(line)


def esearch_line(
    tag: str, options: ResultOptions, hits: Hits, number: Numbering, *, by_uid: bool, modseq: bool
) -> bytes:
    """Return the ESEARCH response."""
    uids = hits.uids
    line = f'* ESEARCH (TAG "{tag}")'
    if by_uid:
        line += " UID"
    if uids and "MIN" in options.wanted:
        line += f" MIN {number(uids[0])}"
    if uids and "MAX" in options.wanted:
        line += f" MAX {number(uids[-1])}"
    if uids and "ALL" in options.wanted:
        line += f" ALL {format_sequence_set(map(number, uids))}"
    if "COUNT" in options.wanted:
        line += f" COUNT {len(uids)}"
    if uids and modseq:
        line += f" MODSEQ {max(options.narrowed(hits.modseqs))}"
    return line.encode()
