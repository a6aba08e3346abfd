"""Messages of the selected folder in an order: SORT and THREAD, each also by UID.

RFC 5256, RFC 5957.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from postmaster.imap.commands.choice import BATCH
from postmaster.imap.commands.searching import find_matching, numbers_of
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
    make = partial(sort_row, keys=keys)
    async with session.holding((ROW_BYTES + KEY_BYTES * len(keys)) * view.exists):
        found = await find_matching(session, view, wanted)
        if needs_headings(keys):
            rows = await _from_headings(session, view, found, make, references=False)
        else:
            rows = [make(message, NO_HEADING) for message in found]
        number = partial(_number, view, by_uid=by_uid)
        # On the mailbox's thread: for others it would be a long time, and nobody takes theirs.
        line = await session.run(lambda _: _sorted(rows, keys, number))
        if wanted.modseq and found:  # RFC 7162 3.1.6
            line += b" (MODSEQ %d)" % max(message.modseq for message in found)
    await session.send([line])
    return Done("sorted", used_numbers=wanted.by_number)


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
    number = partial(_number, view, by_uid=by_uid)
    async with session.holding(ENTRY_BYTES * view.exists):
        found = await find_matching(session, view, wanted)
        entries = await _from_headings(session, view, found, thread_entry, references=True)
        line = await session.run(lambda _: _threaded(entries, number))
    await session.send([line])
    return Done("threaded", used_numbers=wanted.by_number)


def _threaded(entries: Sequence[Entry], number: Callable[[int], int]) -> bytes:
    return thread_line(thread_by_references(entries), number)


def _criteria(view: View, parser: Parser) -> Search:
    """Read a space, a charset and search keys up to the end of the command."""
    parser.space()
    criteria = SearchParser(parser, numbers_of(view))
    criteria.charset()
    return criteria.criteria()


async def _from_headings(
    session: Session, view: View, messages: Sequence[Message], make: Make[T], *, references: bool
) -> list[T]:
    """Return what is made of those of the messages that are still there, and their headings."""
    made: list[T] = []
    for start in range(0, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        made += await session.run(partial(_read, view.folder.id, batch, make, references))
    return made


def _read(
    folder: int, messages: Sequence[Message], make: Make[T], references: bool, box: Mailbox
) -> list[T]:
    uids = [message.uid for message in messages]
    headings: Mapping[int, Heading] = box.headings(folder, uids, references=references)
    return [make(one, headings[one.uid]) for one in messages if one.uid in headings]


def _number(view: View, uid: int, *, by_uid: bool) -> int:
    return uid if by_uid else view.number(uid) or 0
