"""What the protocols (LMTP, IMAP) know of storage; no cipher, no SQL, no file shows through.

A `Mailbox` is one person's mail. Its methods block, so they run on the mailbox's own thread:
`OpenMailbox.run(lambda mailbox: …)`. Each method is one transaction, and is on disk when it
returns. All of them may raise StorageUnavailableError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar

from postmaster.message.mime import Envelope, Part
from postmaster.message.order import Heading

T = TypeVar("T")

INBOX = "INBOX"
DELIMITER = "/"  # between the levels of a folder's name
ZONES = 64  # time zones that are made once; messages have few

# Folders that every mailbox starts with, with their special use (RFC 6154).
STANDARD_FOLDERS: tuple[tuple[str, str | None], ...] = (
    (INBOX, None),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)


def arrival_time() -> datetime:
    """Return the internal date of a message that arrives now, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class FolderExistsError(Exception):
    """There is a folder of that name already."""


class NoSuchFolderError(Exception):
    """There is no folder of that name, or it was deleted meanwhile."""


class OverQuotaError(Exception):
    """A message is more than its owner's quota allows."""

    def __init__(self, *, for_ever: bool) -> None:
        """`for_ever`: it would be too large for an empty mailbox, too."""
        super().__init__("over quota")
        self.for_ever = for_ever


class FlagChange(Enum):
    """How STORE changes flags."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True)
class Folder:
    """A folder and what identifies its messages for ever (RFC 9051 2.3.1.1)."""

    id: int
    name: str
    special_use: str | None
    subscribed: bool
    uidvalidity: int
    uidnext: int

    @property
    def mailbox_id(self) -> str:
        """What names the folder for ever, also when it is renamed (RFC 8474 4)."""
        return f"F{self.uidvalidity}"


@dataclass(frozen=True)
class FolderCounts:
    """What STATUS tells."""

    folder: Folder
    messages: int
    unseen: int
    recent: int
    deleted: int  # flagged so, not removed yet
    size: int  # bytes of all messages
    deleted_size: int  # bytes of those that are flagged \\Deleted
    highest_modseq: int  # of the latest change in the folder, at least 1 (RFC 7162 3.1.2.1)


@dataclass(frozen=True)
class Usage:
    """How much there is; copies of a message count each."""

    bytes: int
    messages: int
    limit: int | None  # bytes; None: as the disk allows


class Message(NamedTuple):
    """What is known of a message without reading it.

    A tuple, since there is one for each message of a folder whenever a client asks for its flags.
    """

    uid: int
    flags: frozenset[str]
    arrived: int  # its internal date, seconds since 1970
    zone: int  # of that date, minutes east of Greenwich
    size: int  # bytes, as received
    modseq: int
    content: int  # names its bytes; copies have the same

    @property
    def internal_date(self) -> datetime:
        """When it arrived, with the time zone that it was given."""
        return datetime.fromtimestamp(self.arrived, _zone(self.zone))

    @property
    def email_id(self) -> str:
        """ASCII; copies have the same, and nothing else ever has it (RFC 8474 5.1)."""
        # A release before let a new content have the number of one that was gone: the date tells
        # them apart. Copies have both.
        return f"M{self.content}-{self.arrived}"


@lru_cache(ZONES)
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))


@dataclass(frozen=True)
class Snapshot:
    """A folder as a session finds it when it selects it."""

    folder: Folder
    uids: Sequence[int]  # in order
    modseq: int  # `changes` goes on from here
    first_recent: int  # UIDs from here on had been seen by no session
    first_unseen: int | None  # UID
    flags: frozenset[str]  # all that are in use in the folder
    highest_modseq: int  # of the latest change in the folder, at least 1


@dataclass(frozen=True)
class Changes:
    """What happened in a folder after a point; `modseq` is the point to ask from next."""

    modseq: int
    changed: Sequence[Message] = ()  # new ones too, in order of UID
    vanished: Sequence[int] = ()  # UIDs
    first_recent: int = 0  # UIDs from here on had been seen by no session
    highest_modseq: int = 0  # of all this; `modseq` may be of a change in another folder


@dataclass(frozen=True)
class Content:
    """A message's bytes, and what is known of them; each of it when it was asked for."""

    message: Message
    header: bytes = field(repr=False)  # with its empty line
    body: bytes | None = field(repr=False, default=None)
    outline: Part | None = field(repr=False, default=None)
    envelope: Envelope | None = field(repr=False, default=None)  # with the outline in any case
    preview: str | None = field(repr=False, default=None)  # empty where there is no text

    @property
    def raw(self) -> bytes:
        """The whole message; an error when the body was not asked for."""
        if self.body is None:
            raise ValueError("the body was not read")
        return self.header + self.body


