"""One person's mail in one encrypted SQLite file: `Mailbox` of `interface`, each a transaction.

What is done in them is in `folders`, `messages`, `transfer` and `contents`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from postmaster.crypto import DataKey
from postmaster.errors import StorageUnavailableError
from postmaster.logs import warn
from postmaster.message.order import Heading
from postmaster.storage import counters, folders, marks, messages, texts, transfer
from postmaster.storage.checking import check_quickly, check_step
from postmaster.storage.contents import examine, read_contents, read_headings
from postmaster.storage.database import Database
from postmaster.storage.deliveries import is_new
from postmaster.storage.interface import (
    INBOX,
    Changes,
    CheckPoint,
    Content,
    Copied,
    Delivery,
    FlagChange,
    Folder,
    FolderCounts,
    Mailbox,
    Message,
    NewMessage,
    NoSuchFolderError,
    Quota,
    Snapshot,
    TextKey,
    Usage,
)
from postmaster.storage.room import require_room
from postmaster.storage.rows import folder_name
from postmaster.storage.upkeep import FILL_BUDGET, tidy, write_log_back
from postmaster.storage.usage import read_usage, require_quota, warning_due

logger = logging.getLogger(__name__)


class Vault:
    """An open vault file. Use it on one thread only."""

    def __init__(self, path: Path, key: DataKey) -> None:
        """Open or make the file. Raises StorageUnavailableError."""
        self._database = Database(path, key)
        # Zeroing what is deleted would write as much to the log as was deleted, and a full disk has
        # no room for that. It stays encrypted, and goes with the key.
        self._database.query("PRAGMA secure_delete = FAST", ())
        texts.prepare_connection(self._database)
        self._quota: Quota | None = None
        self._checking: CheckPoint | None = None
        if self._database.unclean:
            self._begin_check()
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

    def lost_subscriptions(self) -> Sequence[str]:
        """See `Mailbox.lost_subscriptions`."""
        with self._database.reading():
            return folders.lost_subscriptions(self._database)

    # Messages

    def append(self, name: str, message: NewMessage) -> tuple[Folder, int]:
        """See `Mailbox.append`."""
        content = examine(message.raw)
        with self._growing(content.size):
            folder = self.folder(name)
            return folder, transfer.append_message(self._database, folder, message, content)

    def append_all(self, name: str, messages: Sequence[NewMessage]) -> tuple[Folder, Sequence[int]]:
        """See `Mailbox.append_all`."""
        contents = [examine(message.raw) for message in messages]
        with self._growing(sum(content.size for content in contents)):
            folder = self.folder(name)
            return folder, [
                transfer.append_message(self._database, folder, message, content)
                for message, content in zip(messages, contents, strict=True)
            ]

    def deliver(self, delivery: Delivery, *, enforce_quota: bool = True) -> bool:
        """See `Mailbox.deliver`."""
        content = examine(delivery.message.raw)
        size = content.size if enforce_quota else None
        with self._growing(size):
            if delivery.id is not None and not is_new(self._database, delivery.id):
                return False
            try:
                folder = self.folder(delivery.folder)
            except NoSuchFolderError:  # mail is never lost for that
                folder = self.folder(INBOX)
            transfer.append_message(self._database, folder, delivery.message, content)
            return True

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
        self,
        folder: int,
        uids: Sequence[int],
        *,
        headers: bool = True,
        bodies: bool,
        outlines: bool,
        envelopes: bool = False,
        previews: bool = False,
        budget: int,
    ) -> Sequence[Content]:
        """See `Mailbox.contents`."""
        with self._database.reading():
            return read_contents(
                self._database,
                folder,
                uids,
                headers=headers,
                bodies=bodies,
                outlines=outlines,
                envelopes=envelopes,
                previews=previews,
                budget=budget,
            )

    def headings(
        self, folder: int, uids: Sequence[int], *, references: bool
    ) -> Mapping[int, Heading]:
        """See `Mailbox.headings`."""
        with self._database.reading():
            return read_headings(self._database, folder, uids, references=references)

    def store_flags(
        self, folder: int, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
    ) -> Sequence[Message]:
        """See `Mailbox.store_flags`."""
        with self._writing():
            return messages.store_flags(self._database, folder, uids, how, flags)

    def copy(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.copy`."""
        size = sum(message.size for message in self.messages(folder, uids))
        with self._growing(size):
            return transfer.copy_messages(self._database, folder, uids, self.folder(target))

    def move(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """See `Mailbox.move`."""
        with self._writing():
            return transfer.move_messages(self._database, folder, uids, self.folder(target))

    def expunge(self, folder: int, uids: Iterable[int] | None) -> Sequence[int]:
        """See `Mailbox.expunge`."""
        with self._writing():
            return transfer.expunge_messages(self._database, folder, uids)

    # Quota, search, upkeep

    def set_quota(self, quota: Quota) -> None:
        """See `Mailbox.set_quota`."""
        self._quota = quota

    def usage(self) -> Usage:
        """See `Mailbox.usage`."""
        return read_usage(self._database, self._quota)

    def prepare_search(self) -> bool:
        """See `Mailbox.prepare_search`."""
        with self._database.writing():
            return texts.fill_texts(self._database, FILL_BUDGET)

    def search(self, folder: int, key: TextKey) -> frozenset[int]:
        """See `Mailbox.search`."""
        with self._database.reading():
            return texts.search_texts(self._database, folder, key)

    def tidy(self) -> bool:
        """See `Mailbox.tidy`."""
        if self._checking is not None:
            self._go_on_checking(self._checking)
            return True
        with self._database.writing():
            more = tidy(self._database)
        if not more:
            write_log_back(self._database)
        return more

    def check(self, point: CheckPoint) -> CheckPoint:
        """See `Mailbox.check`."""
        # Not one transaction: where a page is damaged, it could not be ended.
        return check_step(self._database, point)

    def _begin_check(self) -> None:
        """Look at the least at once, and at the rest while nobody waits."""
        try:
            check_quickly(self._database)
        except StorageUnavailableError:
            self._database.close()
            raise
        self._checking = CheckPoint()

    def _go_on_checking(self, point: CheckPoint) -> None:
        point = self.check(point)
        for problem in point.problems:
            warn(logger, "vault-damaged", file=self._database.path.name, problem=problem)
        self._checking = None if point.finished else point

    # From elsewhere

    def take_in(self, mark: str, work: Callable[[Mailbox], object]) -> None:
        """Let `work` put something in that comes from elsewhere, once, however often it is tried.

        `mark` names it; `drop_marks` forgets it when its source is gone.
        """
        with self._writing():
            if marks.set_mark(self._database, mark):
                work(self)

    def drop_marks(self, names: Iterable[str]) -> None:
        """Forget marks, whose sources are gone for good."""
        with self._writing():
            marks.drop_marks(self._database, names)

    def drop_marks_of(self, source: str) -> None:
        """Forget all marks `source:…`, whose source is gone for good."""
        with self._writing():
            marks.drop_marks_of(self._database, source)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have several changes in one transaction."""
        with self._writing():
            yield

    def _query(self, statement: str, values: Sequence[apsw.SQLiteValue]) -> list[Any]:
        return self._database.query(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._database.writing():
            yield
            self.modseq = counters.modseq(self._database)

    @contextmanager
    def _growing(self, size: int | None) -> Iterator[None]:
        """A transaction that adds messages of `size` bytes; None: those that are not refused."""
        require_room(self._database.path.parent, size or 0)
        with self._writing():
            if size is not None:
                require_quota(self._database, self._quota, size)
            yield
            warning = warning_due(self._database, self._quota)
            if warning is not None:
                inbox = self.folder(INBOX)
                transfer.append_message(self._database, inbox, warning, examine(warning.raw))
