"""Final delivery: trace fields, the folder and flags of a new message, the way into the vault."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from postmaster.addresses import detail
from postmaster.message.header import Field, find_fields, first, header_length
from postmaster.storage.interface import (
    INBOX,
    Arrival,
    Delivery,
    Mailbox,
    MailStore,
    NewMessage,
    arrival_time,
)

JUNK = "Junk"
SPAM_FIELDS = frozenset({b"x-spam", b"x-spam-flag"})
_RECIPIENT = b"delivered-to"
_QUEUED = b"received:"
_SPAM = re.compile(rb"(yes|true)\b", re.IGNORECASE)
# Where mail to `ada+FOLDER@` cannot be sent by whoever guesses the name of a standard folder.
_RESERVED = frozenset({"inbox", "drafts", "sent", "junk", "trash", "archive"})


@dataclass(frozen=True)
class Placement:
    """Where a message goes and how it is flagged on arrival.

    The inbox takes what is meant for a folder that is not there.
    """

    folder: str = INBOX
    flags: frozenset[str] = frozenset()


def place(message: bytes) -> Placement:
    """Choose a placement by a message with its trace fields: the one place for rules.

    Spam goes to Junk; what is addressed to `ada+lists@…` goes to the folder `lists`, if its owner
    has made one.
    """
    fields = find_fields(message[: header_length(message)], {_RECIPIENT, *SPAM_FIELDS})
    if is_marked(fields):
        return Placement(JUNK)
    recipient = (first(fields, _RECIPIENT) or b"").decode("utf-8", "replace")
    folder = detail(recipient)
    if folder is None or folder.lower() in _RESERVED:
        return Placement()
    return Placement(folder)


def is_marked(fields: Iterable[Field]) -> bool:
    """Say whether a message is spam by its first mark: the mail store's before Rspamd's."""
    marks = (field.value for field in fields if field.name.lower() in SPAM_FIELDS)
    return bool(_SPAM.match(next(marks, b"")))


def trace_fields(sender: str, recipient: str) -> bytes:
    """Return the fields that final delivery adds in front (RFC 5321 4.4, RFC 9228).

    `sender` is the envelope's, empty for a bounce. Nothing else of the message is changed.
    """
    return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()


def delivery_id(message: bytes) -> bytes | None:
    """Return what is the same when the queue sends a message again, and never else.

    `message` is as the queue sends it, without our trace fields. It begins with the queue's
    Received field, which has the queue's id of the message and a date; None where there is none.
    """
    if message[: len(_QUEUED)].lower() != _QUEUED:
        return None
    return hashlib.sha256(message).digest()


def put(mailbox: Mailbox, arrival: Arrival, *, enforce_quota: bool = True) -> bool:
    """Put a message into an open mailbox: at once, or when its vault is unlocked.

    Returns and raises as `Mailbox.deliver`.
    """
    placement = place(arrival.raw)
    new = NewMessage(arrival.raw, placement.flags, arrival.at)
    return mailbox.deliver(Delivery(new, placement.folder, arrival.id), enforce_quota=enforce_quota)


async def deliver(
    store: MailStore, person: str, message: bytes, identifier: bytes | None = None
) -> bool:
    """Keep a message, with its trace fields, for a person; it is on disk on return.

    It goes into the vault, or is sealed for it while that is locked. Returns False for one that
    was there already, by its `delivery_id`. Raises StorageUnavailableError, or OverQuotaError.
    """
    return await store.deliver(person, Arrival(message, arrival_time(), identifier))
