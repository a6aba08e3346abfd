"""Searching the selected folder: SEARCH, by sequence number and by UID (RFC 9051 6.4.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from postmaster.imap.capability import UTF8_ACCEPT
from postmaster.imap.commands.choice import BATCH, BUDGET, covered, number_of
from postmaster.imap.esearch import (
    ALL_FOUND,
    Hits,
    ResultOptions,
    esearch_line,
    parse_result_options,
    search_line,
)
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.search import Candidate, Numbers, Search, SearchParser
from postmaster.imap.sequence import SAVED_RESULT
from postmaster.imap.session import Session
from postmaster.imap.view import View
from postmaster.storage.interface import Content, Mailbox, Message, TextKey

# What a message that matches takes until it is told, most of it in a sequence set, and what it
# takes in the store's answer about a text.
HIT_BYTES, TEXT_BYTES = 128, 96


@command("SEARCH", State.SELECTED, News.NO_EXPUNGE)
async def search(session: Session, parser: Parser) -> Done:
    """Search, answered with sequence numbers."""
    return await _search(session, parser, by_uid=False)


@command("UID SEARCH", State.SELECTED)
async def uid_search(session: Session, parser: Parser) -> Done:
    """Search, answered with UIDs."""
    return await _search(session, parser, by_uid=True)


async def _search(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    parser.space()
    options = parse_result_options(parser)
    if options is None and session.rev2:
        options = ALL_FOUND  # RFC 9051 6.4.4
    saves = options is not None and options.saves
    try:
        wanted = SearchParser(parser, numbers_of(view)).search(
            charset=UTF8_ACCEPT not in session.enabled
        )
    except RefusedError:
        if saves:
            view.saved = ()
        raise
    if saves:
        view.saved = ()  # also when the search fails (RFC 5182 2.1)
    await session.send(await _find(session, view, wanted, options, by_uid=by_uid))
    return Done("searched", used_numbers=wanted.by_number)


async def _find(
    session: Session, view: View, wanted: Search, options: ResultOptions | None, *, by_uid: bool
) -> list[bytes]:
    """Return the response, if there is one; all else is let go of before a slow client has it."""
    number = partial(number_of, view, by_uid=by_uid)
    async with session.holding(search_memory(view, wanted, HIT_BYTES)):
        hits = Hits()
        async for found in find_matching(session, view, wanted):
            hits.add(found)
        if options is None:
            return [search_line(hits, number, modseq=wanted.modseq)]
        if options.saves:
            view.saved = options.narrowed(hits.uids)
        if not options.answers:
            return []
        tag, modseq = session.tag, wanted.modseq
        return [esearch_line(tag, options, hits, number, by_uid=by_uid, modseq=modseq)]


def numbers_of(view: View) -> Numbers:
    """Return what the sequence sets of a search refer to."""
    largest = view.uids[-1] if view.uids else 0
    return Numbers(view.exists, largest, view.select(SAVED_RESULT, by_uid=True))


def search_memory(view: View, wanted: Search, of_each: int) -> int:
    """Return the bytes that a search may take which keeps `of_each` of a message that matches."""
    return (of_each + TEXT_BYTES * len(wanted.texts)) * view.exists


async def find_matching(
    session: Session, view: View, wanted: Search
) -> AsyncIterator[list[Message]]:
    """Yield the messages that a search matches, in order of UID, at most BATCH at a time."""
    if wanted.modseq:
        await session.enable_condstore()
    await _ask_store(session, view, wanted)
    uids = wanted.narrowed(list(view.uids))
    start = 0
    while start < len(uids):
        batch = uids[start : start + BATCH]
        looked_at, matching = await session.run(partial(_matches, view, wanted, batch))
        start += looked_at
        if matching:
            yield matching


async def _ask_store(session: Session, view: View, wanted: Search) -> None:
    """Have the store answer what a search asks of texts."""
    if not wanted.texts:
        return
    while await session.run(_prepare_search):
        pass  # in steps, so that other sessions of the person get a turn
    for key in wanted.texts:
        wanted.texts[key] = await session.run(partial(_search_text, view.folder.id, key))


def _prepare_search(box: Mailbox) -> bool:
    return box.prepare_search()


def _search_text(folder: int, key: TextKey, box: Mailbox) -> frozenset[int]:
    return box.search(folder, key)


def _matches(
    view: View, wanted: Search, uids: list[int], box: Mailbox
) -> tuple[int, list[Message]]:
    """Look at messages from the start of `uids`; return how many, and those that match."""
    contents: dict[int, Content] = {}
    if wanted.headers:
        read = box.contents(view.folder.id, uids, bodies=False, outlines=False, budget=BUDGET)
        contents = {content.message.uid: content for content in read}
        messages: Sequence[Message] = [content.message for content in read]
    else:
        messages = box.messages(view.folder.id, uids)
    found = []
    for message in messages:
        recent = view.is_recent(message.uid)
        number = view.number(message.uid) or 0
        if wanted.matches(Candidate(message, number, recent, contents.get(message.uid))):
            found.append(message)
    return covered(uids, messages), found
