"""What the commands on messages share: which messages are meant, and how it ended."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done
from postmaster.imap.sequence import SequenceSet
from postmaster.imap.view import View
from postmaster.storage.interface import Message

BUDGET = 1024 * 1024  # bytes read from a vault in one go
BATCH = 500  # messages looked at in one go, so that other sessions of the person get a turn


def chosen_messages(view: View, parser: Parser, *, by_uid: bool) -> list[int]:
    """Read a space and a sequence set; return the UIDs that it means."""
    parser.space()
    return select_messages(view, parser.sequence_set(), by_uid=by_uid)


def select_messages(view: View, chosen: SequenceSet, *, by_uid: bool) -> list[int]:
    """Return the UIDs that a sequence set means."""
    try:
        return view.select(chosen, by_uid=by_uid)
    except ValueError as error:
        raise SyntaxFaultError(str(error)) from error


def number_of(view: View, uid: int, *, by_uid: bool) -> int:
    """Return what an answer calls a message of the folder."""
    return uid if by_uid else view.number(uid) or 0


def finish(text: str, wanted: Sequence[int], found: int, *, by_uid: bool) -> Done:
    """Finish a command; with numbers that mean messages which are gone it says so (RFC 5530)."""
    if found < len(wanted) and not by_uid:
        return Done("some of the messages are gone", "EXPUNGEISSUED")
    return Done(text)


def covered(uids: Sequence[int], messages: Sequence[Message]) -> int:
    """Return how many of `uids` an answer accounts for; none of them left means all are gone."""
    return bisect_right(uids, messages[-1].uid) if messages else len(uids)
