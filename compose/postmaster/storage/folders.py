"""Folders: finding, making, renaming, removing them. Each function is part of a transaction."""

from __future__ import annotations

from collections.abc import Sequence

from postmaster.storage.contents import drop_contents
from postmaster.storage.counters import next_modseq, next_uidvalidity
from postmaster.storage.database import Database
from postmaster.storage.interface import (
    DELIMITER,
    Folder,
    FolderCounts,
    FolderExistsError,
    NoSuchFolderError,
)
from postmaster.storage.rows import SELECT_FOLDER, folder_name, folder_of


def all_folders(database: Database) -> Sequence[Folder]:
    """See `Mailbox.folders`."""
    rows = database.query(SELECT_FOLDER + "ORDER BY name", ())
    return [folder_of(row) for row in rows]


def find_folder(database: Database, name: str) -> Folder:
    """See `Mailbox.folder`."""
    rows = database.query(SELECT_FOLDER + "WHERE name = ?", (folder_name(name),))
    if not rows:
        raise NoSuchFolderError(name)
    return folder_of(rows[0])


def count_messages(database: Database, name: str) -> FolderCounts:
    """See `Mailbox.counts`."""
    folder = find_folder(database, name)
    ((messages, unseen, recent, deleted, size, deleted_size),) = database.query(
        "SELECT count(*), count(*) FILTER (WHERE ' '||flags||' ' NOT LIKE '% \\Seen %'),"
        " count(*) FILTER (WHERE uid >= (SELECT first_recent FROM folders WHERE id = ?1)),"
        " count(*) FILTER (WHERE ' '||flags||' ' LIKE '% \\Deleted %'), total(size),"
        " total(size) FILTER (WHERE ' '||flags||' ' LIKE '% \\Deleted %')"
        " FROM messages WHERE folder = ?1",
        (folder.id,),
    )
    return FolderCounts(
        folder,
        messages=messages,
        unseen=unseen,
        recent=recent,
        deleted=deleted,
        size=int(size),
        deleted_size=int(deleted_size),
        highest_modseq=highest_modseq(database, folder.id),
    )


def highest_modseq(database: Database, folder: int) -> int:
    """Return the modseq of the latest change in a folder, at least 1."""
    ((value,),) = database.query(
        "SELECT max((SELECT coalesce(max(modseq), 1) FROM messages WHERE folder = ?1),"
        " (SELECT coalesce(max(modseq), 1) FROM vanished WHERE folder = ?1))",
        (folder,),
    )
    return int(value)


def create_folder(database: Database, name: str, special_use: str | None) -> Folder:
    """See `Mailbox.create_folder`."""
    name = folder_name(name)
    require_free(database, name)
    database.query(
        "INSERT INTO folders (name, special_use, uidvalidity, subscribed) VALUES (?, ?, ?, ?)",
        (name, special_use, next_uidvalidity(database), int(_take_lost(database, name))),
    )
    return find_folder(database, name)


def delete_folder(database: Database, name: str) -> None:
    """See `Mailbox.delete_folder`."""
    folder = find_folder(database, name)
    contents = database.query("SELECT content FROM messages WHERE folder = ?", (folder.id,))
    database.query("DELETE FROM messages WHERE folder = ?", (folder.id,))
    database.query("DELETE FROM vanished WHERE folder = ?", (folder.id,))
    database.query("DELETE FROM folders WHERE id = ?", (folder.id,))
    if folder.subscribed:
        database.query("INSERT OR IGNORE INTO subscriptions (name) VALUES (?)", (folder.name,))
    drop_contents(database, (content for (content,) in contents))
    next_modseq(database)  # so that sessions look, and find their folder gone


def rename_folders(database: Database, old: str, new: str) -> None:
    """Rename a folder and those below it; not for INBOX. See `Mailbox.rename_folder`."""
    old, new = folder_name(old), folder_name(new)
    find_folder(database, old)
    require_free(database, new)
    for folder in all_folders(database):
        if folder.name == old or folder.name.startswith(old + DELIMITER):
            renamed = new + folder.name[len(old) :]
            database.query("UPDATE folders SET name = ? WHERE id = ?", (renamed, folder.id))


def subscribe_folder(database: Database, name: str, subscribed: bool) -> None:
    """See `Mailbox.subscribe`."""
    if not subscribed:
        _take_lost(database, folder_name(name))
        database.query("UPDATE folders SET subscribed = 0 WHERE name = ?", (folder_name(name),))
        return
    folder = find_folder(database, name)
    database.query("UPDATE folders SET subscribed = 1 WHERE id = ?", (folder.id,))


def lost_subscriptions(database: Database) -> Sequence[str]:
    """See `Mailbox.lost_subscriptions`."""
    rows = database.query(
        "SELECT name FROM subscriptions WHERE name NOT IN (SELECT name FROM folders) ORDER BY name",
        (),
    )
    return [str(name) for (name,) in rows]


def _take_lost(database: Database, name: str) -> bool:
    """Forget the subscription of a folder that is gone; return whether there was one."""
    return bool(database.query("DELETE FROM subscriptions WHERE name = ? RETURNING name", (name,)))


def first_recent(database: Database, folder: int, *, claim: bool) -> int:
    """Return the first UID that no session has seen yet; `claim` counts all as seen from now on.

    Raises NoSuchFolderError.
    """
    rows = database.query("SELECT first_recent, uidnext FROM folders WHERE id = ?", (folder,))
    if not rows:
        raise NoSuchFolderError(str(folder))
    ((first, uidnext),) = rows
    if claim and first < uidnext:
        database.query("UPDATE folders SET first_recent = uidnext WHERE id = ?", (folder,))
    return int(first)


def require_free(database: Database, name: str) -> None:
    """Raise FolderExistsError when there is a folder of that name, as `folder_name` gives it."""
    if database.query("SELECT 1 FROM folders WHERE name = ?", (name,)):
        raise FolderExistsError(name)
