"""Opening and leaving a folder: SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051 6.3.2, 6.4.1)."""

from __future__ import annotations

from collections.abc import Sequence

from postmaster.imap import wire
from postmaster.imap.capability import CONDSTORE, QRESYNC
from postmaster.imap.folder_list import selected_entry
from postmaster.imap.grammar import SYSTEM_FLAGS, Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, News, State, command
from postmaster.imap.resync import Resync, parse_select_parameters, resync_responses
from postmaster.imap.session import Session
from postmaster.imap.view import View
from postmaster.storage.interface import Changes, Folder, Mailbox, Snapshot


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
    parameters = parse_select_parameters(parser)
    parser.end()
    resync = parameters.resync
    if resync is not None and QRESYNC not in session.enabled:
        raise SyntaxFaultError("enable QRESYNC first")
    if parameters.condstore:
        session.enabled.add(CONDSTORE)
    if session.view is not None:
        await session.send([b"* OK [CLOSED] left"])  # RFC 7162 3.2.11
    session.view = None  # also when the new folder cannot be opened (RFC 3501 6.3.1)

    def look(box: Mailbox) -> tuple[Snapshot, Changes | None, Sequence[Folder]]:
        # On the mailbox's thread nothing comes between these.
        snapshot = box.snapshot(name, claim_recent=not read_only)
        return snapshot, _missed(box, snapshot, resync), box.folders() if session.rev2 else ()

    snapshot, missed, folders = await session.run(look)
    view = View(snapshot, read_only=read_only)
    view.flags |= set(SYSTEM_FLAGS)
    view.condstore = CONDSTORE in session.enabled
    view.qresync = QRESYNC in session.enabled
    view.rev2 = session.rev2
    permanent = b"()" if read_only else wire.flags(frozenset({*view.flags, "\\*"}))
    responses = [
        b"* FLAGS " + wire.flags(frozenset(view.flags)),
        b"* OK [PERMANENTFLAGS %b] kept" % permanent,
        b"* %d EXISTS" % view.exists,
        b"* OK [UIDVALIDITY %d] for life" % snapshot.folder.uidvalidity,
        b"* OK [UIDNEXT %d] next" % snapshot.folder.uidnext,
        b"* OK [HIGHESTMODSEQ %d] so far" % snapshot.highest_modseq,
        b"* OK [MAILBOXID (%b)] for ever" % snapshot.folder.mailbox_id.encode(),
    ]
    if session.rev2:
        responses.append(selected_entry(snapshot.folder, folders, name).line("LIST", utf8=True))
    else:
        responses += _before_rev2(view, snapshot)
    if resync is not None and missed is not None:
        responses += resync_responses(view, resync, missed)
    await session.send(responses)
    session.view = view
    return Done("open", "READ-ONLY" if read_only else "READ-WRITE")


def _before_rev2(view: View, snapshot: Snapshot) -> list[bytes]:
    """Return what IMAP4rev2 has no more (RFC 9051 E, 11 and 12)."""
    responses = [b"* %d RECENT" % view.recent]
    if snapshot.first_unseen is not None:
        number = view.number(snapshot.first_unseen)
        responses.append(b"* OK [UNSEEN %d] first" % (number or 0))
    return responses


def _missed(box: Mailbox, snapshot: Snapshot, resync: Resync | None) -> Changes | None:
    """Return what happened since a client last knew of it, None when it knows another folder."""
    if resync is None or resync.uidvalidity != snapshot.folder.uidvalidity:
        return None
    return box.changes(snapshot.folder.id, resync.modseq, claim_recent=False)
