"""The maildrop (RFC 1939): the inbox as it was at the login, and what is to be done at its end.

It is a snapshot and locks nothing: several sessions, of IMAP too, may use the same inbox. What
another one has removed meanwhile cannot be retrieved any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from postmaster.storage.interface import (
    INBOX,
    Content,
    FlagChange,
    Mailbox,
)

BUDGET = 1  # byte: one message at a time
DELETED, SEEN = frozenset({"\\Deleted"}), frozenset({"\\Seen"})


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a message: a session keeps as little as it can."""

    uid: int
    size: int  # bytes, as received


@dataclass
class Maildrop:
    """Messages by their number from 1, those marked as deleted, and those that were read."""

    folder: int
    uidvalidity: int
    messages: tuple[Entry, ...]
    deleted: set[int] = field(default_factory=set)  # numbers
    retrieved: set[int] = field(default_factory=set)

    def message(self, number: int) -> Entry | None:
        """Return a message; None when there is none of that number, or it is deleted."""
        if number in self.deleted or not 1 <= number <= len(self.messages):
            return None
        return self.messages[number - 1]

    def left(self) -> Iterator[tuple[int, Entry]]:
        """Yield the numbers and messages that are not deleted."""
        for number, message in enumerate(self.messages, 1):
            if number not in self.deleted:
                yield number, message

    def unique_id(self, message: Entry) -> str:
        """Return the id of UIDL: it never means another message (RFC 1939 7)."""
        return f"{self.uidvalidity}.{message.uid}"

    def read(self, box: Mailbox, number: int) -> Content | None:
        """Read a message; None when it is gone meanwhile."""
        uid = self.messages[number - 1].uid
        found = box.contents(self.folder, [uid], bodies=True, outlines=False, budget=BUDGET)
        return found[0] if found else None

    def update(self, box: Mailbox) -> None:
        """Do what QUIT does: flag what was read, remove what is deleted."""
        uids = [self.messages[number - 1].uid for number in sorted(self.retrieved - self.deleted)]
        if uids:
            box.store_flags(self.folder, uids, FlagChange.ADD, SEEN)
        uids = [self.messages[number - 1].uid for number in sorted(self.deleted)]
        if uids:
            box.store_flags(self.folder, uids, FlagChange.ADD, DELETED)
            box.expunge(self.folder, uids)


def open_maildrop(box: Mailbox) -> Maildrop:
    """Return the inbox as it is now; its messages stay recent."""
    snapshot = box.snapshot(INBOX, claim_recent=False)
    found = box.messages(snapshot.folder.id, snapshot.uids)
    entries = tuple(Entry(message.uid, message.size) for message in found)
    return Maildrop(snapshot.folder.id, snapshot.folder.uidvalidity, entries)
