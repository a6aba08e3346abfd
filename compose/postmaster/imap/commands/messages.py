"""Reading messages of the selected folder: FETCH (RFC 3501 6.4.5), also by UID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from postmaster.imap.commands.choice import (
    BATCH,
    BUDGET,
    covered,
    finish,
    select_messages,
)
from postmaster.imap.commands.storing import FlagEdit, change_flags
from postmaster.imap.fetch import FetchRequest, parse_fetch
from postmaster.imap.fetch_response import fetch_responses
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.resync import vanished_earlier
from postmaster.imap.session import Session
from postmaster.imap.view import View
from postmaster.storage.interface import (
    Changes,
    Content,
    FlagChange,
    Mailbox,
    Message,
)

COPIES_OF_A_BODY = 3  # that there are at most while a message is read and answered
SEEN = frozenset({"\\Seen"})


@command("FETCH", State.SELECTED, News.NO_EXPUNGE)
async def fetch(session: Session, parser: Parser) -> Done:
    """Fetch by sequence number."""
    return await _fetch(session, parser, by_uid=False)


@command("UID FETCH", State.SELECTED)
async def uid_fetch(session: Session, parser: Parser) -> Done:
    """Fetch by UID."""
    return await _fetch(session, parser, by_uid=True)


async def _fetch(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    parser.space()
    chosen = parser.sequence_set()
    uids = select_messages(view, chosen, by_uid=by_uid)
    parser.space()
    request = parse_fetch(parser, by_uid=by_uid)
    if request.vanished and not view.qresync:
        raise SyntaxFaultError("enable QRESYNC first")
    if request.tells_modseqs:
        await session.enable_condstore()
    if request.changed_since is not None:
        changes = await _changes_since(session, view, request.changed_since)
        if request.vanished:
            await session.send(vanished_earlier(view, changes, chosen))
        changed = {message.uid for message in changes.changed}
        uids = [uid for uid in uids if uid in changed]
    mark = request.marks_seen and not view.read_only
    at = found = 0
    while batch := uids[at : at + BATCH]:
        async with session.holding(await _memory_for(session, view, request, batch)):
            messages, contents = await session.run(partial(_read, view, request, batch))
            await _tell(session, request, messages, contents, mark=mark)
        at += covered(batch, messages)
        found += len(messages)
    return finish("fetched", uids, found, by_uid=by_uid)


async def _tell(
    session: Session,
    request: FetchRequest,
    messages: Sequence[Message],
    contents: Mapping[int, Content],
    *,
    mark: bool,
) -> None:
    view = session.selected
    marked: set[int] = set()
    if mark:
        messages, marked = await _mark_seen(session, view, messages)
    request.require_decodable(contents.values())
    await session.send(view.announce(frozenset().union(*{m.flags for m in messages})))
    # In one stream: so small responses share a write, and none is made before there is room.
    await session.channel.stream(fetch_responses(view, request, messages, contents, marked=marked))


async def _memory_for(session: Session, view: View, request: FetchRequest, uids: list[int]) -> int:
    """Return the bytes that answering the next messages may take at once."""
    if not request.needs_bodies and not request.needs_previews:
        return BUDGET
    folder = view.folder.id
    sizes = [m.size for m in await session.run(lambda box: box.messages(folder, uids))]
    return COPIES_OF_A_BODY * min(sum(sizes), BUDGET + max(sizes, default=0))


async def _changes_since(session: Session, view: View, since: int) -> Changes:
    folder = view.folder.id
    return await session.run(lambda box: box.changes(folder, since, claim_recent=False))


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
        headers=bool(request.sections),
        bodies=request.needs_bodies,
        outlines=request.needs_outlines,
        envelopes=request.needs_envelopes,
        previews=request.needs_previews,
        budget=BUDGET,
    )
    return [content.message for content in contents], {c.message.uid: c for c in contents}


async def _mark_seen(
    session: Session, view: View, messages: Sequence[Message]
) -> tuple[Sequence[Message], set[int]]:
    """Set \\Seen where it is missing; return the messages as they are then, and which changed."""
    unseen = [message.uid for message in messages if "\\Seen" not in message.flags]
    if not unseen:
        return messages, set()
    changed, _ = await change_flags(session, view, unseen, FlagEdit(FlagChange.ADD, SEEN))
    now = {message.uid: message for message in changed}
    return [now.get(message.uid, message) for message in messages], set(now)
