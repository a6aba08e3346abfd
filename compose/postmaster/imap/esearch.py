"""Results of SEARCH: what RETURN asks for (RFC 4731, RFC 5182), and the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.sequence import format_sequence_set
from postmaster.storage.interface import Message

OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})


@dataclass(frozen=True)
class Hit:
    """A message found; `number` is its sequence number, or its UID for UID SEARCH."""

    number: int
    message: Message


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

    def narrowed(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """Return those of the hits that the options are about (RFC 4731 3.2, RFC 5182 2.1)."""
        ends = self.wanted & {"MIN", "MAX"}
        if not hits or not ends or self.wanted & {"ALL", "COUNT"}:
            return hits
        return [hits[0 if end == "MIN" else -1] for end in sorted(ends, reverse=True)]


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


def search_line(hits: Sequence[Hit], *, modseq: bool) -> bytes:
    """Return the SEARCH response; `modseq` adds the highest of the hits (RFC 7162 3.1.5)."""
    line = b" ".join([b"* SEARCH", *(b"%d" % hit.number for hit in hits)])
    return line + b" (MODSEQ %d)" % _highest(hits) if modseq and hits else line


def esearch_line(
    tag: str, options: ResultOptions, hits: Sequence[Hit], *, by_uid: bool, modseq: bool
) -> bytes:
    """Return the ESEARCH response."""
    line = f'* ESEARCH (TAG "{tag}")'
    if by_uid:
        line += " UID"
    if hits and "MIN" in options.wanted:
        line += f" MIN {hits[0].number}"
    if hits and "MAX" in options.wanted:
        line += f" MAX {hits[-1].number}"
    if hits and "ALL" in options.wanted:
        line += f" ALL {format_sequence_set([hit.number for hit in hits])}"
    if "COUNT" in options.wanted:
        line += f" COUNT {len(hits)}"
    if hits and modseq:
        line += f" MODSEQ {_highest(options.narrowed(hits))}"
    return line.encode()


def _highest(hits: Sequence[Hit]) -> int:
    return max(hit.message.modseq for hit in hits)
