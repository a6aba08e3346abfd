"""What the commands on messages share: which messages are meant, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done
from postmaster.imap.view import View


def chosen_messages(view: View, parser: Parser, *, by_uid: bool) -> list[int]:
    """Read a space and a sequence set; return the UIDs that it means."""
    parser.space()
    chosen = parser.sequence_set()
    try:
        return view.select(chosen, by_uid=by_uid)
    except ValueError as error:
        raise SyntaxFaultError(str(error)) from error


def finish(text: str, wanted: Sequence[int], found: int, *, by_uid: bool) -> Done:
    """Finish a command; with numbers that mean messages which are gone it says so (RFC 5530)."""
    if found < len(wanted) and not by_uid:
        return Done("some of the messages are gone", "EXPUNGEISSUED")
    return Done(text)
