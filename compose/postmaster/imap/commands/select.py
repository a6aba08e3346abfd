"""Opening and leaving a folder: SELECT, EXAMINE, CLOSE, UNSELECT (RFC 3501 6.3.1, RFC 3691)."""

from __future__ import annotations

from postmaster.imap import wire
from postmaster.imap.capability import CONDSTORE
from postmaster.imap.grammar import SYSTEM_FLAGS, Parser
from postmaster.imap.registry import LOGGED_IN, Done, News, State, command
from postmaster.imap.session import Session
from postmaster.imap.view import View


@command("SELECT", LOGGED_IN, News.NONE)
async def select(session: Session, parser: Parser) -> Done:
    """Open a folder for reading and writing."""
    return await _open(session, parser, read_only=False)


@command("EXAMINE", LOGGED_IN, News.NONE)
async def examine(session: Session, parser: Parser) -> Done:
    """Open a folder for reading; nothing in it changes, not even what is recent."""
    return await _open(session, parser, read_only=True)


@command("CLOSE", State.SELECTED, News.NONE)
async def close(session: Session, parser: Parser) -> Done:
    """Leave the folder and remove what is flagged \\Deleted, without a word about it."""
    parser.end()
    view = session.selected
    if not view.read_only:
        folder = view.folder.id
        await session.run(lambda box: box.expunge(folder, None))
    session.view = None
    return Done("closed")


@command("UNSELECT", State.SELECTED, News.NONE)
async def unselect(session: Session, parser: Parser) -> Done:
    """Leave the folder as it is."""
    parser.end()
    session.view = None
    return Done("left")


async def _open(session: Session, parser: Parser, *, read_only: bool) -> Done:
    parser.space()
    name = parser.mailbox()
    condstore = parser.accept(b" (CONDSTORE)")  # RFC 7162 3.1.8
    parser.end()
    if condstore:
        session.enabled.add(CONDSTORE)
    session.view = None  # also when the new folder cannot be opened (RFC 3501 6.3.1)
    snapshot = await session.run(lambda box: box.snapshot(name, claim_recent=not read_only))
    view = View(snapshot, read_only=read_only)
    view.flags |= set(SYSTEM_FLAGS)
    view.condstore = CONDSTORE in session.enabled
    permanent = b"()" if read_only else wire.flags({*view.flags, "\\*"})
    responses = [
        b"* FLAGS " + wire.flags(view.flags),
        b"* OK [PERMANENTFLAGS %b] kept" % permanent,
        b"* %d EXISTS" % view.exists,
        b"* %d RECENT" % view.recent,
        b"* OK [UIDVALIDITY %d] for life" % snapshot.folder.uidvalidity,
        b"* OK [UIDNEXT %d] next" % snapshot.folder.uidnext,
        b"* OK [HIGHESTMODSEQ %d] so far" % snapshot.highest_modseq,
        b"* OK [MAILBOXID (%b)] for ever" % snapshot.folder.mailbox_id.encode(),
    ]
    if snapshot.first_unseen is not None:
        number = view.number(snapshot.first_unseen)
        responses.append(b"* OK [UNSEEN %d] first" % (number or 0))
    await session.send(responses)
    session.view = view
    return Done("open", "READ-ONLY" if read_only else "READ-WRITE")
