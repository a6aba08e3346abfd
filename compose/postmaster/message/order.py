"""What SORT and THREAD compare (RFC 5256 2): base subjects, dates, addresses, message ids."""

from __future__ import annotations

import calendar
import re
import unicodedata
from email.utils import parsedate_tz
from typing import NamedTuple

from postmaster.message.address import Address
from postmaster.message.header import decode_text
from postmaster.message.mime import Envelope

# What is compared of longer ones: whoever sends a megabyte of subject gets no memory for it.
MAX_FIELD = 2000  # bytes
MAX_COMPARED = 250  # characters
MAX_DATE = 100  # bytes
MAX_REFERENCES = 16 * 1024  # bytes, the last ones
MAX_MESSAGE_ID = 250  # bytes; a longer one is none

_SPACE = re.compile(r"\s+")
_TRAILER = "(fwd)"
_BLOBS = re.compile(r"(?:\[[^\[\]]*\]\s*)+")
_LEADER = re.compile(r"(?:\[[^\[\]]*\]\s*)*(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:\s*", re.IGNORECASE)
_REFERENCES = re.compile(rb"\nreferences[ \t]*:((?:.*\n[ \t])*.*)", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb'<(?:"((?:[^"\\]|\\.)*)"|([^<>@"\s]+))@([^<>\s]+)>')
_ESCAPE = re.compile(rb"\\(.)")


class Heading(NamedTuple):
    """The fields of a header by which messages are ordered, as they stand there, cut to bounds."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: Address | None = None  # the first one
    to: Address | None = None
    cc: Address | None = None
    in_reply_to: bytes | None = None
    message_id: bytes | None = None
    references: bytes | None = None


def heading_of(envelope: Envelope, references: bytes | None) -> Heading:
    """Return the heading of a message."""
    return Heading(
        date=envelope.date,
        subject=envelope.subject,
        from_=next(iter(envelope.from_), None),
        to=next(iter(envelope.to), None),
        cc=next(iter(envelope.cc), None),
        in_reply_to=envelope.in_reply_to,
        message_id=envelope.message_id,
        references=references,
    )


def find_references(header: bytes) -> bytes | None:
    """Return the value of the References field, or the end of it."""
    header = b"\n" + header
    lower = header.lower()  # looking for it so is faster than by the expression
    at = lower.find(b"\nreferences")
    while at >= 0:
        if match := _REFERENCES.match(header, at):
            return match.group(1)[-MAX_REFERENCES:]
        at = lower.find(b"\nreferences", at + 1)
    return None


def collation(text: str) -> str:
    """Return what compares as i;unicode-casemap does (RFC 5051 2), of a text's beginning."""
    text = text[:MAX_COMPARED]
    if text.isascii():
        return text.upper()
    titles = "".join(title if len(title := one.title()) == 1 else one for one in text)
    return unicodedata.normalize("NFKD", titles)[:MAX_COMPARED]


def base_subject(subject: bytes | None) -> tuple[str, bool]:
    """Return what a subject is about, for comparison, and whether it is of a reply or forward.

    RFC 5256 2.1.
    """
    text = _SPACE.sub(" ", decode_text((subject or b"")[:MAX_FIELD]))
    is_reply = False
    while True:
        trimmed = text.strip()
        while trimmed[-len(_TRAILER) :].lower() == _TRAILER:
            trimmed, is_reply = trimmed[: -len(_TRAILER)].rstrip(), True
        while leader := _LEADER.match(trimmed):
            trimmed, is_reply = trimmed[leader.end() :], True
        # No leader comes behind these, or it had begun with them. The last one stays if it is all.
        if blobs := _BLOBS.match(trimmed):
            is_all = blobs.end() == len(trimmed)
            trimmed = trimmed[trimmed.rindex("[") if is_all else blobs.end() :]
        if not (trimmed[:5].lower() == "[fwd:" and trimmed.endswith("]")):
            return collation(trimmed), is_reply
        text, is_reply = trimmed[5:-1], True


def sent_seconds(date: bytes | None) -> int | None:
    """Return a Date field as seconds since 1970; None when it makes no sense."""
    try:
        parsed = parsedate_tz((date or b"")[:MAX_DATE].decode("latin-1"))
        return None if parsed is None else calendar.timegm(parsed[:9]) - (parsed[9] or 0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def mailbox_name(address: Address | None) -> str:
    """Return the part before the `@`, for comparison; empty without an address."""
    return collation(_text(address.mailbox)) if address is not None else ""


def display_name(address: Address | None) -> str:
    """Return the name that a reader sees, for comparison, or the address (RFC 5957 3)."""
    if address is None:
        return ""
    name = decode_text((address.name or b"")[:MAX_FIELD])
    if name:
        return collation(name)
    mailbox, host = _text(address.mailbox), _text(address.host)
    return collation(f"{mailbox}@{host}" if host else mailbox)


def message_ids(value: bytes | None) -> list[bytes]:
    """Return the message ids of a field, without the brackets and needless quotes, in order."""
    found = []
    for quoted, plain, host in _MESSAGE_ID.findall((value or b"")[-MAX_REFERENCES:]):
        identifier = (_ESCAPE.sub(rb"\1", quoted) or plain) + b"@" + host
        if len(identifier) <= MAX_MESSAGE_ID:
            found.append(identifier)
    return found


def _text(value: bytes | None) -> str:
    return (value or b"")[:MAX_FIELD].decode("utf-8", "replace")
