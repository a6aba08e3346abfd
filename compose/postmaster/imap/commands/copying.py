"""Copying, moving and removing messages: COPY, MOVE, EXPUNGE, each also by UID.

RFC 3501 6.4, UIDPLUS (RFC 4315), MOVE (RFC 6851).
"""

from __future__ import annotations

from collections.abc import Sequence

from postmaster.imap.commands.choice import chosen_messages
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.sequence import format_sequence_set
from postmaster.imap.session import Session
from postmaster.storage.interface import Copied


@command("COPY", State.SELECTED, News.NO_EXPUNGE)
async def copy(session: Session, parser: Parser) -> Done:
    """Copy by sequence number."""
    return await _copy(session, parser, by_uid=False)


@command("UID COPY", State.SELECTED)
async def uid_copy(session: Session, parser: Parser) -> Done:
    """Copy by UID."""
    return await _copy(session, parser, by_uid=True)


@command("MOVE", State.SELECTED)
async def move(session: Session, parser: Parser) -> Done:
    """Move by sequence number."""
    return await _move(session, parser, by_uid=False)


@command("UID MOVE", State.SELECTED)
async def uid_move(session: Session, parser: Parser) -> Done:
    """Move by UID."""
    return await _move(session, parser, by_uid=True)


@command("EXPUNGE", State.SELECTED)
async def expunge(session: Session, parser: Parser) -> Done:
    """Remove what is flagged \\Deleted; the news that follow tell which."""
    parser.end()
    return await _expunge(session, None)


@command("UID EXPUNGE", State.SELECTED)
async def uid_expunge(session: Session, parser: Parser) -> Done:
    """Remove what is flagged \\Deleted and has one of the UIDs."""
    uids = chosen_messages(session.writable, parser, by_uid=True)
    parser.end()
    return await _expunge(session, uids)


async def _expunge(session: Session, uids: Sequence[int] | None) -> Done:
    view = session.writable
    folder = view.folder.id
    gone = await session.run(lambda box: box.expunge(folder, uids))
    return await _removed(session, "expunged", gone)


async def _copy(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.selected
    uids = chosen_messages(view, parser, by_uid=by_uid)
    target = _target(parser)
    folder = view.folder.id
    copied, into = await session.run_into(
        lambda box: (box.copy(folder, uids, target), box.folder(target))
    )
    if not copied.source:
        return _nothing("nothing to copy", uids, by_uid=by_uid)
    session.teach(view.folder, into, copied.target, copied.source)
    return Done("copied", _copyuid(copied))


async def _move(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.writable
    uids = chosen_messages(view, parser, by_uid=by_uid)
    target = _target(parser)
    folder = view.folder.id
    moved, into = await session.run_into(
        lambda box: (box.move(folder, uids, target), box.folder(target))
    )
    if not moved.source:
        return _nothing("nothing to move", uids, by_uid=by_uid)
    session.teach(view.folder, into, moved.target)
    # RFC 6851 4.3: the UIDs come before the EXPUNGE responses, which are the news that follow.
    await session.send([f"* OK [{_copyuid(moved)}] moved".encode()])
    return await _removed(session, "moved", moved.source)


async def _removed(session: Session, text: str, gone: Sequence[int]) -> Done:
    """Finish a command that has removed messages (RFC 7162 3.2.7)."""
    view = session.selected
    if not gone or not view.qresync:
        return Done(text)
    await session.tell_news(expunge=True)
    return Done(text, f"HIGHESTMODSEQ {view.highest_modseq}")


def _nothing(text: str, uids: Sequence[int], *, by_uid: bool) -> Done:
    if uids and not by_uid:
        raise RefusedError("the messages are gone", "EXPUNGEISSUED")
    return Done(text)


def _target(parser: Parser) -> str:
    parser.space()
    target = parser.mailbox()
    parser.end()
    return target


def _copyuid(copied: Copied) -> str:
    source, target = map(format_sequence_set, (copied.source, copied.target))
    return f"COPYUID {copied.uidvalidity} {source} {target}"