@dataclass(frozen=True)
class NewMessage:
    """A message on its way in."""

    raw: bytes = field(repr=False)
    flags: frozenset[str]
    internal_date: datetime


@dataclass(frozen=True)
class Arrival:
    """A message that is delivered: with its trace fields, and when it came."""

    raw: bytes = field(repr=False)
    at: datetime
    id: bytes | None = None  # of the delivery, at most 255 bytes; None: not known


@dataclass(frozen=True)
class Copied:
    """Which UIDs became which in the target folder, in order."""

    uidvalidity: int
    source: Sequence[int]
    target: Sequence[int]


@dataclass(frozen=True)
class Delivery:
    """A message that comes by LMTP, at once or out of the spool of a locked vault."""

    message: NewMessage
    folder: str = INBOX  # INBOX when there is no folder of that name
    id: bytes | None = None  # the same for the same message of the same queue; None: not known


@dataclass(frozen=True)
class Quota:
    """What an owner may keep, and who that is."""

    owner: str  # main address; warnings go there
    limit: int | None  # bytes; None: as the disk allows


class TextScope(Enum):
    """Where SEARCH looks for a text (RFC 3501 6.4.4)."""

    BODY = "body"
    TEXT = "text"  # header or body
    FIELD = "field"


@dataclass(frozen=True)
class TextKey:
    """A text that SEARCH looks for, as the client wrote it; case and diacritics do not count."""

    scope: TextScope
    wanted: str  # empty: found wherever there is such a field, or in any message
    field: str = ""  # name of the header field, for TextScope.FIELD


@dataclass(frozen=True)
class CheckPoint:
    """How far a check of the whole vault is; the next step goes on from there."""

    step: str = ""
    after: int = 0
    done: int = 0  # bytes looked at
    total: int = 0  # bytes to look at
    problems: Sequence[str] = ()  # that the step just done has found
    finished: bool = False


