"""Quick resynchronisation (RFC 7162 3.2): what a client missed, told from the modseq that it knows.

The store keeps the UIDs of all that was ever removed. So the client's sequence match data, which
would help a server that does not (RFC 7162 3.2.5.2), are read and not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.sequence import SequenceSet, format_sequence_set
from postmaster.imap.view import View
from postmaster.storage.interface import Changes


@dataclass(frozen=True)
class Resync:
    """What a client says that it knows of a folder."""

    uidvalidity: int
    modseq: int
    known: SequenceSet | None = None  # UIDs that it wants to hear of; None: of all


@dataclass(frozen=True)
class SelectParameters:
    """What may follow the name in SELECT and EXAMINE (RFC 4466 2.1)."""

    condstore: bool = False
    resync: Resync | None = None


def parse_select_parameters(parser: Parser) -> SelectParameters:
    """Read ` (CONDSTORE QRESYNC (…))`, or nothing."""
    if not parser.accept(b" ("):
        return SelectParameters()
    condstore, resync = False, None
    while True:
        name = parser.keyword()
        if name == "CONDSTORE" and not condstore:
            condstore = True
        elif name == "QRESYNC" and resync is None:
            resync = _resync(parser)
        else:
            raise SyntaxFaultError(f"{name} is not possible here")
        if parser.accept(b")"):
            return SelectParameters(condstore, resync)
        parser.space()


def _resync(parser: Parser) -> Resync:
    parser.expect(b" (")
    uidvalidity = parser.number()
    parser.space()
    modseq = parser.number64()
    known = None
    if not parser.peek(b" (") and parser.accept(b" "):
        known = _known(parser)
    if parser.accept(b" ("):
        _known(parser)
        parser.space()
        _known(parser)
        parser.expect(b")")
    parser.expect(b")")
    return Resync(uidvalidity, modseq, known)


def _known(parser: Parser) -> SequenceSet:
    known = parser.sequence_set()
    if known.saved:
        raise SyntaxFaultError("expected UIDs")
    return known


def resync_responses(view: View, resync: Resync, changes: Changes) -> list[bytes]:
    """Return what tells a client all that happened since its modseq (RFC 7162 3.2.5.1)."""
    changed = changes.changed
    if resync.known is not None:
        wanted = set(resync.known.select([message.uid for message in changed]))
        changed = [message for message in changed if message.uid in wanted]
    gone = vanished_earlier(view, changes, resync.known)
    return [*gone, *view.flag_responses(changed)]


def vanished_earlier(view: View, changes: Changes, known: SequenceSet | None) -> list[bytes]:
    """Return the response that tells of messages which were gone before; `*` has no bound there.

    Without those that the client still counts: it hears of them with its news.
    """
    gone: Sequence[int] = changes.vanished
    if known is not None:
        gone = known.select(gone)
    gone = [uid for uid in gone if view.number(uid) is None]
    return [b"* VANISHED (EARLIER) " + format_sequence_set(gone).encode()] if gone else []
