"""Messages of the selected folder in an order: SORT and THREAD, each also by UID.

RFC 5256, RFC 5957.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from postmaster.imap.commands.choice import number_of
from postmaster.imap.commands.searching import find_matching, numbers_of, search_memory
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.search import Search, SearchParser
from postmaster.imap.session import Session
from postmaster.imap.sort import Row, SortKey, needs_headings, parse_sort_keys, sort_row, sort_rows
from postmaster.imap.thread import Entry, thread_by_references, thread_entry, thread_line
from postmaster.imap.view import View
from postmaster.message.order import Heading
from postmaster.storage.interface import Mailbox, Message

T = TypeVar("T")

# What one message takes while messages are sorted, of which each key some more, or threaded.
ROW_BYTES, KEY_BYTES = 768, 256
ENTRY_BYTES = 1536
NO_HEADING = Heading()

Make = Callable[[Message, Heading], T]


@command("SORT", State.SELECTED, News.NO_EXPUNGE)
async def sort(session: Session, parser: Parser) -> Done:
    """Sort, answered with sequence numbers."""
    return await _sort(session, parser, by_uid=False)


@command("UID SORT", State.SELECTED)
async def uid_sort(session: Session, parser: Parser) -> Done:
    """Sort, answered with UIDs."""
    return await _sort(session, parser, by_uid=True)


async def _sort(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    parser.space()
    keys = parse_sort_keys(parser)
    wanted = _criteria(view, parser)
    await session.send([await _find_sorted(session, view, wanted, keys, by_uid=by_uid)])
    return Done("sorted", used_numbers=wanted.by_number)


async def _find_sorted(
    session: Session, view: View, wanted: Search, keys: Sequence[SortKey], *, by_uid: bool
) -> bytes:
    """Return the SORT response; all else is let go of before a slow client has it."""
    make = partial(sort_row, keys=keys)
    number = partial(number_of, view, by_uid=by_uid)
    of_each = ROW_BYTES + KEY_BYTES * len(keys)
    async with session.holding(search_memory(view, wanted, of_each)):
        rows: list[Row] = []
        modseq = 0
        async for found in find_matching(session, view, wanted):
            modseq = max(modseq, *(message.modseq for message in found))
            if needs_headings(keys):
                rows += await session.run(partial(_read, view.folder.id, found, make, False))
            else:
                rows += [make(message, NO_HEADING) for message in found]
        # On the mailbox's thread: for others it would be a long time, and nobody takes theirs.
        line = await session.run(lambda _: _sorted(rows, keys, number))
    # RFC 7162 3.1.6
    return line + b" (MODSEQ %d)" % modseq if wanted.modseq and modseq else line


def _sorted(rows: Sequence[Row], keys: Sequence[SortKey], number: Callable[[int], int]) -> bytes:
    return b" ".join([b"* SORT", *(b"%d" % number(uid) for uid in sort_rows(rows, keys))])


@command("THREAD", State.SELECTED, News.NO_EXPUNGE)
async def thread(session: Session, parser: Parser) -> Done:
    """Thread, answered with sequence numbers."""
    return await _thread(session, parser, by_uid=False)


@command("UID THREAD", State.SELECTED)
async def uid_thread(session: Session, parser: Parser) -> Done:
    """Thread, answered with UIDs."""
    return await _thread(session, parser, by_uid=True)


async def _thread(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    parser.space()
    if parser.keyword() != "REFERENCES":
        raise SyntaxFaultError("THREAD knows REFERENCES only")
    wanted = _criteria(view, parser)
    await session.send([await _find_threads(session, view, wanted, by_uid=by_uid)])
    return Done("threaded", used_numbers=wanted.by_number)


async def _find_threads(session: Session, view: View, wanted: Search, *, by_uid: bool) -> bytes:
    """Return the THREAD response; all else is let go of before a slow client has it."""
    number = partial(number_of, view, by_uid=by_uid)
    async with session.holding(search_memory(view, wanted, ENTRY_BYTES)):
        entries: list[Entry] = []
        async for found in find_matching(session, view, wanted):
            entries += await session.run(partial(_read, view.folder.id, found, thread_entry, True))
        return await session.run(lambda _: _threaded(entries, number))


def _threaded(entries: Sequence[Entry], number: Callable[[int], int]) -> bytes:
    return thread_line(thread_by_references(entries), number)


def _criteria(view: View, parser: Parser) -> Search:
    """Read a space, a charset and search keys up to the end of the command."""
    parser.space()
    criteria = SearchParser(parser, numbers_of(view))
    criteria.charset()
    return criteria.criteria()


def _read(
    folder: int, messages: Sequence[Message], make: Make[T], references: bool, box: Mailbox
) -> list[T]:
    """Return what is made of those of the messages that are still there, and their headings."""
    uids = [message.uid for message in messages]
    headings: Mapping[int, Heading] = box.headings(folder, uids, references=references)
    return [make(one, headings[one.uid]) for one in messages if one.uid in headings]
