"""Looking at messages of the selected folder, and flagging them: FETCH, STORE, SEARCH.

RFC 3501 6.4, each by sequence number and by UID.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial

from postmaster.imap.commands.choice import chosen_messages, finish
from postmaster.imap.fetch import (
    Attribute,
    FetchRequest,
    content_item,
    message_item,
    parse_fetch,
)
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.search import Candidate, Numbers, Search, SearchParser
from postmaster.imap.session import Session
from postmaster.imap.view import View
from postmaster.storage.interface import (
    Changes,
    Content,
    FlagChange,
    Mailbox,
    Message,
    TextKey,
)

BUDGET = 1024 * 1024  # bytes read from a vault in one go
BATCH = 500  # messages looked at in one go, so that other sessions of the person get a turn
SEEN = frozenset({"\\Seen"})


@command("FETCH", State.SELECTED, News.NO_EXPUNGE)
async def fetch(session: Session, parser: Parser) -> Done:
    """Fetch by sequence number."""
    return await _fetch(session, parser, by_uid=False)


@command("UID FETCH", State.SELECTED)
async def uid_fetch(session: Session, parser: Parser) -> Done:
    """Fetch by UID."""
    return await _fetch(session, parser, by_uid=True)


@command("STORE", State.SELECTED, News.NO_EXPUNGE)
async def store(session: Session, parser: Parser) -> Done:
    """Change flags by sequence number."""
    return await _store(session, parser, by_uid=False)


@command("UID STORE", State.SELECTED)
async def uid_store(session: Session, parser: Parser) -> Done:
    """Change flags by UID."""
    return await _store(session, parser, by_uid=True)


@command("SEARCH", State.SELECTED, News.NO_EXPUNGE)
async def search(session: Session, parser: Parser) -> Done:
    """Search, answered with sequence numbers."""
    return await _search(session, parser, by_uid=False)


@command("UID SEARCH", State.SELECTED)
async def uid_search(session: Session, parser: Parser) -> Done:
    """Search, answered with UIDs."""
    return await _search(session, parser, by_uid=True)


# FETCH


async def _fetch(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    uids = chosen_messages(view, parser, by_uid=by_uid)
    parser.space()
    request = parse_fetch(parser, by_uid=by_uid)
    mark = request.marks_seen and not view.read_only
    found = 0
    rest = uids
    while rest:
        batch = rest[:BATCH]
        messages, contents = await session.run(partial(_read, view, request, batch))
        rest = rest[_covered(batch, messages) :]
        marked: set[int] = set()
        if mark:
            messages, marked = await _mark_seen(session, view, messages)
        await session.send(view.announce(frozenset().union(*(m.flags for m in messages))))
        for message in messages:
            content, with_flags = contents.get(message.uid), message.uid in marked
            await session.channel.stream(
                _fetch_response(view, request, message, content, with_flags=with_flags)
            )
        found += len(messages)
    return finish("fetched", uids, found, by_uid=by_uid)


def _read(
    view: View, request: FetchRequest, uids: list[int], box: Mailbox
) -> tuple[Sequence[Message], dict[int, Content]]:
    """Read what a request needs, from the start of `uids` as far as the budget goes."""
    folder = view.folder.id
    if not request.needs_contents:
        return box.messages(folder, uids), {}
    contents = box.contents(
        folder,
        uids,
        bodies=request.needs_bodies,
        outlines=request.needs_outlines,
        budget=BUDGET,
    )
    return [content.message for content in contents], {c.message.uid: c for c in contents}


def _covered(uids: Sequence[int], messages: Sequence[Message]) -> int:
    """Return how many of `uids` an answer accounts for; none of them left means all are gone."""
    return bisect_right(uids, messages[-1].uid) if messages else len(uids)


async def _mark_seen(
    session: Session, view: View, messages: Sequence[Message]
) -> tuple[Sequence[Message], set[int]]:
    """Set \\Seen where it is missing; return the messages as they are then, and which changed."""
    unseen = [message.uid for message in messages if "\\Seen" not in message.flags]
    if not unseen:
        return messages, set()
    changed = await _change_flags(session, view, unseen, FlagChange.ADD, SEEN)
    now = {message.uid: message for message in changed}
    return [now.get(message.uid, message) for message in messages], set(now)


def _fetch_response(
    view: View,
    request: FetchRequest,
    message: Message,
    content: Content | None,
    *,
    with_flags: bool,
) -> Iterator[bytes]:
    flags = view.flags_of(message)
    items = request.items
    if with_flags and Attribute("FLAGS") not in items:
        items = (*items, Attribute("FLAGS"))
    separator = b"* %d FETCH (" % (view.number(message.uid) or 0)
    for item in items:
        part = message_item(item, message, flags) if isinstance(item, Attribute) else None
        if part is None and content is not None:
            part = content_item(item, content)
        if part is not None:
            yield separator
            yield part
            separator = b" "
    yield b")\r\n"


# STORE


async def _store(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.writable
    uids = chosen_messages(view, parser, by_uid=by_uid)
    parser.space()
    how = FlagChange.REPLACE
    if parser.accept(b"+"):
        how = FlagChange.ADD
    elif parser.accept(b"-"):
        how = FlagChange.REMOVE
    name = parser.keyword()
    if name not in {"FLAGS", "FLAGS.SILENT"}:
        raise SyntaxFaultError("expected FLAGS")
    parser.space()
    flags = parser.flags()
    parser.end()
    messages = await _change_flags(session, view, uids, how, flags)
    if name == "FLAGS":
        await session.send(view.flag_responses(messages))
    else:
        await session.send(view.announce(flags))
    return finish("stored", uids, len(messages), by_uid=by_uid)


async def _change_flags(
    session: Session, view: View, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
) -> Sequence[Message]:
    """Change flags and count the change as told; news from others before it are sent."""
    folder, since, claim = view.folder.id, view.modseq, not view.read_only

    def work(box: Mailbox) -> tuple[Changes, Sequence[Message], int]:
        # On the mailbox's thread nothing comes between these three.
        before = box.changes(folder, since, claim_recent=claim)
        messages = box.store_flags(folder, uids, how, flags)
        after = box.changes(folder, before.modseq, claim_recent=False)
        return before, messages, after.modseq

    before, messages, modseq = await session.run(work)
    await session.send(view.apply(before, expunge=False))
    view.modseq = modseq
    return messages


# SEARCH


async def _search(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    parser.space()
    uids = list(view.uids)
    largest = uids[-1] if uids else 0
    wanted = SearchParser(parser, Numbers(len(uids), largest)).search()
    await _ask_store(session, view, wanted)
    hits: list[int] = []
    while uids:
        looked_at, found = await session.run(partial(_matches, view, wanted, uids[:BATCH]))
        hits += found
        uids = uids[looked_at:]
    numbers = hits if by_uid else [view.number(uid) or 0 for uid in hits]
    await session.send([b" ".join([b"* SEARCH", *(b"%d" % number for number in numbers)])])
    return Done("searched")


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


def _matches(view: View, wanted: Search, uids: list[int], box: Mailbox) -> tuple[int, list[int]]:
    """Look at messages from the start of `uids`; return how many, and the UIDs that match."""
    contents: dict[int, Content] = {}
    if wanted.headers:
        read = box.contents(view.folder.id, uids, bodies=False, outlines=False, budget=BUDGET)
        contents = {content.message.uid: content for content in read}
        messages: Sequence[Message] = [content.message for content in read]
    else:
        messages = box.messages(view.folder.id, uids)
    found = []
    for message in messages:
        recent = "\\Recent" in view.flags_of(message)
        number = view.number(message.uid) or 0
        if wanted.matches(Candidate(message, number, recent, contents.get(message.uid))):
            found.append(message.uid)
    return _covered(uids, messages), found
