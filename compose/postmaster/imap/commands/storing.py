"""Flagging messages: STORE, by sequence number and by UID (RFC 3501 6.4.6, RFC 7162 3.1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmaster.imap.commands.choice import chosen_messages, finish
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import Done, News, State, command
from postmaster.imap.sequence import format_sequence_set
from postmaster.imap.session import Session
from postmaster.imap.view import View
from postmaster.storage.interface import Changes, FlagChange, Mailbox, Message

# Messages in one transaction: more would hold up the person's other sessions and take memory,
# fewer would wait for the disk more often.
STORED_AT_ONCE = 5000


@dataclass(frozen=True)
class FlagEdit:
    """A change of flags; messages that have changed after `unchanged_since` are left alone."""

    how: FlagChange
    flags: frozenset[str]
    unchanged_since: int | None = None  # modseq


@command("STORE", State.SELECTED, News.NO_EXPUNGE)
async def store(session: Session, parser: Parser) -> Done:
    """Change flags by sequence number."""
    return await _store(session, parser, by_uid=False)


@command("UID STORE", State.SELECTED)
async def uid_store(session: Session, parser: Parser) -> Done:
    """Change flags by UID."""
    return await _store(session, parser, by_uid=True)


async def _store(session: Session, parser: Parser, *, by_uid: bool) -> Done:
    view = session.writable
    uids = chosen_messages(view, parser, by_uid=by_uid)
    parser.space()
    unchanged_since: int | None = None
    if parser.accept(b"(UNCHANGEDSINCE "):
        unchanged_since = parser.number64()
        parser.expect(b") ")
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
    if unchanged_since is not None:
        await session.enable_condstore()
    edit = FlagEdit(how, flags, unchanged_since)
    found, modified = 0, list[int]()
    for start in range(0, len(uids), STORED_AT_ONCE):
        some = uids[start : start + STORED_AT_ONCE]
        messages, left = await change_flags(session, view, some, edit)
        if name == "FLAGS":
            await session.send(view.flag_responses(messages))
        else:
            await session.send(view.announce(flags))
            if view.condstore:
                await session.send(view.modseq_responses(messages))
        found += len(messages)
        modified += left
    done = finish("stored", uids, found + len(modified), by_uid=by_uid)
    if not modified:
        return done
    numbers = modified if by_uid else [view.number(uid) or 0 for uid in modified]
    return Done("some were changed meanwhile", f"MODIFIED {format_sequence_set(numbers)}")


async def change_flags(
    session: Session, view: View, uids: Sequence[int], edit: FlagEdit
) -> tuple[Sequence[Message], list[int]]:
    """Change flags and count the change as told; news from others before it are sent.

    Returns the messages as they are then, and the UIDs of those that were left alone.
    """
    folder, since, claim = view.folder.id, view.modseq, not view.read_only

    def work(box: Mailbox) -> tuple[Changes, Sequence[Message], list[int], int]:
        # On the mailbox's thread nothing comes between these.
        before = box.changes(folder, since, claim_recent=claim)
        modified: list[int] = []
        if edit.unchanged_since is not None:
            found = box.messages(folder, uids)
            modified = [message.uid for message in found if message.modseq > edit.unchanged_since]
        left = set(modified)
        wanted = [uid for uid in uids if uid not in left]
        messages = box.store_flags(folder, wanted, edit.how, edit.flags)
        after = box.changes(folder, before.modseq, claim_recent=False)
        return before, messages, modified, after.modseq

    before, messages, modified, modseq = await session.run(work)
    await session.send(view.apply(before, expunge=False))
    view.modseq = modseq
    view.tell(max((message.modseq for message in messages), default=0))
    return messages, modified
