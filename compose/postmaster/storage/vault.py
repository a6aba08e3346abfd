"""One person's mail in one encrypted SQLite file: `Mailbox` of `interface`, each a transaction.

What is done in them is in `folders`, `messages`, `transfer` and `contents`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from postmaster.crypto import DataKey
from postmaster.storage import counters, folders, messages, transfer
from postmaster.storage.contents import examine, read_contents
from postmaster.storage.database import Database
from postmaster.storage.interface import (
    INBOX,
    Changes,
    Content,
    Copied,
    FlagChange,
    Folder,
    FolderCounts,
    Message,
    NewMessage,
    Snapshot,
    Usage,
)
from postmaster.storage.rows import folder_name


class Vault:
    """An open vault file. Use it on one thread only."""

    def __init__(self, path: Path, key: DataKey) -> None:
        """Open or make the file. Raises StorageUnavailableError."""
        self._database = Database(path, key)
        self.modseq = counters.modseq(self._database)

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._database.close()

    # Folders

    def folders(self) -> Sequence[Folder]:
        """See `Mailbox.folders`."""
        return folders.all_folders(self._database)

    def folder(self, name: str) -> Folder:
        """See `Mailbox.folder`."""
        return folders.find_folder(self._database, name)

    def counts(self, name: str) -> FolderCounts:
        """See `Mailbox.counts`."""
        with self._database.reading():
            return folders.count_messages(self._database, name)

    def create_folder(self, name: str, special_use: str | None = None) -> Folder:
        """See `Mailbox.create_folder`."""
        with self._writing():
            return folders.create_folder(self._database, name, special_use)

    def delete_folder(self, name: str) -> None:
        """See `Mailbox.delete_folder`."""
        with self._writing():
            folders.delete_folder(self._database, name)

    def rename_folder(self, old: str, new: str) -> None:
        """See `Mailbox.rename_folder`."""
        with self._writing():
            if folder_name(old) == INBOX:
                transfer.move_inbox(self._database, new)
            else:
                folders.rename_folders(self._database, old, new)

    def subscribe(self, name: str, subscribed: bool) -> None:
        """See `Mailbox.subscribe`."""
        with self._writing():
            folders.subscribe_folder(self._database, name, subscribed)

    # Messages

    def append(self, name: str, message: NewMessage) -> tuple[Folder, int]:
        """See `Mailbox.append`."""
        content = examine(message.raw)
        with self._writing():
            folder = self.folder(name)
            return folder, transfer.append_message(self._database, folder, message, content)

    def append_all(self, name: str, messages: Sequence[NewMessage]) -> tuple[Folder, Sequence[int]]:
        """See `Mailbox.append_all`."""
        contents = [examine(message.raw) for message in messages]
        with self._writing():
            folder = self.folder(name)
            return folder, [
                transfer.append_message(self._database, folder, message, content)
                for message, content in zip(messages, contents, strict=True)
            ]

    def usage(self) -> Usage:
        """See `Mailbox.usage`."""
        with self._database.reading():
            return messages.count_usage(self._database)

    def snapshot(self, name: str, *, claim_recent: bool) -> Snapshot:
        """See `Mailbox.snapshot`."""
        with self._writing() if claim_recent else self._database.reading():
            return messages.take_snapshot(self._database, name, claim_recent=claim_recent)

    def changes(self, folder: int, since: int, *, claim_recent: bool) -> Changes:
        """See `Mailbox.changes`."""
        with self._writing() if claim_recent else self._database.reading():
            return messages.read_changes(self._database, folder, since, claim_recent=claim_recent)

    def messages(self, folder: int, uids: Collection[int]) -> Sequence[Message]:
        """See `Mailbox.messages`."""
        with self._database.reading():
            return messages.find_messages(self._database, folder, uids)

    def contents(
        self, folder: int, uids: Sequence[int], *, bodies: bool, outlines: bool, budget: int
    ) -> Sequence[Content]:
        """See `Mailbox.contents`."""
        with self._database.reading():
            return read_contents(
                self._database, folder, uids, bodies=bodies, outlines=outlines, budget=budget
            )

    def store_flags(
        self, folder: int, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
    ) -> Sequence[Message]:
        """See `Mailbox.store_flags`."""
        with self._writing():
            return messages.store_flags(self._database, folder, uids, how, flags)

    def copy(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.copy`."""
        with self._writing():
            return transfer.copy_messages(self._database, folder, uids, self.folder(target))

    def move(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.move`."""
        with self._writing():
            return transfer.move_messages(self._database, folder, uids, self.folder(target))

    def expunge(self, folder: int, uids: Iterable[int] | None) -> Sequence[int]:
        """See `Mailbox.expunge`."""
        with self._writing():
            return transfer.expunge_messages(self._database, folder, uids)

    def _query(self, statement: str, values: Sequence[apsw.SQLiteValue]) -> list[Any]:
        return self._database.query(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._database.writing():
            yield
            self.modseq = counters.modseq(self._database)
