"""Messages in folders: looking at them, their flags, and what changed. Parts of transactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from postmaster.storage.counters import modseq, next_modseq
from postmaster.storage.database import Database
from postmaster.storage.folders import find_folder, first_recent, highest_modseq
from postmaster.storage.interface import Changes, FlagChange, Message, Snapshot
from postmaster.storage.rows import SELECT_MESSAGE, among, batches, flags_column, message_of


def take_snapshot(database: Database, name: str, *, claim_recent: bool) -> Snapshot:
    """See `Mailbox.snapshot`."""
    folder = find_folder(database, name)
    rows = database.query(
        "SELECT uid, flags FROM messages WHERE folder = ? ORDER BY uid", (folder.id,)
    )
    known = {flags: frozenset(flags.split()) for flags in {flags for _, flags in rows}}
    unseen = (uid for uid, flags in rows if "\\Seen" not in known[flags])
    return Snapshot(
        folder=folder,
        uids=[uid for uid, _ in rows],
        modseq=modseq(database),
        first_recent=first_recent(database, folder.id, claim=claim_recent),
        first_unseen=next(unseen, None),
        flags=frozenset().union(*known.values()),
        highest_modseq=highest_modseq(database, folder.id),
    )


def read_changes(database: Database, folder: int, since: int, *, claim_recent: bool) -> Changes:
    """See `Mailbox.changes`."""
    recent = first_recent(database, folder, claim=claim_recent)
    rows = database.query(
        SELECT_MESSAGE + "WHERE folder = ? AND modseq > ? ORDER BY uid", (folder, since)
    )
    changed = [message_of(row) for row in rows]
    vanished = database.query(
        "SELECT uid, modseq FROM vanished WHERE folder = ? AND modseq > ? ORDER BY uid",
        (folder, since),
    )
    modseqs = [message.modseq for message in changed] + [gone for _, gone in vanished]
    return Changes(
        modseq=modseq(database),
        changed=changed,
        vanished=[uid for uid, _ in vanished],
        first_recent=recent,
        highest_modseq=max(modseqs, default=0),
    )


def find_messages(database: Database, folder: int, uids: Collection[int]) -> Sequence[Message]:
    """See `Mailbox.messages`."""
    found: list[Message] = []
    for batch in batches(sorted(set(uids))):
        condition, values = among(batch)
        statement = SELECT_MESSAGE + f"WHERE folder = ? AND uid {condition} ORDER BY uid"
        found += map(message_of, database.query(statement, (folder, *values)))
    return found


def store_flags(
    database: Database, folder: int, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
) -> Sequence[Message]:
    """See `Mailbox.store_flags`."""
    change: int | None = None
    for message in find_messages(database, folder, uids):
        wanted = _changed_flags(message.flags, how, flags)
        if wanted == message.flags:
            continue
        if change is None:
            change = next_modseq(database)
        database.query(
            "UPDATE messages SET flags = ?, modseq = ? WHERE folder = ? AND uid = ?",
            (flags_column(wanted), change, folder, message.uid),
        )
    return find_messages(database, folder, uids)


def _changed_flags(old: frozenset[str], how: FlagChange, flags: frozenset[str]) -> frozenset[str]:
    if how is FlagChange.REPLACE:
        return flags
    return old | flags if how is FlagChange.ADD else old - flags
