"""Final delivery: trace fields, the folder and flags of a new message, the way into the vault."""

from __future__ import annotations

from dataclasses import dataclass

from postmaster.storage.interface import (
    INBOX,
    MailStore,
    NewMessage,
    NoSuchFolderError,
    arrival_time,
)


@dataclass(frozen=True)
class Placement:
    """Where a message goes and how it is flagged on arrival."""

    folder: str = INBOX
    flags: frozenset[str] = frozenset()


def place(message: bytes) -> Placement:  # noqa: ARG001 - the one place where rules will look
    """Choose a placement by the message; so far everything goes to the inbox."""
    return Placement()


def trace_fields(sender: str, recipient: str) -> bytes:
    """Return the fields that final delivery adds in front (RFC 5321 4.4, RFC 9228).

    `sender` is the envelope's, empty for a bounce. Nothing else of the message is changed.
    """
    return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()


async def deliver(store: MailStore, person: str, message: bytes) -> None:
    """Put a message, with its trace fields, into a person's vault; it is on disk on return.

    Raises StorageUnavailableError.
    """
    placement = place(message)
    async with store.open(person) as mailbox:
        new = NewMessage(message, placement.flags, arrival_time())
        try:
            await mailbox.run(lambda box: box.append(placement.folder, new))
        except NoSuchFolderError:  # the person deleted it; mail is never lost for that
            await mailbox.run(lambda box: box.append(INBOX, new))