class Mailbox(Protocol):
    """One person's mail, used on its own thread.

    Whatever makes it grow may raise OverQuotaError, and StorageFullError when the disk is nearly
    full; removing always works.
    """

    def folders(self) -> Sequence[Folder]:
        """Return all folders, in order of name."""

    def folder(self, name: str) -> Folder:
        """Return a folder by name. Raises NoSuchFolderError."""

    def counts(self, name: str) -> FolderCounts:
        """Return a folder with its numbers. Raises NoSuchFolderError."""

    def create_folder(self, name: str, special_use: str | None = None) -> Folder:
        """Make a folder. Raises FolderExistsError."""

    def delete_folder(self, name: str) -> None:
        """Remove a folder and its messages. Raises NoSuchFolderError."""

    def rename_folder(self, old: str, new: str) -> None:
        """Rename a folder and those below it; INBOX gives its messages away and stays.

        Raises NoSuchFolderError or FolderExistsError.
        """

    def subscribe(self, name: str, subscribed: bool) -> None:
        """Mark a folder as wanted in LSUB, or not. Raises NoSuchFolderError for the former.

        The subscription of a folder that is deleted stays (RFC 3501 6.3.6).
        """

    def lost_subscriptions(self) -> Sequence[str]:
        """Return the names that are subscribed and no folder has any more, in order."""

    def append(self, name: str, message: NewMessage) -> tuple[Folder, int]:
        """Keep a message; return its folder and UID. Raises NoSuchFolderError."""

    def append_all(self, name: str, messages: Sequence[NewMessage]) -> tuple[Folder, Sequence[int]]:
        """Keep messages, all or none; return their folder and UIDs. Raises NoSuchFolderError."""

    def deliver(self, delivery: Delivery, *, enforce_quota: bool = True) -> bool:
        """Keep a message unless one with its id was kept of late; return whether it was kept.

        Without `enforce_quota`, for what was accepted before, it is kept in any case.
        """

    def set_quota(self, quota: Quota) -> None:
        """Use this quota from now on; it is not kept."""

    def usage(self) -> Usage:
        """Return how much there is, and how much there may be."""

    def prepare_search(self) -> bool:
        """Read some of the messages whose text is not known yet; return whether more remain."""

    def search(self, folder: int, key: TextKey) -> frozenset[int]:
        """Return the UIDs of the messages of a folder that match; prepare the search before."""

    def check(self, point: CheckPoint) -> CheckPoint:
        """Look at a part of all that is kept; begin with `CheckPoint()`, end when finished."""

    def tidy(self) -> bool:
        """Do a little of what can wait (index, vacuum); return whether more remains."""

    def snapshot(self, name: str, *, claim_recent: bool) -> Snapshot:
        """Return what is in a folder now. Raises NoSuchFolderError.

        `claim_recent`: its messages are no longer recent for later callers.
        """

    def changes(self, folder: int, since: int, *, claim_recent: bool) -> Changes:
        """Return what happened in a folder after modseq `since`. Raises NoSuchFolderError.

        `claim_recent` as for `snapshot`.
        """

    def messages(self, folder: int, uids: Collection[int]) -> Sequence[Message]:
        """Return those of the messages that are still there, in order of UID."""

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
        """Return contents from the start of `uids`, as many as fit `budget` bytes, at least one.

        Without `headers`, those are empty, unless bodies are asked for, too.

        Messages that are gone are missing from the answer; the caller goes on after the last
        one that it got.
        """

    def headings(
        self, folder: int, uids: Sequence[int], *, references: bool
    ) -> Mapping[int, Heading]:
        """Return, by UID, what those of the messages that are still there are ordered by.

        `references`: with the References field, which is not kept apart from the header.
        """

    def store_flags(
        self, folder: int, uids: Sequence[int], how: FlagChange, flags: frozenset[str]
    ) -> Sequence[Message]:
        """Change flags; return the messages as they are now, those that are still there."""

    def copy(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """Copy messages with flags and dates, all or none. Raises NoSuchFolderError."""

    def move(self, folder: int, uids: Sequence[int], target: str) -> Copied:
        """Copy and remove in one transaction (RFC 6851). Raises NoSuchFolderError."""

    def expunge(self, folder: int, uids: Iterable[int] | None) -> Sequence[int]:
        """Remove those of `uids` (None: of all) that are flagged \\Deleted; return their UIDs."""


class OpenMailbox(Protocol):
    """A mailbox that somebody is using."""

    async def run(self, work: Callable[[Mailbox], T]) -> T:
        """Run `work` on the mailbox's thread and return what it returns."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called on the event loop after every change to the mailbox."""

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Undo `watch`."""


class MailStore(Protocol):
    """Everybody's mail."""

    def open(self, address: str) -> AbstractAsyncContextManager[OpenMailbox]:
        """Open the mailbox of the person with this main address, who has logged in.

        Raises VaultLockedError when there was no login of late.
        """

    async def deliver(self, address: str, arrival: Arrival) -> bool:
        """Keep a message for the person with this main address; it is on disk on return.

        While nobody has the vault open it is sealed, and moved in at the next login. Returns
        False for one that was there already. May raise OverQuotaError.
        """
