"""Messages come into folders, are copied, and go. Each function is part of a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postmaster.storage.contents import NewContent, drop_contents, keep_content
from postmaster.storage.counters import next_modseq, take_uid
from postmaster.storage.database import Database
from postmaster.storage.folders import create_folder, find_folder
from postmaster.storage.interface import INBOX, Copied, Folder, NewMessage
from postmaster.storage.rows import date_columns, flags_column


def append_message(
    database: Database, folder: Folder, message: NewMessage, content: NewContent
) -> int:
    """Put a message, which was examined before, into a folder; return its UID."""
    modseq = next_modseq(database)
    kept = keep_content(database, content, modseq)
    uid = take_uid(database, folder.id)
    database.query(
        "INSERT INTO messages (folder, uid, content, size, internal_date, zone, flags, modseq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            folder.id,
            uid,
            kept,
            content.size,
            *date_columns(message.internal_date),
            flags_column(message.flags),
            modseq,
        ),
    )
    return uid


def copy_messages(database: Database, folder: int, uids: Sequence[int], target: Folder) -> Copied:
    """Copy messages with flags and dates; their bytes are shared."""
    source: list[int] = []
    copies: list[int] = []
    for uid in sorted(set(uids)):
        rows = database.query(
            "SELECT content, size, internal_date, zone, flags FROM messages"
            " WHERE folder = ? AND uid = ?",
            (folder, uid),
        )
        for row in rows:
            new = take_uid(database, target.id)
            database.query(
                "INSERT INTO messages (folder, uid, content, size, internal_date, zone, flags,"
                " modseq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (target.id, new, *row, next_modseq(database)),
            )
            source.append(uid)
            copies.append(new)
    return Copied(target.uidvalidity, source, copies)


def move_messages(database: Database, folder: int, uids: Sequence[int], target: Folder) -> Copied:
    """Copy messages and remove them where they were."""
    copied = copy_messages(database, folder, uids, target)
    remove_messages(database, folder, copied.source)
    return copied


def move_inbox(database: Database, new: str) -> None:
    """Give all messages of INBOX to a new folder (RFC 9051 6.3.6). Raises FolderExistsError."""
    inbox = find_folder(database, INBOX)
    target = create_folder(database, new, None)
    rows = database.query("SELECT uid FROM messages WHERE folder = ?", (inbox.id,))
    move_messages(database, inbox.id, [uid for (uid,) in rows], target)


def expunge_messages(database: Database, folder: int, uids: Iterable[int] | None) -> Sequence[int]:
    """See `Mailbox.expunge`."""
    rows = database.query(
        "SELECT uid FROM messages WHERE folder = ?"
        " AND ' '||flags||' ' LIKE '% \\Deleted %' ORDER BY uid",
        (folder,),
    )
    wanted = None if uids is None else set(uids)
    gone = [uid for (uid,) in rows if wanted is None or uid in wanted]
    remove_messages(database, folder, gone)
    return gone


def remove_messages(database: Database, folder: int, uids: Sequence[int]) -> None:
    """Remove messages for good; each leaves its UID in `vanished`."""
    if not uids:
        return
    modseq = next_modseq(database)
    contents = []
    for uid in uids:
        contents += database.query(
            "DELETE FROM messages WHERE folder = ? AND uid = ? RETURNING content", (folder, uid)
        )
        database.query(
            "INSERT INTO vanished (folder, uid, modseq) VALUES (?, ?, ?)", (folder, uid, modseq)
        )
    drop_contents(database, (content for (content,) in contents))
