"""What SEARCH looks at: a message's header and text as a reader sees them, folded.

Folding leaves out what people do not type exactly: case, compatibility forms (full-width letters,
ligatures) and diacritics. It is the same for messages and for what is searched for, so that a
substring stays a substring (RFC 3501 6.4.4; RFC 5051 compares so, but keeps diacritics).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from postmaster.message.address import Address, parse_addresses
from postmaster.message.header import decode_text, parse_fields
from postmaster.message.mime import Part
from postmaster.message.text import part_text

# Of Latin, Greek and Cyrillic. Marks of other scripts are letters of their words and stay.
_DIACRITICS = re.compile("[\u0300-\u036f]")
_ADDRESS_FIELDS = frozenset({b"from", b"to", b"cc", b"bcc", b"sender", b"reply-to"})
_LINE_BREAKS = re.compile(r"[\r\n]+")


@dataclass(frozen=True)
class Searchable:
    """The folded text of a message; `header` has a line `name: value` for each field.

    `body` is None where it was too long to be computed in passing.
    """

    header: str = field(repr=False)
    body: str | None = field(repr=False)


def fold(text: str) -> str:
    """Return text for comparison.

    NUL and lone surrogates, which cannot be kept as text, are replaced.
    """
    if text.isascii():
        return text.lower().replace("\0", "\ufffd")
    text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    folded = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return unicodedata.normalize("NFC", _DIACRITICS.sub("", folded))


def searchable(
    raw: bytes, header_length: int, outline: Part, *, most: int | None = None
) -> Searchable:
    """Return what is searched of a message; `outline` is its part tree.

    `most`: bytes that text parts may have, as they stand in the message, to be decoded and folded.
    """
    size = sum(part.end - part.body for part in _texts(outline))
    too_long = most is not None and size > most
    return Searchable(
        header=fold("\n".join(_lines(raw[:header_length]))),
        body=None if too_long else searchable_body(raw, outline),
    )


def searchable_body(raw: bytes, outline: Part) -> str:
    """Return the folded text of a message's parts, however long it is."""
    return fold("\n".join(part_text(raw, part) for part in _texts(outline)))


def _texts(outline: Part) -> Iterator[Part]:
    return (part for part in outline.walk() if part.type == b"TEXT")


def field_contains(header: str, name: str, wanted: str) -> bool:
    """Say whether a field of that name has `wanted` in its value; all three are folded."""
    start = f"{name}: "
    return any(
        wanted in line[len(start) :] for line in header.split("\n") if line.startswith(start)
    )


def _lines(header: bytes) -> list[str]:
    lines = []
    for item in parse_fields(header):
        name, text = item.name.decode(), _LINE_BREAKS.sub(" ", decode_text(item.value))
        lines.append(f"{name}: {text}")
        if item.name.lower() in _ADDRESS_FIELDS:
            # An address with comments or quotes in it is found by its plain form (RFC 3501 6.4.4).
            plain = (_plain(address) for address in parse_addresses(item.value))
            lines += [f"{name}: {address}" for address in plain if address not in text]
    return lines


def _plain(address: Address) -> str:
    mailbox, host = address.mailbox or b"", address.host or b""
    return _LINE_BREAKS.sub(" ", (mailbox + b"@" + host).decode("utf-8", "replace")) if host else ""
