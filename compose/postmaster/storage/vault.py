"""One person's mail in one encrypted SQLite file; `Mailbox` of `interface` in SQL.

Every change gets the vault's next modseq, and what is removed leaves its UID in `vanished`: so a
session can ask at any time what happened since it last looked, whoever did it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import apsw

from postmaster.crypto import DataKey
from postmaster.message.header import header_length
from postmaster.message.mime import Part, parse_message
from postmaster.message.outline import OUTLINE_VERSION, dump_outline, load_outline
from postmaster.storage.database import Database
from postmaster.storage.interface import (
    DELIMITER,
    INBOX,
    Changes,
    Content,
    Copied,
    FlagChange,
    Folder,
    FolderCounts,
    FolderExistsError,
    Message,
    NewMessage,
    NoSuchFolderError,
    Snapshot,
)

BATCH = 500  # UIDs in one statement

_SELECT_FOLDER = "SELECT id, name, special_use, subscribed, uidvalidity, uidnext FROM folders "
_SELECT_MESSAGE = "SELECT uid, flags, internal_date, zone, size, modseq FROM messages "
_SELECT_CONTENT = (
    "SELECT m.uid, m.flags, m.internal_date, m.zone, m.size, m.modseq,"
    " c.id, c.header, iif(?, c.body, NULL), c.outline_version, c.outline"
    " FROM messages m JOIN contents c ON c.id = m.content WHERE m.folder = ? AND m.uid = ?"
)


class Vault:
    """An open vault file. Use it on one thread only."""

    def __init__(self, path: Path, key: DataKey) -> None:
        """Open or make the file. Raises StorageUnavailableError."""
        self._database = Database(path, key)
        self.modseq = self._modseq()

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._database.close()

    # Folders

    def folders(self) -> Sequence[Folder]:
        """See `Mailbox.folders`."""
        rows = self._query(_SELECT_FOLDER + "ORDER BY name", ())
        return [_folder(row) for row in rows]

    def folder(self, name: str) -> Folder:
        """See `Mailbox.folder`."""
        rows = self._query(_SELECT_FOLDER + "WHERE name = ?", (folder_name(name),))
        if not rows:
            raise NoSuchFolderError(name)
        return _folder(rows[0])

    def counts(self, name: str) -> FolderCounts:
        """See `Mailbox.counts`."""
        folder = self.folder(name)
        ((messages, unseen, recent),) = self._query(
            "SELECT count(*), count(*) FILTER (WHERE ' '||flags||' ' NOT LIKE '% \\Seen %'),"
            " count(*) FILTER (WHERE uid >= (SELECT first_recent FROM folders WHERE id = ?1))"
            " FROM messages WHERE folder = ?1",
            (folder.id,),
        )
        return FolderCounts(folder, messages, unseen, recent)

    def create_folder(self, name: str, special_use: str | None = None) -> Folder:
        """See `Mailbox.create_folder`."""
        name = folder_name(name)
        with self._writing():
            if self._query("SELECT 1 FROM folders WHERE name = ?", (name,)):
                raise FolderExistsError(name)
            self._query("UPDATE counters SET uidvalidity = uidvalidity + 1", ())
            self._query(
                "INSERT INTO folders (name, special_use, uidvalidity)"
                " SELECT ?, ?, uidvalidity FROM counters",
                (name, special_use),
            )
            return self.folder(name)

    def delete_folder(self, name: str) -> None:
        """See `Mailbox.delete_folder`."""
        with self._writing():
            folder = self.folder(name)
            contents = self._query("SELECT content FROM messages WHERE folder = ?", (folder.id,))
            self._query("DELETE FROM messages WHERE folder = ?", (folder.id,))
            self._query("DELETE FROM vanished WHERE folder = ?", (folder.id,))
            self._query("DELETE FROM folders WHERE id = ?", (folder.id,))
            self._drop_contents(content for (content,) in contents)
            self._next_modseq()  # so that sessions look, and find their folder gone

    def rename_folder(self, old: str, new: str) -> None:
        """See `Mailbox.rename_folder`."""
        old, new = folder_name(old), folder_name(new)
        with self._writing():
            source = self.folder(old)
            if self._query("SELECT 1 FROM folders WHERE name = ?", (new,)):
                raise FolderExistsError(new)
            if old == INBOX:  # RFC 9051 6.3.6
                self.create_folder(new)
                rows = self._query("SELECT uid FROM messages WHERE folder = ?", (source.id,))
                uids = [uid for (uid,) in rows]
                self._copy(source.id, uids, self.folder(new))
                self._remove(source.id, uids)
                return
            for folder in self.folders():
                if folder.name == old or folder.name.startswith(old + DELIMITER):
                    renamed = new + folder.name[len(old) :]
                    self._query("UPDATE folders SET name = ? WHERE id = ?", (renamed, folder.id))

    def subscribe(self, name: str, subscribed: bool) -> None:
        """See `Mailbox.subscribe`."""
        with self._writing():
            folder = self.folder(name)
            self._query(
                "UPDATE folders SET subscribed = ? WHERE id = ?", (int(subscribed), folder.id)
            )

    # Messages

    def append(self, name: str, message: NewMessage) -> tuple[Folder, int]:
        """See `Mailbox.append`."""
        raw = message.raw
        split = header_length(raw)
        outline = dump_outline(parse_message(raw))
        date = message.internal_date
        zone = int((date.utcoffset() or timedelta()).total_seconds()) // 60
        with self._writing():
            folder = self.folder(name)
            ((content,),) = self._query(
                "INSERT INTO contents (size, outline_version, outline, header, body)"
                " VALUES (?, ?, ?, ?, ?) RETURNING id",
                (len(raw), OUTLINE_VERSION, outline, raw[:split], raw[split:]),
            )
            uid = self._take_uid(folder.id)
            self._query(
                "INSERT INTO messages (folder, uid, content, size, internal_date, zone, flags,"
                " modseq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    folder.id,
                    uid,
                    content,
                    len(raw),
                    int(date.timestamp()),
                    zone,
                    _join(message.flags),
                    self._next_modseq(),
                ),
            )
            return folder, uid

    def snapshot(self, name: str, *, claim_recent: bool) -> Snapshot:
        """See `Mailbox.snapshot`."""
        with self._writing() if claim_recent else self._database.reading():
            folder = self.folder(name)
            rows = self._query(
                "SELECT uid, flags FROM messages WHERE folder = ? ORDER BY uid", (folder.id,)
            )
            known = {flags: frozenset(flags.split()) for flags in {flags for _, flags in rows}}
            unseen = (uid for uid, flags in rows if "\\Seen" not in known[flags])
            return Snapshot(
                folder=folder,
                uids=[uid for uid, _ in rows],
                modseq=self._modseq(),
                first_recent=self._first_recent(folder.id, claim=claim_recent),
                first_unseen=next(unseen, None),
                flags=frozenset().union(*known.values()),
            )

    def changes(self, folder: int, since: int, *, claim_recent: bool) -> Changes:
        """See `Mailbox.changes`."""
        with self._writing() if claim_recent else self._database.reading():
            first_recent = self._first_recent(folder, claim=claim_recent)
            changed = self._query(
                _SELECT_MESSAGE + "WHERE folder = ? AND modseq > ? ORDER BY uid", (folder, since)
            )
            vanished = self._query(
                "SELECT uid FROM vanished WHERE folder = ? AND modseq > ? ORDER BY uid",
                (folder, since),
            )
            return Changes(
                modseq=self._modseq(),
                changed=[_message(row) for row in changed],
                vanished=[uid for (uid,) in vanished],
                first_recent=first_recent,
            )

    def messages(self, folder: int, uids: Collection[int]) -> Sequence[Message]:
        """See `Mailbox.messages`."""
        with self._database.reading():
            return [
                _message(row)
                for batch in _batches(sorted(uids))
                for row in self._query(
                    _SELECT_MESSAGE + f"WHERE folder = ? AND uid IN ({_marks(batch)}) ORDER BY uid",
                    (folder, *batch),
                )
            ]

    def contents(
        self, folder: int, uids: Sequence[int], *, bodies: bool, outlines: bool, budget: int
    ) -> Sequence[Content]:
        """See `Mailbox.contents`."""
        found: list[Content] = []
        with self._database.reading():
            for uid in uids[:BATCH]:
                for row in self._query(_SELECT_CONTENT, (bodies, folder, uid)):
                    content, header, body_bytes, version, outline = row[6:]
                    part = self._outline(content, version, outline) if outlines else None
                    found.append(Content(_message(row[:6]), header, body_bytes, part))
                    budget -= len(header) + len(body_bytes or b"") + len(outline)
                if budget <= 0 and found:
                    break
        return found

    def store_flags(
        self, folder: int, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
    ) -> Sequence[Message]:
        """See `Mailbox.store_flags`."""
        with self._writing():
            modseq: int | None = None
            for message in self.messages(folder, uids):
                wanted = _changed_flags(message.flags, how, flags)
                if wanted == message.flags:
                    continue
                if modseq is None:
                    modseq = self._next_modseq()
                self._query(
                    "UPDATE messages SET flags = ?, modseq = ? WHERE folder = ? AND uid = ?",
                    (_join(wanted), modseq, folder, message.uid),
                )
            return self.messages(folder, uids)

    def copy(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.copy`."""
        with self._writing():
            return self._copy(folder, uids, self.folder(target))

    def move(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.move`."""
        with self._writing():
            copied = self._copy(folder, uids, self.folder(target))
            self._remove(folder, copied.source)
            return copied

    def expunge(self, folder: int, uids: Iterable[int] | None) -> Sequence[int]:
        """See `Mailbox.expunge`."""
        with self._writing():
            rows = self._query(
                "SELECT uid FROM messages WHERE folder = ?"
                " AND ' '||flags||' ' LIKE '% \\Deleted %' ORDER BY uid",
                (folder,),
            )
            wanted = None if uids is None else set(uids)
            gone = [uid for (uid,) in rows if wanted is None or uid in wanted]
            self._remove(folder, gone)
            return gone

    # Within a transaction

    def _copy(self, folder: int, uids: Sequence[int], target: Folder) -> Copied:
        source: list[int] = []
        copies: list[int] = []
        for uid in sorted(set(uids)):
            rows = self._query(
                "SELECT content, size, internal_date, zone, flags FROM messages"
                " WHERE folder = ? AND uid = ?",
                (folder, uid),
            )
            for row in rows:
                new = self._take_uid(target.id)
                self._query(
                    "INSERT INTO messages (folder, uid, content, size, internal_date, zone, flags,"
                    " modseq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (target.id, new, *row, self._next_modseq()),
                )
                source.append(uid)
                copies.append(new)
        return Copied(target.uidvalidity, source, copies)

    def _remove(self, folder: int, uids: Sequence[int]) -> None:
        if not uids:
            return
        modseq = self._next_modseq()
        contents = []
        for uid in uids:
            contents += self._query(
                "DELETE FROM messages WHERE folder = ? AND uid = ? RETURNING content",
                (folder, uid),
            )
            self._query(
                "INSERT INTO vanished (folder, uid, modseq) VALUES (?, ?, ?)", (folder, uid, modseq)
            )
        self._drop_contents(content for (content,) in contents)

    def _drop_contents(self, contents: Iterable[int]) -> None:
        for content in set(contents):
            self._query(
                "DELETE FROM contents WHERE id = ?1"
                " AND NOT EXISTS (SELECT 1 FROM messages WHERE content = ?1)",
                (content,),
            )

    def _first_recent(self, folder: int, *, claim: bool) -> int:
        rows = self._query("SELECT first_recent, uidnext FROM folders WHERE id = ?", (folder,))
        if not rows:
            raise NoSuchFolderError(str(folder))
        ((first_recent, uidnext),) = rows
        if claim and first_recent < uidnext:
            self._query("UPDATE folders SET first_recent = uidnext WHERE id = ?", (folder,))
        return int(first_recent)

    def _take_uid(self, folder: int) -> int:
        ((uid,),) = self._query(
            "UPDATE folders SET uidnext = uidnext + 1 WHERE id = ? RETURNING uidnext - 1", (folder,)
        )
        return int(uid)

    def _next_modseq(self) -> int:
        ((modseq,),) = self._query("UPDATE counters SET modseq = modseq + 1 RETURNING modseq", ())
        return int(modseq)

    def _modseq(self) -> int:
        ((modseq,),) = self._query("SELECT modseq FROM counters", ())
        return int(modseq)

    def _outline(self, content: int, version: int, outline: str) -> Part:
        if version == OUTLINE_VERSION:
            return load_outline(outline)
        ((header, body),) = self._query(
            "SELECT header, body FROM contents WHERE id = ?", (content,)
        )
        return parse_message(header + body)

    def _query(self, statement: str, values: Sequence[apsw.SQLiteValue]) -> list[Any]:
        return self._database.query(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._database.writing():
            yield
            self.modseq = self._modseq()


def folder_name(name: str) -> str:
    """Return the name under which a folder is kept: INBOX is the one without case."""
    first, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if first.upper() == INBOX else name


def _changed_flags(old: frozenset[str], how: FlagChange, flags: frozenset[str]) -> frozenset[str]:
    if how is FlagChange.REPLACE:
        return flags
    return old | flags if how is FlagChange.ADD else old - flags


def _folder(row: Sequence[Any]) -> Folder:
    identifier, name, special_use, subscribed, uidvalidity, uidnext = row
    return Folder(identifier, name, special_use, bool(subscribed), uidvalidity, uidnext)


def _message(row: Sequence[Any]) -> Message:
    uid, flags, seconds, zone, size, modseq = row
    date = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=zone)))
    return Message(uid, frozenset(flags.split()), date, size, modseq)


def _join(flags: Iterable[str]) -> str:
    return " ".join(sorted(flags))


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _batches(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), BATCH):
        yield uids[start : start + BATCH]
