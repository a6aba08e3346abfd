"""Looking at folders without opening them: LIST, LSUB, STATUS.

RFC 3501 6.3, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC 6154).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from postmaster.imap.folder_list import (
    Entry,
    Folders,
    list_entries,
    lsub_entries,
    parse_list,
    parse_lsub,
)
from postmaster.imap.grammar import Parser
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.imap.status import parse_status_items, status_line
from postmaster.storage.interface import FolderCounts, Mailbox, NoSuchFolderError

DELIMITER_ONLY = Entry("", None, ("\\Noselect",))


@command("LIST", LOGGED_IN)
async def list_folders(session: Session, parser: Parser) -> Done:
    """List the folders that match, with their numbers if asked for."""
    request = parse_list(parser)
    if request.asks_for_delimiter:
        return await _answer(session, "LIST", [DELIMITER_ONLY])
    entries = list_entries(await session.run(_folders), request)
    if not request.status:
        return await _answer(session, "LIST", entries)
    if "HIGHESTMODSEQ" in request.status:
        await session.enable_condstore()
    for entry in entries:
        await _answer_with_status(session, entry, request.status)
    return Done("listed")


@command("LSUB", LOGGED_IN)
async def list_subscribed(session: Session, parser: Parser) -> Done:
    """List the subscribed folders that match a pattern."""
    request = parse_lsub(parser)
    if request.asks_for_delimiter:
        return await _answer(session, "LSUB", [DELIMITER_ONLY])
    return await _answer(session, "LSUB", lsub_entries(await session.run(_folders), request))


@command("STATUS", LOGGED_IN)
async def status(session: Session, parser: Parser) -> Done:
    """Tell numbers of a folder without selecting it."""
    parser.space()
    name = parser.mailbox()
    parser.space()
    items = parse_status_items(parser)
    parser.end()
    counts = await session.run(lambda box: box.counts(name))
    if "HIGHESTMODSEQ" in items:
        await session.enable_condstore()
    await _send_status(session, counts, items)
    return Done("that is all")


def _folders(box: Mailbox) -> Folders:
    return Folders(box.folders(), box.lost_subscriptions())


async def _answer(session: Session, kind: str, entries: Sequence[Entry]) -> Done:
    await session.send([entry.line(kind, utf8=session.utf8) for entry in entries])
    return Done("listed")


async def _answer_with_status(session: Session, entry: Entry, items: Sequence[str]) -> None:
    counts: FolderCounts | None = None
    if entry.folder is not None and entry.selected:
        counts = await session.run(partial(_counts_of, entry.name))
        if counts is None:  # it was deleted since it was listed (RFC 9051 6.3.9.2)
            entry = replace(entry, attributes=(*entry.attributes, "\\Noselect"))
    await _answer(session, "LIST", [entry])
    if counts is not None:
        await _send_status(session, counts, items)


def _counts_of(name: str, box: Mailbox) -> FolderCounts | None:
    try:
        return box.counts(name)
    except NoSuchFolderError:
        return None


async def _send_status(session: Session, counts: FolderCounts, items: Sequence[str]) -> None:
    limit = session.services.message_size_limit
    await session.send([status_line(counts, items, append_limit=limit, utf8=session.utf8)])
