"""The text of a message for searching: its parts decoded from transfer encoding and charset."""

from __future__ import annotations

import base64
import binascii
import quopri
import re

from postmaster.message.mime import Part

_SPACE_AT_END = re.compile(rb"(?<![ \t])[ \t]+(\r?\n|\Z)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decode_body(data: bytes, part: Part) -> bytes:
    """Return a part's body without its transfer encoding; as it is where that is broken."""
    body = data[part.body : part.end]
    if part.encoding == b"QUOTED-PRINTABLE":
        # Space at the end of a line was added on the way (RFC 2045 6.7), also behind a soft break.
        return quopri.decodestring(_SPACE_AT_END.sub(rb"\1", body))
    if part.encoding == b"BASE64":
        compact = _NOT_BASE64.sub(b"", body)
        compact = compact[: len(compact) - (len(compact) % 4 == 1)]
        try:
            return base64.b64decode(compact + b"=" * (-len(compact) % 4))
        except binascii.Error:
            return body
    return body


def part_text(data: bytes, part: Part) -> str:
    """Return the text of a text part; unknown charsets are read as UTF-8, faults are marked."""
    charset = dict(part.parameters).get(b"CHARSET", b"utf-8").decode("ascii", "replace")
    body = decode_body(data, part)
    try:
        # Mail that says it is ASCII, or says nothing, and is not, is UTF-8 as a rule.
        return body.decode("utf-8" if charset.lower() == "us-ascii" else charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")
